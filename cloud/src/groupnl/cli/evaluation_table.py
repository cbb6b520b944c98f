"""Evaluations and comparisons for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from groupnl.evaluation import Comparison, Evaluation, SeedSummary

_SETS = {"mce15": "the 15 corruptions of mCE", "all": "all 19 corruptions", "custom": "the corruptions shown"}


def table_of(result: "Evaluation") -> Table:
    """Errors per corruption, severity and family, in percent."""
    table = Table(
        "error, %",
        *map(str, result.severities),
        "mean",
        "ECE",
        title=f"{result.name} on {result.data}, {result.split}, {result.images:,} images",
        caption="\n".join(_notes(result)),
        caption_justify="left",
    )
    has_relative = any("relative_ce" in found for found in result.corruptions.values())
    if result.baseline is not None:
        table.add_column(f"CE, % of {result.baseline}")
        if has_relative:
            table.add_column("relative CE")
    blank = [""] * len(result.severities)
    table.add_row("clean", *blank, _percent(1 - result.clean_accuracy), _percent(result.clean_ece))
    table.add_section()
    for corruption, found in result.corruptions.items():
        errors = [_percent(found["severities"][str(severity)]) for severity in result.severities]
        ratios = [f"{100 * found[key]:.1f}" if key in found else "" for key in ("ce", "relative_ce")]
        table.add_row(corruption, *errors, _percent(found["error"]), _percent(found["ece"]), *ratios[: _ratios(table)])
    if result.mean_error is not None and result.mean_ece is not None:
        table.add_section()
        for family, error in result.families.items():
            table.add_row(f"all {family}", *blank, _percent(error))
        table.add_section()
        table.add_row("mean_error", *blank, _percent(result.mean_error), _percent(result.mean_ece))
    return table


def table_of_seeds(name: str, evaluations: Sequence["Evaluation"], summary: "SeedSummary") -> Table:
    """One row a checkpoint, then the mean over the training seeds."""
    columns = [key for key in ("clean_accuracy", "mean_error", "mce") if getattr(summary, key) is not None]
    table = Table(
        "training seed",
        *(f"{key}, %" for key in columns),
        title=f"{name} on {evaluations[0].data}, {evaluations[0].split}: {summary.seeds} checkpoints",
        caption="95 %: Student's t interval of the mean over the training seeds",
        caption_justify="left",
    )
    for number, one in enumerate(evaluations, 1):
        table.add_row(str(number), *(_percent(getattr(one, key)) for key in columns))
    table.add_section()
    figures = [getattr(summary, key) for key in columns]
    table.add_row("mean", *(_percent(figure.mean) for figure in figures))
    table.add_row("95 %", *("" if figure.interval is None else _range(figure.interval) for figure in figures))
    return table


def table_of_comparison(found: "Comparison") -> Table:
    """The differences of two nets, in points of a percent."""
    table = Table(
        "first minus second",
        "difference, points",
        "95 %",
        "p",
        title=f"{found.first} (first) and {found.second} (second) on the same {found.images:,} images",
        caption=f"clean: {found.clean.only_first_right:,} images only the first got right, "
        f"{found.clean.only_second_right:,} only the second (McNemar's exact test); corrupted: sign-flip test over "
        "the images",
        caption_justify="left",
    )
    rows = [("clean_accuracy", found.clean.difference, found.clean.interval, found.clean.p_value)]
    if found.corrupted is not None:
        corrupted = found.corrupted
        rows.append(("mean_error", corrupted.difference, corrupted.interval, corrupted.p_value))
    for key, difference, interval, p_value in rows:
        table.add_row(key, f"{100 * difference:+.2f}", _range(interval, "+.2f"), f"{p_value:.2g}")
    return table


def _notes(result: "Evaluation") -> list[str]:
    clean = _range(result.intervals["clean_accuracy"])
    notes = [f"clean_accuracy {_percent(result.clean_accuracy)} % (95 %: {clean})"]
    if result.mean_error is None:
        return notes
    notes.append(
        f"mean_error {_percent(result.mean_error)} % (95 %: {_range(result.intervals['mean_error'])}), over "
        f"{_SETS[result.corruption_set]} at {len(result.severities)} severities"
    )
    if result.mce is not None:
        relative = "" if result.relative_mce is None else f", relative mCE {100 * result.relative_mce:.1f} %"
        notes.append(f"mCE {100 * result.mce:.1f} % of {result.baseline}, over the 15 corruptions{relative}")
    frost = "" if result.frost_source is None else f"; frost from: {result.frost_source}"
    notes.append(f"corruptions {result.corrupted_by}: {result.corrupted_source}{frost}")
    return notes


def _ratios(table: Table) -> int:
    """How many columns of CE a table has."""
    return sum("CE, %" in str(column.header) or column.header == "relative CE" for column in table.columns)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _range(interval: tuple[float, float], form: str = ".2f") -> str:
    return f"{100 * interval[0]:{form}} to {100 * interval[1]:{form}}"
