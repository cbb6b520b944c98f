"""The figures of one device, read from what ``groupnl-device bench`` wrote."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

_LEVELS = {
    "model": str,
    "model_bytes": int,
    "manifest_sha256": str,
    "rows": list,
    "left_out": dict,
    "settings": dict,
    "hardware": dict,
    "versions": dict,
    "notes": list,
    "date": str,
}
_NUMBERS = (
    "latency_ms_median",
    "latency_ms_p90",
    "latency_ms_p99",
    "images_per_second",
    "latency_spread",
    "ratio_to_first",
    "cold_start_ms",
)
_MAYBE = ("peak_memory_bytes", "energy_mj")


@dataclass(frozen=True, kw_only=True)
class DeviceRow:
    """One form of the net with one number of threads.

    Attributes:
        form: runtime/form/precision.
        threads: Of the runtime.
        latency_ms_median: Of one picture, the net alone.
        latency_ms_p90: 90 % of the runs took at most this.
        latency_ms_p99: 99 % of the runs took at most this.
        images_per_second: One after the other.
        latency_spread: Largest minus smallest median of repeated blocks, over the median.
        block_medians_ms: These medians.
        ratio_to_first: Median over that of the device's first form with as many threads.
        cold_start_ms: From starting a process to its first answer.
        peak_memory_bytes: Of that process; None: not known.
        energy_mj: Of one inference, idle power subtracted; None: not measured.
    """

    form: str
    threads: int
    latency_ms_median: float
    latency_ms_p90: float
    latency_ms_p99: float
    images_per_second: float
    latency_spread: float
    block_medians_ms: tuple[float, ...]
    ratio_to_first: float
    cold_start_ms: float
    peak_memory_bytes: int | None
    energy_mj: float | None


@dataclass(frozen=True, kw_only=True)
class DeviceFigures:
    """What was measured on one device.

    Attributes:
        name: What to call it: by default its board or processor.
        model: Name of the net.
        model_bytes: Size of its bundle.
        manifest_sha256: Tells bundles of one name apart.
        rows: In the order in which they were asked for.
        energy_covers: What the energy is that of; None: no meter.
        energy_reasons: Why rows are without energy, each reason once.
        idle_w: Power at rest, which was subtracted.
        left_out: Form of the net -> why it could not run, where forms were compared.
        notes: What a reader should know.
        settings: ``runs``, ``warmup``, ``compare`` and more.
        hardware: What the device says of itself.
        versions: Of Python and the packages.
        date: When it was measured.
    """

    name: str
    model: str
    model_bytes: int
    manifest_sha256: str
    rows: tuple[DeviceRow, ...]
    energy_covers: str | None
    energy_reasons: tuple[str, ...]
    idle_w: float | None
    left_out: Mapping[str, str]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    hardware: Mapping[str, Any]
    versions: Mapping[str, Any]
    date: str


def is_bench(record: Mapping[str, Any]) -> bool:
    """Whether ``groupnl-device bench`` wrote this, in any version."""
    return record.get("kind") == "bench" or {"latency_ms_median", "cold_start_ms", "artifact"} <= record.keys()


def read_device(record: Mapping[str, Any]) -> DeviceFigures:
    """Read what ``groupnl-device bench --json`` wrote.

    Raises:
        ValueError: Something is missing or no number; the message names it.
    """
    if missing := [key for key in _LEVELS if key not in record]:
        raise ValueError(
            f"no {', '.join(missing)}: expected what groupnl-device bench --json writes; an older one wrote less, so "
            "measure again"
        )
    for key, kind in _LEVELS.items():
        if not isinstance(record[key], kind):
            raise ValueError(f"{key}={record[key]!r}: expected {kind.__name__}")
    if not record["rows"]:
        raise ValueError("rows is empty: expected at least one measurement")
    hardware = record["hardware"]
    return DeviceFigures(
        name=str(hardware.get("processor", "unknown device")),
        model=record["model"],
        model_bytes=record["model_bytes"],
        manifest_sha256=record["manifest_sha256"],
        rows=tuple(_row(place, row) for place, row in enumerate(record["rows"])),
        energy_covers=record.get("energy_covers"),
        energy_reasons=tuple(
            dict.fromkeys(str(row["energy_reason"]) for row in record["rows"] if row.get("energy_reason"))
        ),
        idle_w=record.get("idle_w"),
        left_out=record["left_out"],
        notes=tuple(map(str, record["notes"])),
        settings=record["settings"],
        hardware=hardware,
        versions=record["versions"],
        date=record["date"],
    )


def _row(place: int, row: Any) -> DeviceRow:
    where = f"rows[{place}]"
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}={row!r}: expected an object")
    for key in (*_NUMBERS, *_MAYBE):
        value = row.get(key)
        if value is None and key in _MAYBE:
            continue
        if not _is_number(value) or (value < 0 and key != "energy_mj"):
            raise ValueError(f"{where}: {key}={value!r}, expected a number of at least 0")
    threads, blocks = row.get("threads"), row.get("block_medians_ms")
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ValueError(f"{where}: threads={threads!r}, expected an integer of at least 1")
    if not isinstance(blocks, list) or not blocks or not all(map(_is_number, blocks)):
        raise ValueError(f"{where}: block_medians_ms={blocks!r}, expected a list of numbers")
    figures: dict[str, Any] = {key: row.get(key) for key in (*_NUMBERS, *_MAYBE)}
    return DeviceRow(form=str(row.get("artifact")), threads=threads, block_medians_ms=tuple(blocks), **figures)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
