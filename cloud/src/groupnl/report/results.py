"""What a results.json must hold for a report to be made of it."""

from collections.abc import Mapping
from typing import Any

_NUMBERS = (
    "params",
    "macs",
    "clean_accuracy",
    "mean_error",
    "train_seconds",
    "bundle_bytes",
    "latency_ms_median",
    "agreement",
)
_SHARES = ("clean_accuracy", "mean_error", "agreement")


def check_results(results: Mapping[str, Any]) -> None:
    """Check the figures of a report.

    Args:
        results: ``{"nets": {name: {"params", "macs", "clean_accuracy", "mean_error", "corruptions", "train_seconds",
            "bundle_bytes", "latency_ms_median", "agreement"}}, "baseline": name, "test_images": count, ...}``;
            accuracies, errors and agreement between 0 and 1; ``corruptions`` maps a name to ``{"error", "severities":
            {"1": error}}``.

    Raises:
        ValueError: Something is missing or out of its range; the message names it.
    """
    nets = results.get("nets")
    if not isinstance(nets, Mapping) or not nets:
        raise ValueError("results: expected 'nets', an object with at least one net")
    if results.get("baseline") not in nets:
        raise ValueError(f"results: baseline={results.get('baseline')!r}: expected one of the nets {', '.join(nets)}")
    images = results.get("test_images")
    if not isinstance(images, int) or images < 1:
        raise ValueError(f"results: test_images={images!r}: expected a positive integer")
    for name, net in nets.items():
        for key in _NUMBERS:
            value = net.get(key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ValueError(f"results: net {name!r}: {key}={value!r}, expected a number of at least 0")
            if key in _SHARES and value > 1:
                raise ValueError(f"results: net {name!r}: {key}={value!r}, expected a share between 0 and 1")
        rows = net.get("corruptions")
        if not isinstance(rows, Mapping) or not rows:
            raise ValueError(f"results: net {name!r}: expected 'corruptions', an object with at least one corruption")
        for corruption, row in rows.items():
            errors = [row.get("error"), *row.get("severities", {}).values()]
            if len(errors) < 2 or not all(isinstance(e, int | float) and 0 <= e <= 1 for e in errors):
                raise ValueError(
                    f"results: net {name!r}: {corruption}: expected 'error' and 'severities', errors between 0 and 1"
                )
