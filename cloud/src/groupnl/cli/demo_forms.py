"""The demo's latencies: every form of every bundle, as the device's own command measures them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

from groupnl.cli.device_process import run_device

_OPTIONS = ("--compare", "--threads", "1", "--runs", "300", "--energy-seconds", "0")
_KEPT = ("latency_ms_median", "latency_ms_p90", "cold_start_ms", "peak_memory_bytes", "threads")


@dataclass(frozen=True, kw_only=True)
class Forms:
    """What was measured.

    Attributes:
        first: By net, the figures of the form that a device here takes.
        rows: One for each net and form that runs here: ``net``, ``form``, ``latency_ms_median`` and ``ratio``, to the
            first net's form.
        left_out: By form, why it does not run here.
    """

    first: dict[str, dict[str, Any]]
    rows: list[dict[str, Any]]
    left_out: dict[str, str]


def measure_forms(bundles: Mapping[str, Sequence[Path]], rounds: int) -> Forms:
    """Measure the forms of all bundles, of each the median round.

    Args:
        bundles: By net; the first form of the first one is what the others are compared with.
        rounds: Of each bundle, taking turns, so that a busy moment of the machine meets all.
    """
    measured: dict[str, dict[str, list[dict[str, Any]]]] = {net: {} for net in bundles}
    left_out: dict[str, str] = {}
    for _ in range(rounds):
        for net, path in [(net, path) for net, paths in bundles.items() for path in paths]:
            result = run_device(["bench", str(path), *_OPTIONS])
            left_out |= result["left_out"]
            for row in result["rows"]:
                measured[net].setdefault(row["artifact"], []).append(row)
    middle = {net: {form: _middle(found) for form, found in forms.items()} for net, forms in measured.items()}
    first = {net: {key: next(iter(forms.values()))[key] for key in _KEPT} for net, forms in middle.items()}
    against = next(iter(first.values()))["latency_ms_median"]
    rows = [
        {
            "net": net,
            "form": form,
            "latency_ms_median": row["latency_ms_median"],
            "ratio": row["latency_ms_median"] / against,
        }
        for net, forms in middle.items()
        for form, row in forms.items()
    ]
    return Forms(first=first, rows=rows, left_out=left_out)


def _middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The round with the median latency."""
    latency = median_low([row["latency_ms_median"] for row in rounds])
    return next(row for row in rounds if row["latency_ms_median"] == latency)
