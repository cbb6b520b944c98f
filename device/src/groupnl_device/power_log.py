"""Power from an external meter, as a CSV file that another program writes meanwhile."""

import csv
import math
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from groupnl_device.power import Mark, MeterError, integrate, now

COLUMNS = ("time", "power_w")
_PATIENCE = 15.0  # s to wait until the file reaches the end of a window: loggers write in pieces
_EPOCH = 1e9  # s: above it a time counts from 1970 (this was 2001), below from the start of the machine (31 years)


class PowerLog:
    """A file with the columns ``time`` (s) and ``power_w`` (W), other columns allowed, one sample a line.

    Times are seconds since 1970 (``time.time()``), or those of this machine's monotonic clock (``time.monotonic()``).

    Args:
        file: It may still grow.
        patience: Seconds to wait for samples.

    Raises:
        ValueError: A column is missing, or a line holds something else than numbers in ascending time.
        OSError: The file cannot be read.
    """

    name = "meter"

    def __init__(self, file: Path, patience: float = _PATIENCE) -> None:
        self.file = file
        self.covers = f"what the external meter is wired to ({file.name})"
        self._patience = patience
        self.read()

    def sampling(self) -> AbstractContextManager[object]:
        """Nothing to start: another program writes."""
        return nullcontext()

    def mark(self) -> Mark:
        """This moment."""
        return now()

    def joules(self, begin: Mark, end: Mark) -> float:
        """Energy between two moments; waits until the file reaches the later one.

        Raises:
            MeterError: It does not, it leaves gaps, or the system's clock was set meanwhile.
            ValueError: The file is damaged.
        """
        elapsed = end.monotonic - begin.monotonic
        if abs(end.epoch - begin.epoch - elapsed) > 0.01 * elapsed + 0.01:
            raise MeterError("the system's clock was set during the measurement: measure again")
        deadline = time.monotonic() + self._patience
        while True:
            times, watts = self.read()
            first, last = (begin.epoch, end.epoch) if times and times[-1] > _EPOCH else (begin.monotonic, end.monotonic)
            if times and times[-1] >= last:
                break
            if time.monotonic() > deadline:
                reached = f"its last sample is {last - times[-1]:.1f} s earlier" if times else "it holds no sample"
                raise MeterError(
                    f"{self.file} does not reach the end of the measurement: {reached}. Keep the meter logging while "
                    "this runs; time is in seconds since 1970, or of this machine's monotonic clock"
                )
            time.sleep(0.1)
        try:
            return integrate(times, watts, first, last)
        except MeterError as error:
            raise MeterError(f"{self.file}: {error}") from error

    def read(self) -> tuple[list[float], list[float]]:
        """Times and watts of the samples so far; a last line without its end is still being written, and left out.

        Raises:
            ValueError: See the class.
            OSError: The file cannot be read.
        """
        text = self.file.read_text(encoding="utf-8-sig", errors="replace")
        rows = csv.reader(text[: text.rfind("\n") + 1].splitlines())
        head = [name.strip() for name in next(rows, [])]
        if missing := [name for name in COLUMNS if name not in head]:
            raise ValueError(
                f"{self.file}: no column {' and no column '.join(missing)}; expected a first line that names the "
                f"columns time (s) and power_w (W), found {', '.join(head) or 'an empty file'}"
            )
        places = [head.index(name) for name in COLUMNS]
        times: list[float] = []
        watts: list[float] = []
        for row in rows:
            if not row:
                continue
            moment, power = self._sample(row, places, rows.line_num)
            if times and moment <= times[-1]:
                raise ValueError(f"{self.file}, line {rows.line_num}: time {moment} is not later than the line before")
            times.append(moment)
            watts.append(power)
        return times, watts

    def _sample(self, row: list[str], places: list[int], line: int) -> tuple[float, float]:
        try:
            moment, power = (float(row[place]) for place in places)
        except (IndexError, ValueError):
            moment = power = math.nan
        if not (math.isfinite(moment) and math.isfinite(power)):
            raise ValueError(f"{self.file}, line {line}: {','.join(row)!r}: expected numbers for time and power_w")
        return moment, power
