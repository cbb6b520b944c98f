"""Tables and picture of docs/robustness.md, from results/robustness/: ``python -m benchmarks.experiments --table``."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.marks import put_between
from benchmarks.paired import Difference, mean_and_error, paired_difference
from benchmarks.recipes import ABLATIONS, BASELINES, CONTROLS, GROUPNL, PROTOCOLS
from groupnl.corruptions import FAMILIES, names
from groupnl.evaluation.metrics import ce, mce

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "robustness.md"
IMAGES = ROOT / "docs" / "images"
MCE15 = names("mce15")
METHODS = ("vanilla", "vanilla-equal", *GROUPNL, "groupnl-identity", *BASELINES)
DATA = {"icons50": "Icons-50", "openicons": "OpenIcons", "cifar10": "CIFAR-10", "gtsrb": "GTSRB"}
TITLES = {"resnet18": "ResNet-18", "resnet18_quarter": "ResNet-18 at quarter width", "resnet8": "ResNet-8"}
PAIRS = ("groupnl-r2", *(name for name in ABLATIONS if "pairs" in name))

Result = Mapping[str, Any]
Group = Mapping[str, Mapping[int, Result]]  # method -> seed -> result


def read(folder: Path) -> dict[tuple[str, str, str], Group]:
    """All results by (protocol, data, augment)."""
    found: dict[tuple[str, str, str], dict[str, dict[int, Result]]] = {}
    for path in sorted(folder.glob("*/*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        key = (result["protocol"], result["data"], result["augment"])
        found.setdefault(key, {}).setdefault(result["method"], {})[result["seed"]] = result
    order = {name: place for place, name in enumerate((*PROTOCOLS, *DATA, "plain"))}
    return dict(sorted(found.items(), key=lambda item: [order.get(part, len(order)) for part in item[0]]))


# --- figures of one result, in percent ---


def clean(result: Result) -> float:
    """Accuracy on clean test images."""
    return 100 * float(result["evaluation"]["clean_accuracy"])


def gap(result: Result) -> float:
    """Accuracy on the training images, as they are, minus accuracy on the test images."""
    return 100 * float(result["training"]["train_minus_test"])


def error_over(result: Result, corruptions: Iterable[str]) -> float:
    """Mean error over corruptions and their five severities."""
    found = result["evaluation"]["corruptions"]
    return 100 * mean_and_error([found[name]["error"] for name in corruptions])[0]


def error_15(result: Result) -> float:
    """``mean_error`` over the 15 corruptions of mCE."""
    return error_over(result, MCE15)


def error_19(result: Result) -> float:
    """``mean_error`` over all 19."""
    return error_over(result, names("all"))


def added_error(result: Result) -> float:
    """How much ``error_15`` exceeds the error on clean images."""
    return error_15(result) - (100 - clean(result))


def mce_against(result: Result, vanilla: Result) -> float:
    """mCE with the vanilla net of the same seed as the baseline."""
    mine, theirs = result["evaluation"]["corruptions"], vanilla["evaluation"]["corruptions"]
    return 100 * mce({name: ce(mine[name]["error"], theirs[name]["error"]) for name in MCE15})


# --- tables ---


def main_table(group: Group, methods: Sequence[str]) -> str:
    """Every method: cost, accuracy, the train-minus-test gap, errors, and mCE against vanilla."""
    heads = ("parameters", "multiply-adds, M", "seeds", "clean accuracy", "train - test", "mean error, 15", "all 19")
    lines = ["| net | " + " | ".join((*heads, "mCE of vanilla")) + " |", "|---|" + "---:|" * (len(heads) + 1)]
    vanilla = group.get("vanilla", {})
    for method in methods:
        found = group.get(method)
        if not found:
            continue
        one = next(iter(found.values()))
        shared = [mce_against(result, vanilla[seed]) for seed, result in found.items() if seed in vanilla]
        cells = [method, f"{one['params']:,}", f"{one['macs'] / 1e6:.1f}", str(len(found))]
        cells += [_spread([figure(result) for result in found.values()]) for figure in (clean, gap, error_15, error_19)]
        cells.append("" if method == "vanilla" or not shared else _spread(shared))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def family_table(group: Group, methods: Sequence[str]) -> str:
    """Mean error of every method by family of corruptions."""
    lines = ["| mean error | " + " | ".join(FAMILIES) + " |", "|---|" + "---:|" * len(FAMILIES)]
    for method in methods:
        if found := group.get(method):
            cells = [_spread([error_over(result, names(f)) for result in found.values()]) for f in FAMILIES]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def question_table(groups: Mapping[tuple[str, str, str], Group]) -> str:
    """GroupNL at r = 2 against what decides each question: differences paired by seed with 95 % t intervals.

    Where several nets or data sets were trained plainly, a last row takes all their pairs together.
    """
    figures = ("clean accuracy", "mean error, 15", "added by corruption")
    heads = ("GroupNL r = 2 minus", "nets, data, training", "pairs", *figures)
    lines = [f"| {' | '.join(heads)} |", "|---|---|---:|---:|---:|---:|"]
    for other in ("vanilla", *CONTROLS, *BASELINES):
        pooled: list[tuple[Result, Result]] = []
        plain = 0
        for (protocol, data, augment), group in groups.items():
            mine, theirs = group.get("groupnl-r2", {}), group.get(other, {})
            pairs = [(mine[seed], theirs[seed]) for seed in sorted(set(mine) & set(theirs))]
            if len(pairs) > 1:
                lines.append(_question(other, f"{TITLES[protocol]}, {DATA[data]}, {augment}", pairs))
            if pairs and augment == "plain":
                pooled, plain = [*pooled, *pairs], plain + 1
        if plain > 1:
            lines.append(_question(other, "all plain together", pooled))
    return "\n".join(lines)


def _question(other: str, where: str, pairs: Sequence[tuple[Result, Result]]) -> str:
    gaps = [
        paired_difference([figure(mine) for mine, _ in pairs], [figure(theirs) for _, theirs in pairs])
        for figure in (clean, error_15, added_error)
    ]
    return f"| {other} | {where} | {len(pairs)} | " + " | ".join(map(_difference, gaps)) + " |"


def ablation_table(group: Group, baseline: str = "groupnl-r2") -> str:
    """Every variant of the layer against the default one."""
    lines = ["| variant | seeds | clean accuracy | against default | mean error, 15 | against default |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    base = group.get(baseline, {})
    for method in (baseline, "groupnl-identity", "groupnl-r4", "groupnl-r8", *ABLATIONS):
        found = group.get(method, {})
        if not found or (method in PAIRS and method != baseline):
            continue
        cells = [method, str(len(found))]
        both = [seed for seed in sorted(found) if seed in base and method != baseline]
        for figure in (clean, error_15):
            cells.append(_spread([figure(result) for result in found.values()]))
            cells.append(
                _difference(paired_difference([figure(found[s]) for s in both], [figure(base[s]) for s in both]))
            )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def luck_table(group: Group) -> str:
    """How far results move with the seed of the pairs, and with the seed of the training.

    Rows are pair seeds, columns training seeds; the spreads are standard deviations along each of them.
    """
    present = [name for name in PAIRS if name in group]
    seeds = sorted(set.intersection(*(set(group[name]) for name in present))) if present else []
    if len(present) < 2 or len(seeds) < 2:
        return "Not measured yet."
    lines = ["| | " + " | ".join(f"training seed {seed}" for seed in seeds) + " |", "|---|" + "---:|" * len(seeds)]
    for place, name in enumerate(present):
        cells = [f"{clean(group[name][s]):.1f} / {error_15(group[name][s]):.1f}" for s in seeds]
        lines.append(f"| pairs of seed {place} | " + " | ".join(cells) + " |")
    notes = []
    for title, figure in (("clean accuracy", clean), ("mean error, 15", error_15)):
        grid = [[figure(group[name][seed]) for seed in seeds] for name in present]
        of_pairs = [_deviation([row[column] for row in grid]) for column in range(len(seeds))]
        of_training = [_deviation(row) for row in grid]
        spreads = (mean_and_error(of_pairs)[0], mean_and_error(of_training)[0])
        notes.append(f"{title} {spreads[0]:.1f} and {spreads[1]:.1f}")
    about = (
        "Clean accuracy / mean error over 15, %. Standard deviation over the pairs' seeds and over the training seeds: "
    )
    return "\n".join(lines) + f"\n\n{about}{'; '.join(notes)} points."


def _spread(values: Sequence[float]) -> str:
    mean, error = mean_and_error(values)
    return f"{mean:.1f}" + ("" if error is None else f" ± {error:.1f}")


def _deviation(values: Sequence[float]) -> float:
    _, error = mean_and_error(values)
    return (error or 0.0) * math.sqrt(len(values))


def _difference(found: Difference | None) -> str:
    if found is None:
        return ""
    text = f"{round(found.mean, 1) + 0.0:+.1f} ± {found.half_width:.1f}"
    return f"**{text}**" if found.is_clear else text


# --- pictures ---


def draw(groups: Mapping[tuple[str, str, str], Group]) -> Figure:
    """Mean error over 15 corruptions: a faint dot a seed, a full one the mean; one panel a (net, data, training)."""
    columns = min(2, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(5.2 * columns, 2.9 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, ((protocol, data, augment), group) in zip(axes, groups.items(), strict=False):
        shown = [method for method in METHODS if method in group]
        for place, method in enumerate(shown):
            values = [error_15(result) for result in group[method].values()]
            colour = "#4477aa" if method.startswith("vanilla") else "#ee6677" if "groupnl" in method else "#228833"
            axis.plot(values, [place] * len(values), "o", color=colour, alpha=0.3, markersize=5)
            axis.plot(mean_and_error(values)[0], place, "D", color=colour, markersize=6)
        axis.set_yticks(range(len(shown)), shown, fontsize=8)
        axis.set_ylim(len(shown) - 0.5, -0.5)
        axis.set_title(f"{TITLES[protocol]}, {DATA[data]}, {augment}", fontsize=9)
        axis.set_xlabel("mean error over 15 corruptions, % (less is better)", fontsize=8)
        axis.tick_params(axis="x", labelsize=8)
        axis.grid(axis="x", alpha=0.3)
    for axis in axes[len(groups) :]:
        axis.set_visible(False)
    return figure


# --- the page ---


def blocks(groups: Mapping[tuple[str, str, str], Group]) -> dict[str, str]:
    """Name of each part of the page that is made from results -> its text."""
    parts = []
    for (protocol, data, augment), group in groups.items():
        first = next(iter(next(iter(group.values())).values()))
        evaluation, trained = first["evaluation"], first["training"]
        about = (
            f"{trained['epochs']} epochs; {evaluation['images']:,} test images; corruptions "
            f"{evaluation['corrupted_by']} ({evaluation['corrupted_source']}; frost: {evaluation['frost_source']}); "
            f"{first['hardware']['processor']}, torch {first['versions']['torch']}, {first['date']}."
        )
        title = f"#### {TITLES[protocol]}, {DATA[data]}, {augment}"
        parts.append(f"{title}\n\n{main_table(group, METHODS)}\n\n{family_table(group, METHODS)}\n\n{about}")
    ablations = [
        f"#### {TITLES[protocol]}, {DATA[data]}\n\n{ablation_table(group)}"
        for (protocol, data, augment), group in groups.items()
        if augment == "plain" and set(group) & set(ABLATIONS)
    ]
    luck = [
        f"#### {TITLES[protocol]}, {DATA[data]}\n\n{luck_table(group)}"
        for (protocol, data, augment), group in groups.items()
        if augment == "plain" and len(set(group) & set(PAIRS)) > 1
    ]
    return {
        "questions": question_table(groups),
        "tables": "\n\n".join(parts),
        "ablations": "\n\n".join(ablations) or "Not measured yet.",
        "luck": "\n\n".join(luck) or "Not measured yet.",
    }


def written(results: Path) -> str:
    """The page as it should be.

    Raises:
        ValueError: Marks are missing, or there is no result.
    """
    groups = read(results)
    if not groups:
        raise ValueError(f"{results}: no results; run python -m benchmarks.experiments --budget 25m first")
    page = PAGE.read_text(encoding="utf-8")
    for name, text in blocks(groups).items():
        begin = f"<!-- {name}: begin, written by python -m benchmarks.experiments --table -->"
        page = put_between(page, begin, f"<!-- {name}: end -->", text)
    return page


def write(results: Path) -> None:
    """Write the page and its picture."""
    PAGE.write_text(written(results), encoding="utf-8")
    shown = {key: group for key, group in read(results).items() if set(group) & {"vanilla", "groupnl-r2"}}
    draw(shown).savefig(IMAGES / "robustness.png", metadata={"Software": ""})
