"""What the sources of energy figures have in common: moments, and energy from samples of power between two of them."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

LARGEST_GAP = 0.2  # of a window may pass between two samples: at least five steps, and no hole in the middle


class MeterError(RuntimeError):
    """The energy of a window cannot be told; the message says why."""


@dataclass(frozen=True)
class Mark:
    """A moment by both clocks of the system, in seconds, and what energy counters showed, in microjoules."""

    monotonic: float
    epoch: float
    microjoules: tuple[int, ...] = ()


class Meter(Protocol):
    """What measures energy here: one small class each."""

    name: str
    covers: str  # what its figure is the energy of

    def sampling(self) -> AbstractContextManager[object]:
        """Marks are made, and asked about, while this is entered.

        Raises:
            MeterError: The source does not answer.
        """

    def mark(self) -> Mark:
        """This moment.

        Raises:
            MeterError: The source does not answer.
        """

    def joules(self, begin: Mark, end: Mark) -> float:
        """Energy between two moments.

        Raises:
            MeterError: It cannot be told.
        """


def now(microjoules: tuple[int, ...] = ()) -> Mark:
    """This moment."""
    return Mark(time.monotonic(), time.time(), microjoules)


def integrate(times: Sequence[float], watts: Sequence[float], begin: float, end: float) -> float:
    """Energy between two moments from samples of power: straight lines between the samples.

    Args:
        times: Seconds, ascending.
        watts: The power at each.
        begin: Seconds, by the same clock.
        end: Later than ``begin``.

    Returns:
        Joules.

    Raises:
        MeterError: The samples do not cover the window, or leave a gap of more than a fifth of it.
    """
    if not times or times[0] > begin or times[-1] < end:
        held = f"run from {times[0] - begin:+.1f} to {times[-1] - begin:+.1f} s" if times else "are none"
        raise MeterError(
            f"the samples do not cover the {end - begin:.1f} s that were measured: counted from there {held}"
        )
    joules = 0.0
    for t0, t1, p0, p1 in zip(times, times[1:], watts, watts[1:], strict=False):
        low, high = max(t0, begin), min(t1, end)
        if low >= high:
            continue
        if t1 - t0 > LARGEST_GAP * (end - begin):
            raise MeterError(
                f"{t1 - t0:.2f} s without a sample in a window of {end - begin:.1f} s: at most a fifth of it is "
                "allowed; sample faster, or measure longer"
            )
        slope = (p1 - p0) / (t1 - t0)
        joules += (high - low) * (p0 + slope * ((low + high) / 2 - t0))
    return joules
