"""Energy of one inference: the power while a net runs without a pause, less the power of the same machine at rest."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from groupnl_device.jetson import Jetson
from groupnl_device.power import Meter, MeterError
from groupnl_device.power_log import PowerLog
from groupnl_device.rapl import Rapl


@dataclass(frozen=True)
class AtRest:
    """What measures the power here, and the power before anything is loaded, in W."""

    meter: Meter
    idle_w: float


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What one inference takes.

    Attributes:
        energy_mj: Of one inference, the idle power subtracted.
        energy_with_idle_mj: The same, nothing subtracted.
        power_w: While the net runs, idle power included.
        energy_runs: Inferences that were counted.
        energy_seconds: Time they took.
    """

    energy_mj: float
    energy_with_idle_mj: float
    power_w: float
    energy_runs: int
    energy_seconds: float


def find_meter(power_log: Path | None = None) -> Meter:
    """What can measure energy here: the file of an external meter if one is given, else RAPL, else jetson-stats.

    Raises:
        MeterError: Nothing can; the message says why, source by source.
        ValueError: The file is not what a meter's file looks like.
        OSError: The file cannot be read.
    """
    if power_log is not None:
        return PowerLog(power_log)
    reasons = []
    for source in (Rapl, Jetson):
        try:
            return source()
        except MeterError as error:
            reasons.append(str(error))
    raise MeterError("; ".join(reasons))


def measure_at_rest(seconds: float, power_log: Path | None = None) -> AtRest:
    """Find a meter and measure the power of the machine while this process sleeps.

    Raises:
        MeterError: Nothing can tell.
        ValueError: See :func:`find_meter`.
        OSError: See :func:`find_meter`.
    """
    meter = find_meter(power_log)
    with meter.sampling():
        begin = meter.mark()
        time.sleep(seconds)
        end = meter.mark()
        return AtRest(meter, meter.joules(begin, end) / (end.monotonic - begin.monotonic))


def measure_energy(at_rest: AtRest, run: Callable[[], object], seconds: float) -> Energy:
    """Run again and again, and measure.

    Args:
        at_rest: The meter and what to subtract.
        run: One inference.
        seconds: How long, at least.

    Raises:
        MeterError: The energy cannot be told.
    """
    meter = at_rest.meter
    with meter.sampling():
        begin = meter.mark()
        runs, until = 0, begin.monotonic + seconds
        while runs == 0 or time.monotonic() < until:
            run()
            runs += 1
        end = meter.mark()
        joules = meter.joules(begin, end)
    elapsed = end.monotonic - begin.monotonic
    return Energy(
        energy_mj=1e3 * (joules - at_rest.idle_w * elapsed) / runs,
        energy_with_idle_mj=1e3 * joules / runs,
        power_w=joules / elapsed,
        energy_runs=runs,
        energy_seconds=elapsed,
    )
