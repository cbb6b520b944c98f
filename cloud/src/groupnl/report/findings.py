"""What a comparison of evaluations says, in sentences that claim no more than the figures do."""

from collections.abc import Mapping, Sequence
from typing import Any

from groupnl.report.net_figures import Measure, NetFigures
from groupnl.report.numbers import p_value, percent, points

Comparison = Mapping[str, Any]


def findings(nets: Sequence[NetFigures], comparisons: Mapping[str, Comparison]) -> dict[str, list[str]]:
    """What sets each net apart from the first.

    Where a paired comparison is given, its interval decides whether two nets differ. Elsewhere they are called
    different only where their own intervals do not meet, which asks for more.

    Args:
        nets: Alike (:func:`groupnl.report.likeness.check_alike`).
        comparisons: Net -> its comparison with the first, as ``groupnl.evaluation.compare`` gives it: the net is its
            ``first``, the first net its ``second``.

    Returns:
        Net -> sentences, for every net but the first.
    """
    first, *others = nets
    return {net.name: _about(net, first, comparisons.get(net.name)) for net in others}


def _about(net: NetFigures, first: NetFigures, paired: Comparison | None) -> list[str]:
    said = [
        _by_pairs("Clean images", "accuracy", paired["clean"], first.name)
        if paired
        else _by_intervals("Clean images", "accuracy", net.clean_accuracy, first.clean_accuracy, first.name)
    ]
    if net.mean_error is not None and first.mean_error is not None:
        corrupted = paired and paired.get("corrupted")
        said += [
            _by_pairs("Corrupted images", "mean error", corrupted, first.name)
            if corrupted
            else _by_intervals("Corrupted images", "mean error", net.mean_error, first.mean_error, first.name),
            _by_corruption(net, first),
        ]
    return said


def _by_pairs(where: str, what: str, found: Mapping[str, Any], first: str) -> str:
    low, high = found["interval"]
    figures = (
        f"{what} {points(found['difference'])} points, 95 % interval {points(low)} to {points(high)}, "
        f"p {p_value(found['p_value'])}"
    )
    return f"{where}: {_verdict(what, found['difference'], level=low <= 0 <= high)} {first} ({figures})."


def _by_intervals(where: str, what: str, ours: Measure, theirs: Measure, first: str) -> str:
    figures = f"{what} {percent(ours.value)} % against {percent(theirs.value)} %"
    if ours.interval is None or theirs.interval is None:
        return f"{where}: {figures}; without an interval for both, nothing says how much of it is chance."
    overlap = max(ours.interval[0], theirs.interval[0]) <= min(ours.interval[1], theirs.interval[1])
    if overlap:
        return f"{where}: not told apart from {first} ({figures}; the 95 % intervals overlap)."
    verdict = _verdict(what, ours.value - theirs.value, level=False)
    return f"{where}: {verdict} {first} ({figures}; the 95 % intervals do not meet)."


def _verdict(what: str, difference: float, *, level: bool) -> str:
    if level:
        return "level with"
    return "better than" if (difference > 0) == (what == "accuracy") else "worse than"


def _by_corruption(net: NetFigures, first: NetFigures) -> str:
    changes = {name: row["error"] - first.corruptions[name]["error"] for name, row in net.corruptions.items()}
    order = sorted(changes, key=lambda name: changes[name])
    fewer = [name for name in order if changes[name] < 0]
    more = [name for name in reversed(order) if changes[name] > 0]
    parts = [
        f"{how} errors under {len(names)} of {len(changes)} corruptions (most: {names[0]}, "
        f"{points(changes[names[0]])} points)"
        for how, names in (("fewer", fewer), ("more", more))
        if names
    ]
    return f"One by one: {', '.join(parts) or 'equally many errors under every corruption'}."
