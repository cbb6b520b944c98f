"""What a measurement on a device consists of: how it was made, one row a case, and where."""

from dataclasses import asdict, dataclass
from typing import Any

from groupnl_device.cold_start import ColdStart
from groupnl_device.energy import AtRest, Energy
from groupnl_device.latency import Latency
from groupnl_device.runtime import check_threads
from groupnl_device.turns import BLOCKS


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to measure.

    Attributes:
        threads: Of the runtime, one after the other.
        runs: Timed runs, one picture each, for every row.
        warmup: Untimed runs whenever a net was loaded.
        compare: Every artifact that runs here, not the first alone.
        energy_seconds: How long to measure the power, at rest and for every row; 0 is not at all.

    Raises:
        ValueError: A value is out of range.
    """

    threads: tuple[int, ...] = (1,)
    runs: int = 200
    warmup: int = 20
    compare: bool = False
    energy_seconds: float = 5.0

    def __post_init__(self) -> None:
        for name, value, least in (("runs", self.runs, 1), ("warmup", self.warmup, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r}: expected an integer of at least {least}")
        if not self.threads or len(set(self.threads)) < len(self.threads):
            raise ValueError(f"threads={list(self.threads)}: expected one number or more, each once")
        for threads in self.threads:
            check_threads(threads)
        if not 0 <= self.energy_seconds <= 3600:
            raise ValueError(f"energy_seconds={self.energy_seconds!r}: expected 0 (no energy) to 3600")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One artifact with one number of threads.

    Attributes:
        artifact: runtime/form/precision that was run.
        runtime: Its name and version.
        threads: Of the runtime.
        latency: Of the net alone: reading a picture, normalising it and the softmax are not timed.
        ratio_to_first: Median latency over that of the first artifact with as many threads.
        start: Cold start and peak memory, of a process of its own.
        energy: Of one inference; None where it cannot be told.
        energy_reason: Why not.
    """

    artifact: str
    runtime: str
    threads: int
    latency: Latency
    ratio_to_first: float
    start: ColdStart
    energy: Energy | None
    energy_reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, without levels."""
        energy = dict.fromkeys(Energy.__dataclass_fields__) if self.energy is None else asdict(self.energy)
        return {
            "artifact": self.artifact,
            "runtime": self.runtime,
            "threads": self.threads,
            **asdict(self.latency),
            "ratio_to_first": self.ratio_to_first,
            **self.start,
            **energy,
            "energy_reason": self.energy_reason,
        }


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """All that was measured of a bundle.

    Attributes:
        model: Name in the manifest.
        model_bytes: Size of the bundle.
        manifest_sha256: Of the manifest, which holds the hashes of everything else: tells bundles of one name apart.
        settings: How it was measured.
        rows: One for each artifact and number of threads.
        left_out: Artifact to the reason why it cannot run here; of a comparison.
        at_rest: What measured the power, and the power before anything was loaded, which is subtracted from the energy
            of the rows; None where nothing can.
        notes: What a reader of the figures should know: noise, too many threads.
        hardware: Board or processor and more, see :func:`groupnl_device.hardware.hardware`.
        versions: Of Python and the packages involved.
        date: UTC.
    """

    model: str
    model_bytes: int
    manifest_sha256: str
    settings: Settings
    rows: tuple[Row, ...]
    left_out: dict[str, str]
    at_rest: AtRest | None
    notes: tuple[str, ...]
    hardware: dict[str, str | int]
    versions: dict[str, str]
    date: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values: ``rows``, and the figures of the first of them on the first level as well."""
        return {
            "kind": "bench",
            "model": self.model,
            "model_bytes": self.model_bytes,
            "manifest_sha256": self.manifest_sha256,
            **self.rows[0].to_dict(),
            "runs": self.settings.runs,
            "warmup": self.settings.warmup,
            "rows": [row.to_dict() for row in self.rows],
            "left_out": self.left_out,
            "energy_source": self.at_rest.meter.name if self.at_rest else None,
            "energy_covers": self.at_rest.meter.covers if self.at_rest else None,
            "idle_w": self.at_rest.idle_w if self.at_rest else None,
            "notes": list(self.notes),
            "settings": {**asdict(self.settings), "threads": list(self.settings.threads), "blocks": BLOCKS},
            "hardware": self.hardware,
            "versions": self.versions,
            "date": self.date,
        }
