"""The tables of a comparison: what stands in each cell, and which figure of a row is the best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from groupnl.report.net_figures import Measure, NetFigures
from groupnl.report.numbers import p_value, percent, points

Better = Callable[[list[float]], float]  # min or max

_NONE = "\N{EN DASH}"
_GAP = "train \N{MINUS SIGN} test, points"


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a smaller note under it (an interval), and whether it is the best of its row or column."""

    text: str
    note: str = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """One row; a heading row is the mean of the rows below it."""

    label: str
    cells: Sequence[Cell]
    heading: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under heads; ``nets`` says whether the columns or the rows are the nets."""

    heads: Sequence[str]
    rows: Sequence[Row]


def overview(nets: Sequence[NetFigures]) -> Table:
    """One row a net: clean accuracy, mean error, mCE and calibration, those that were measured."""
    columns: list[tuple[str, Sequence[Cell]]] = [
        ("clean accuracy, %", _measures([net.clean_accuracy for net in nets], max)),
        ("mean error, %", _measures([net.mean_error for net in nets], min)),
    ]
    for baseline in dict.fromkeys(net.baseline for net in nets if net.mce is not None):
        mces = [net.mce if net.baseline == baseline else None for net in nets]
        relative = [net.relative_mce if net.baseline == baseline else None for net in nets]
        columns += [
            (f"mCE, % of {baseline}", _measures(mces, min)),
            (f"relative mCE, % of {baseline}", _shares(relative, min)),
        ]
    columns += [
        ("ECE clean, %", _shares([net.clean_ece for net in nets], min)),
        ("ECE corrupted, %", _shares([net.mean_ece for net in nets], min)),
        (_GAP, [_gap(net.train_minus_test) for net in nets]),
        ("training runs", [Cell(str(net.training_seeds)) for net in nets]),
    ]
    shown = [(head, cells) for head, cells in columns if any(cell.text != _NONE for cell in cells)]
    rows = [Row(net.name, [cells[place] for _, cells in shown]) for place, net in enumerate(nets)]
    return Table([head for head, _ in shown], rows)


def by_corruption(nets: Sequence[NetFigures], key: str = "error") -> Table | None:
    """One row a corruption under its family's mean, in percent.

    Args:
        nets: Alike.
        key: ``error``, or ``ce``, which a baseline may have for some corruptions only; the others are left out.
    """
    shown = {
        name: row["family"]
        for name, row in nets[0].corruptions.items()
        if all(key in net.corruptions[name] for net in nets)
    }
    rows = []
    for family in dict.fromkeys(shown.values()):
        members = [name for name in shown if shown[name] == family]
        means = [sum(net.corruptions[name][key] for name in members) / len(members) for net in nets]
        rows.append(Row(f"{family}, mean of {len(members)}", _shares(means, min), heading=True))
        rows += [Row(name, _shares([net.corruptions[name][key] for net in nets], min)) for name in members]
    return Table([net.name for net in nets], rows) if rows else None


def by_severity(nets: Sequence[NetFigures]) -> Table | None:
    """One row a severity: mean error over the corruptions, clean as severity 0."""
    if not nets[0].corruptions:
        return None
    found = [net.by_severity() for net in nets]
    clean = Row("0 (clean)", _shares([1 - net.clean_accuracy.value for net in nets], min))
    rows = [Row(str(s), _shares([errors[s] for errors in found], min)) for s in nets[0].conditions.severities]
    return Table([net.name for net in nets], [clean, *rows])


def paired(comparisons: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """One row a net: its differences from the first net on the same images. None without comparisons."""
    if not comparisons:
        return None
    rows = []
    for name, found in comparisons.items():
        clean, corrupted = found["clean"], found.get("corrupted")
        cells = [
            _difference(clean),
            Cell(f"{clean['only_first_right']:,} / {clean['only_second_right']:,}"),
            Cell(p_value(clean["p_value"]).removeprefix("= ")),
        ]
        cells += [_difference(corrupted), Cell(p_value(corrupted["p_value"]).removeprefix("= "))] if corrupted else []
        rows.append(Row(name, cells))
    heads = ["clean accuracy, points", "right alone: it / the first", "p", "mean error, points", "p"]
    return Table(heads[: len(rows[0].cells)], rows)


def training(runs: Sequence[Mapping[str, Any]]) -> Table | None:
    """One row a training run: accuracy of its net on both sets, the gap, epochs and time. None without runs."""
    if not runs:
        return None
    rows = []
    for run in runs:
        cells = [
            _plain(run.get("train_set_accuracy")),
            _plain(run.get("test_accuracy")),
            _gap(run.get("train_minus_test")),
            Cell(str(run["epochs"])),
            Cell(f"{run['train_seconds']:.0f}"),
        ]
        rows.append(Row(run["net"], cells))
    return Table(["training set, %", "test set, %", _GAP, "epochs", "seconds"], rows)


def _measures(measures: Sequence[Measure | None], better: Better) -> list[Cell]:
    cells = _shares([None if measure is None else measure.value for measure in measures], better)
    notes = ["" if measure is None else _interval(measure) for measure in measures]
    return [replace(cell, note=note) for cell, note in zip(cells, notes, strict=True)]


def _shares(values: Sequence[float | None], better: Better) -> list[Cell]:
    """In percent. What reads alike is alike: all of a best figure's equals are best, and none where all are equal."""
    known = [value for value in values if value is not None]
    texts = [_NONE if value is None else percent(value) for value in values]
    best = percent(better(known)) if len({percent(value) for value in known}) > 1 else None
    return [Cell(text, best=text == best) for text in texts]


def _plain(share: float | None) -> Cell:
    return Cell(_NONE if share is None else percent(share))


def _gap(difference: float | None) -> Cell:
    return Cell(_NONE if difference is None else points(difference))


def _interval(measure: Measure) -> str:
    return "" if measure.interval is None else f"{percent(measure.interval[0])} to {percent(measure.interval[1])}"


def _difference(found: Mapping[str, Any]) -> Cell:
    low, high = found["interval"]
    return Cell(points(found["difference"]), f"{points(low)} to {points(high)}")
