"""Which net is better where, in words, from the figures of one run."""

import math
from collections.abc import Mapping
from typing import Any

_Z95 = 1.96  # two-sided 95 % of the normal distribution
_LATENCY_NOISE = 0.05  # medians that are closer than this on a shared machine are called equal


def verdicts(results: Mapping[str, Any]) -> list[str]:
    """Sentences that compare every net with the baseline.

    A difference in accuracy is called real only where it exceeds the 95 % interval of two independent measurements on
    ``test_images`` pictures (normal approximation of the binomial); a single training run says nothing about other
    seeds, and the last sentence says so.

    Args:
        results: See :func:`groupnl.report.check_results`.
    """
    baseline_name = results["baseline"]
    baseline = results["nets"][baseline_name]
    images = results["test_images"]
    sentences = []
    for name, net in results["nets"].items():
        if name == baseline_name:
            continue
        sentences += [
            _accuracy(
                name, baseline_name, net["clean_accuracy"], baseline["clean_accuracy"], images, "on clean pictures"
            ),
            _robustness(name, baseline_name, net, baseline, images),
            f"{name} has {_less(net['params'], baseline['params'])} parameters and "
            f"{_less(net['macs'], baseline['macs'])} multiply-adds; its bundle has "
            f"{_less(net['bundle_bytes'], baseline['bundle_bytes'])} bytes.",
            _latency(name, baseline_name, net["latency_ms_median"], baseline["latency_ms_median"]),
            _training(name, net["train_seconds"], baseline["train_seconds"]),
        ]
    sentences.append(
        f"These are figures of one training run per net, on {images:,} test pictures; another seed gives others. They "
        "show that everything works, not which method is better."
    )
    return sentences


def _margin(a: float, b: float, images: int) -> float:
    return _Z95 * math.sqrt((a * (1 - a) + b * (1 - b)) / images)


def _accuracy(name: str, baseline: str, ours: float, theirs: float, images: int, where: str) -> str:
    difference, margin = 100 * (ours - theirs), 100 * _margin(ours, theirs, images)
    figures = f"{ours:.1%} against {theirs:.1%}, {difference:+.1f} points; 95 % margin {margin:.1f}"
    if abs(difference) <= margin:
        return f"{name} and {baseline} are level {where} ({figures})."
    better, worse = (name, baseline) if difference > 0 else (baseline, name)
    return f"{better} is better than {worse} {where} ({figures})."


def _robustness(name: str, baseline_name: str, net: Mapping[str, Any], baseline: Mapping[str, Any], images: int) -> str:
    shared = [corruption for corruption in net["corruptions"] if corruption in baseline["corruptions"]]
    better = [c for c in shared if net["corruptions"][c]["error"] < baseline["corruptions"][c]["error"]]
    worse = [c for c in shared if net["corruptions"][c]["error"] > baseline["corruptions"][c]["error"]]
    # The same pictures are shown under every corruption, so their number, not the number of measurements, sets the
    # margin.
    whole = _accuracy(
        name, baseline_name, 1 - net["mean_error"], 1 - baseline["mean_error"], images, "on corrupted pictures"
    )
    return (
        f"{whole[:-1]}: {name} makes fewer errors under {_list(better)}, more under {_list(worse)}."
        if shared
        else whole
    )


def _latency(name: str, baseline: str, ours: float, theirs: float) -> str:
    ratio = ours / theirs
    figures = f"median {ours:.3f} ms against {theirs:.3f} ms a picture, ratio {ratio:.2f}"
    if abs(ratio - 1) <= _LATENCY_NOISE:
        return f"On the device {name} is as fast as {baseline} ({figures})."
    return f"On the device {name} is {'faster' if ratio < 1 else 'slower'} than {baseline} ({figures})."


def _training(name: str, ours: float, theirs: float) -> str:
    return f"Training {name} took {ours:.0f} s against {theirs:.0f} s, ratio {ours / theirs:.2f}."


def _less(ours: float, theirs: float) -> str:
    change = (ours - theirs) / theirs
    if abs(change) < 0.0005:
        return "as many"
    return f"{abs(change):.1%} {'fewer' if change < 0 else 'more'}"


def _list(names: list[str]) -> str:
    return ", ".join(names) if names else "none"
