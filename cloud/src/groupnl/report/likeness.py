"""Whether nets may be compared: what must be alike is refused where it is not, what weakens a comparison is said."""

from collections.abc import Mapping, Sequence
from typing import Any

from groupnl.report.canvas import MAX_NETS
from groupnl.report.net_figures import Measure, NetFigures

_SLACK = 1e-6  # between the difference of two stored means and the mean of the differences
_MUST_BE_ALIKE = {
    "data": "data set",
    "split": "split",
    "images": "number of images",
    "variant": "constants of the corruptions",
    "severities": "severities",
    "corruptions": "corruptions",
}


def check_alike(nets: Sequence[NetFigures]) -> None:
    """Refuse nets whose figures say nothing about each other.

    Raises:
        ValueError: There is no net or more than 12, two have one name, or two were measured on different data, split,
            images, constants, severities or corruptions.
    """
    if not nets or len(nets) > MAX_NETS:
        raise ValueError(f"{len(nets)} nets: expected 1 to {MAX_NETS}")
    names = [net.name for net in nets]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two nets are called {twice!r}: give each a name of its own (--name)")
    first = nets[0]
    for net in nets[1:]:
        for key, words in _MUST_BE_ALIKE.items():
            ours, theirs = getattr(first.conditions, key), getattr(net.conditions, key)
            if key == "corruptions":
                ours, theirs = tuple(sorted(ours)), tuple(sorted(theirs))
            unknown = key == "variant" and None in (ours, theirs)  # a set that was read does not say
            if ours != theirs and not unknown:
                raise ValueError(
                    f"{first.name} and {net.name} cannot be compared, they differ in {words}: "
                    f"{_difference(ours, theirs)}; evaluate both in the same way"
                )


def check_comparison(name: str, comparison: Mapping[str, Any], nets: Sequence[NetFigures]) -> None:
    """Refuse a paired comparison of other answers than those that the figures were counted from.

    Args:
        name: Of the net that was compared with the first.
        comparison: As ``groupnl.evaluation.compare`` gives it: the net is its ``first``, the first net its ``second``.
        nets: All that are shown.

    Raises:
        ValueError: There is no such net beside the first, or the differences are not those of the figures.
    """
    first, *others = nets
    by_name = {net.name: net for net in others}
    if name not in by_name:
        raise ValueError(f"a comparison of {name!r} with {first.name!r}: expected one of {', '.join(by_name)}")
    net, corrupted = by_name[name], comparison.get("corrupted")
    shown = [
        ("clean accuracy", comparison["clean"]["difference"], _change(net.clean_accuracy, first.clean_accuracy)),
        ("mean error", corrupted and corrupted["difference"], _change(net.mean_error, first.mean_error)),
    ]
    for what, by_answers, by_figures in shown:
        if not _agree(by_answers, by_figures):
            raise ValueError(
                f"the answers of {name} and {first.name} do not belong to their figures: in {what} they differ by "
                f"{by_answers}, the figures by {by_figures}; give each net the answers of the same evaluation"
            )


def unlike(nets: Sequence[NetFigures]) -> list[str]:
    """What makes the comparison weaker than it looks, in sentences; empty where nothing does."""
    found = []
    if any(net.conditions.corruptions for net in nets):
        by_maker = _by(nets, [_maker(net) for net in nets])
        if len(by_maker) > 1:
            found.append(
                "The corrupted images are not the same ones: "
                + _listed(by_maker)
                + ". Published and generated sets differ, and so do different versions and seeds: a small difference "
                "may come from the images alone, and no paired test applies."
            )
        by_frost = _by(nets, [net.conditions.frost_source or "not recorded" for net in nets])
        if len(by_frost) > 1 and "frost" in nets[0].conditions.corruptions:
            found.append(
                f"Frost was made from different photographs: {_listed(by_frost)}. Do not compare frost, nor means "
                "with frost in them."
            )
    by_seeds = _by(nets, [_runs(net.training_seeds) for net in nets])
    if len(by_seeds) > 1:
        found.append(
            f"Not all nets were trained equally often: {_listed(by_seeds)}. Intervals over training runs and intervals "
            "over images answer different questions."
        )
    return found


def _change(ours: Measure | None, theirs: Measure | None) -> float | None:
    return None if ours is None or theirs is None else ours.value - theirs.value


def _agree(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else abs(one - other) <= _SLACK


def _maker(net: NetFigures) -> str:
    return f"{net.conditions.corrupted_by}, {net.conditions.corrupted_source}"


def _runs(seeds: int) -> str:
    return "one training run" if seeds == 1 else f"{seeds} training runs"


def _by(nets: Sequence[NetFigures], texts: Sequence[str]) -> dict[str, list[str]]:
    """Text -> names of the nets that it is true of."""
    groups: dict[str, list[str]] = {}
    for net, text in zip(nets, texts, strict=True):
        groups.setdefault(text, []).append(net.name)
    return groups


def _listed(groups: dict[str, list[str]]) -> str:
    return "; ".join(f"{text} ({', '.join(names)})" for text, names in groups.items())


def _difference(ours: object, theirs: object) -> str:
    """The two values; of two lists of names only what one lacks."""
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        only_ours = ", ".join(str(one) for one in ours if one not in theirs)
        only_theirs = ", ".join(str(one) for one in theirs if one not in ours)
        sides = [
            f"only the {place} has {names}" for place, names in (("first", only_ours), ("second", only_theirs)) if names
        ]
        return ", ".join(sides)
    return f"{ours} and {theirs}"
