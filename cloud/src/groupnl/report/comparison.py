"""The page that compares nets, from their evaluations: one self-contained file that opens offline."""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from groupnl.report import tables
from groupnl.report.canvas import draw_swatch
from groupnl.report.curves import draw_severity_panel
from groupnl.report.findings import findings
from groupnl.report.likeness import check_alike, check_comparison, unlike
from groupnl.report.net_figures import NetFigures
from groupnl.report.radar import draw_radar

_TITLE = 60  # letters of names in a title
_CONSTANTS = {"cifar": "those of CIFAR-10-C", "imagenet": "those of ImageNet-C", None: "those of the set that was read"}
_SETS = {"mce15": "the 15 corruptions of mCE", "all": "all 19 corruptions"}


def render_comparison(
    nets: Sequence[NetFigures],
    *,
    title: str | None = None,
    comparisons: Mapping[str, Mapping[str, Any]] | None = None,
    training: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The comparison as HTML.

    Args:
        nets: 1 to 12, measured alike; the others are compared with the first.
        title: Of the page; by default the nets and the data.
        comparisons: Net -> its paired comparison with the first net (``groupnl.evaluation.compare(net, first net)``).
        training: Results of ``groupnl train --json``.

    Raises:
        ValueError: The nets cannot be compared (:func:`groupnl.report.check_alike`), or a comparison is about a net
            that is not there, or does not follow from the answers behind the figures.
    """
    check_alike(nets)
    comparisons = comparisons or {}
    first, names = nets[0], [net.name for net in nets]
    for name, comparison in comparisons.items():
        check_comparison(name, comparison, nets)
    drawn = {net.name: net.drawn() for net in nets}
    corruptions = list(first.corruptions)
    same_baseline = len({net.baseline for net in nets}) == 1
    environment = Environment(loader=PackageLoader("groupnl.report", "."), autoescape=True)
    environment.filters["breakable"] = _breakable
    return environment.get_template("comparison.html").render(
        title=title or _title(names, first),
        subtitle=_subtitle(first),
        names=names,
        places={name: place for place, name in enumerate(names)},
        first=first.name,
        warnings=unlike(nets),
        findings=findings(nets, comparisons),
        trained_once=any(net.training_seeds == 1 for net in nets),
        reading=_reading(nets),
        overview=tables.overview(nets),
        paired=tables.paired(comparisons),
        by_corruption=tables.by_corruption(nets),
        by_severity=tables.by_severity(nets),
        ce=tables.by_corruption(nets, "ce") if same_baseline and first.baseline else None,
        training=tables.training(training),
        baseline=first.baseline,
        count=len(corruptions),
        severities=_listed(first.conditions.severities),
        corruption_words=f"These are {_set_words(first)}, {_made_words(nets)}{_frost_words(nets)}.",
        swatches=[_base64(draw_swatch(place)) for place in range(len(nets))],
        radar=_base64(draw_radar(drawn, form="svg")) if len(corruptions) >= 3 else None,
        panels=[(name, _base64(draw_severity_panel(drawn, name))) for name in corruptions],
        facts=_facts(nets, trained=bool(training) or any(net.train_minus_test is not None for net in nets)),
    )


def _breakable(name: str) -> Markup:
    """A name that may be broken behind _ and / and before +."""
    return Markup("<wbr>").join(escape(piece) for piece in re.split(r"(?<=[_/])|(?=\+)", name))


def _base64(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def _title(names: Sequence[str], first: NetFigures) -> str:
    listed = ", ".join(names)
    nets = listed if len(listed) <= _TITLE else f"{len(names)} nets"
    return f"{nets} on {first.conditions.data}"


def _subtitle(net: NetFigures) -> str:
    """Data and corruptions in one line."""
    on = f"{net.conditions.images:,} images of {net.conditions.data}, {net.conditions.split} split"
    if not net.corruptions:
        return f"{on}; no corruptions were run."
    severities = _listed(net.conditions.severities)
    return f"{on}, clean and under {_set_words(net)} at severities {severities}."


def _set_words(net: NetFigures) -> str:
    kind = net.conditions.corruption_set
    return _SETS.get(kind, f"{len(net.corruptions)} corruptions (neither the 15 of mCE nor all 19)")


def _made_words(nets: Sequence[NetFigures]) -> str:
    makers = dict.fromkeys((net.conditions.corrupted_by, net.conditions.corrupted_source) for net in nets)
    words = [
        f"read as published ({source})" if by == "published" else f"generated on the fly ({source})"
        for by, source in makers
    ]
    return " or ".join(words)


def _frost_words(nets: Sequence[NetFigures]) -> str:
    return f"; photographs of frost: {_frost_sources(nets)}" if "frost" in nets[0].corruptions else ""


def _frost_sources(nets: Sequence[NetFigures]) -> str:
    return "; ".join(dict.fromkeys(net.conditions.frost_source or "not recorded" for net in nets))


def _reading(nets: Sequence[NetFigures]) -> str:
    """What stands in the cells of the first table."""
    words = []
    if len(nets) > 1:
        words.append("Bold with a dot: the best figure, also where the lead is no more than chance.")
    has_one = any(net.training_seeds == 1 and net.clean_accuracy.interval for net in nets)
    has_many = any(net.training_seeds > 1 and net.clean_accuracy.interval for net in nets)
    if has_one:
        words.append("Under a figure of one training run: its 95 % interval, from a bootstrap over the images.")
    if has_many:
        words.append("Under a figure of several training runs: the 95 % interval of the mean over the runs.")
    return " ".join(words)


def _facts(nets: Sequence[NetFigures], *, trained: bool) -> list[tuple[str, str]]:
    """Conditions and definitions."""
    first = nets[0]
    conditions = first.conditions
    facts = [("data", f"{conditions.data}, {conditions.split} split, {conditions.images:,} images")]
    if first.corruptions:
        facts += [
            ("corruptions", f"{_set_words(first)}: {', '.join(conditions.corruptions)}"),
            ("made by", _made_words(nets)),
            ("constants", _CONSTANTS[conditions.variant]),
        ]
        if "frost" in conditions.corruptions:
            facts.append(("frost photographs", _frost_sources(nets)))
        facts.append(
            (
                "mean error",
                f"plain mean over the {len(conditions.corruptions)} corruptions and severities "
                f"{_listed(conditions.severities)}, clean images left out; it is no mCE",
            )
        )
    if baselines := list(dict.fromkeys(net.baseline for net in nets if net.mce is not None)):
        facts.append(
            (
                "mCE",
                "mean over the 15 corruptions of the error divided by the error of "
                f"{' or '.join(map(str, baselines))}; the relative mCE takes each net's clean error off before",
            )
        )
    if any(net.clean_ece is not None for net in nets):
        facts.append(("ECE", "expected calibration error: how far confidence and accuracy lie apart on average"))
    if trained:
        facts.append(
            (
                "train \N{MINUS SIGN} test",
                "accuracy of the finished net on the training set, nothing augmented, minus accuracy on the test set",
            )
        )
    return facts


def _listed(severities: Sequence[int]) -> str:
    """1 to 5, or 1, 3, 5."""
    if len(severities) > 2 and list(severities) == list(range(severities[0], severities[-1] + 1)):
        return f"{severities[0]} to {severities[-1]}"
    return ", ".join(map(str, severities))
