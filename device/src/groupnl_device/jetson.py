"""Power of NVIDIA Jetson boards, as jetson-stats (package ``jtop``, 4.0 or newer) tells it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from groupnl_device.power import Mark, MeterError, integrate, now

INTERVAL = 0.5  # s between samples that are asked for; the service may be slower
_PATIENCE = 10.0  # s to wait for the sample behind a window


class Jetson:
    """The whole module: the board's own total, or the sum of its rails where it measures no total.

    Args:
        patience: Seconds to wait for a sample.

    Raises:
        MeterError: jetson-stats is not installed.
    """

    name = "jetson-stats"
    covers = "the whole module (total of jetson-stats)"

    def __init__(self, patience: float = _PATIENCE) -> None:
        try:
            self._jtop = import_module("jtop").jtop
        except (ImportError, AttributeError) as error:
            raise MeterError("jetson-stats is not installed") from error
        self._patience = patience
        self._times: list[float] = []
        self._watts: list[float] = []

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Listen to the service.

        Raises:
            MeterError: The service does not answer, or tells no power.
        """
        self._times, self._watts = [], []
        try:
            board = self._jtop(interval=INTERVAL)
            board.attach(self._take)
            board.start()
        except Exception as error:  # jtop's own errors, and those of its connection, have no common base but Exception
            raise MeterError(f"jetson-stats does not answer ({_words(error)})") from error
        try:
            self._wait_until(time.monotonic())
            yield
        finally:
            board.close()

    def mark(self) -> Mark:
        """This moment."""
        return now()

    def joules(self, begin: Mark, end: Mark) -> float:
        """Energy between two moments.

        Raises:
            MeterError: The service fell silent.
        """
        self._wait_until(end.monotonic)
        count = len(self._watts)  # more samples may arrive meanwhile
        return integrate(self._times[:count], self._watts[:count], begin.monotonic, end.monotonic)

    def _take(self, board: Any) -> None:
        """Called by jtop's thread with every new state of the board."""
        power = board.power
        total = power.get("tot", {}).get("power") if isinstance(power, dict) else None  # milliwatts
        if total is not None:
            self._times.append(time.monotonic())
            self._watts.append(total / 1000)

    def _wait_until(self, moment: float) -> None:
        """Until there is a sample later than ``moment``."""
        deadline = time.monotonic() + self._patience
        while not self._times or self._times[-1] < moment:
            if time.monotonic() > deadline:
                raise MeterError(
                    f"jetson-stats tells no power (waited {self._patience:g} s; version 4.0 or newer is needed)"
                )
            time.sleep(0.02)


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
