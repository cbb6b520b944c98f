"""The page on diversity that follows from results/diversity.json: theory, measured diversity, what it is worth."""

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.paired import mean_and_error, paired_difference

COMPARISONS = (  # first minus second, and the question
    ("l2 designed", "l2 random", "designed pairs, after l2"),
    ("rms designed", "rms random", "designed pairs, after rms"),
    ("rms random", "l2 random", "rms instead of l2, random pairs"),
    ("rms designed", "l2 random", "rms and designed pairs instead of l2 and random ones"),
    ("l2 random", "l2 identity", "the sine itself, random pairs"),
    ("l2 designed", "l2 identity", "the sine itself, designed pairs"),
    ("l2 random", "vanilla", "GroupNL instead of vanilla"),
)
HEAD = """# How new are the generated maps, and does it matter?

Made by `python -m benchmarks.diversity --write` from [results/diversity.json](../results/diversity.json)
(`{command}`, {date}, torch {torch}, {processor}).

A GroupNL layer computes seed maps y and generates the others as `sin(period (y - shift))`. A generated map that is
almost a linear function of its seed map tells the next layer nothing new. `groupnl.analysis.diversity` measures it on
images, `groupnl.analysis.design_nlf` chooses the pairs (period, shift) by theory, and `design_pairs_` gives them to a
net before it is trained.

## Theory

For y ~ N(0, s^2) the covariance of y and its sinusoids has a closed form (`groupnl.analysis.sine_covariance`).
`design_nlf` maximises the log-determinant of the correlation matrix; each map must keep a hundredth of the variance of
y. For one copy (reduction 2) the answer is simple: `period * shift` is an odd multiple of pi/2. The map is then
+cos(period y) or -cos(period y), an even function, and an even function is uncorrelated with y. The period is the
largest allowed. After `l2` s is 1/sqrt(S), so the wider the layer, the less the cosine varies; the random map hardly
loses variance, but it is almost a copy. After `rms` s is 1 at every width.

| norm | S | s | random: median correlation with y | log-determinant | variance ratio | designed: period, shift | correlation | log-determinant | variance ratio |
|---|---:|---:|---:|---:|---:|---|---:|---:|---:|
"""  # noqa: E501  # a table's row is one line
MEASURED = """
Medians over the default ranges; a log-determinant is 0 for uncorrelated maps; the variance ratio is that of the map
to y.

## Measured

ResNet-8 on {data}, {train_images:,} training and {test_images:,} test pictures, {epochs} epochs, {seeds} seeds
(weights, order and random pairs differ); mean error over seven corruptions at severities {severities}. Mean and
standard error over seeds.

| variant | clean accuracy, % | mean error under corruption, % |
|---|---:|---:|
"""
COMPARED = """
Differences in points, paired by seed, with 95 % intervals (Student's t). An interval that holds 0 shows no difference.
With {comparisons} intervals some may leave 0 out by chance: one in twenty does among equals.

| question | first - second | clean accuracy | mean error |
|---|---|---:|---:|
"""
LAYERS = """
Diversity after training, on the test pictures: median absolute correlation of a generated map with its seed map,
effective rank (Roy & Vetterli, 2007) of the seeds alone and of all maps, mean and standard deviation of the seed maps
(root mean square over maps). The theory takes y to be centred. Where the mean of trained seeds is as large as their
deviation, a designed map is not even about it, and the correlation is not 0.

| layer | variant | correlation | rank of seeds | rank of all | of maps | seeds' mean | seeds' deviation |
|---|---|---:|---:|---:|---:|---:|---:|
"""


def page(result: Mapping[str, Any]) -> str:
    """The page, a function of the figures alone."""
    seeds = len({net["seed"] for net in result["nets"]})
    text = HEAD.format(
        command=result["command"],
        date=result["date"],
        torch=result["versions"]["torch"],
        processor=result["hardware"]["processor"],
    )
    text += _rows(_theory_cells(row) for row in result["theory"])
    text += MEASURED.format(
        data=result["data"],
        train_images=result["train_images"],
        test_images=result["test_images"],
        epochs=result["epochs"],
        seeds=seeds,
        severities=", ".join(map(str, result["severities"])),
    )
    text += _rows(
        (variant, _percent(result, variant, "clean_accuracy"), _percent(result, variant, "mean_error"))
        for variant in _variants(result)
    )
    text += COMPARED.format(comparisons=2 * len(COMPARISONS))
    text += _rows(
        (question, f"{first} - {second}", *(_points(result, first, second, key) for key in _KEYS))
        for first, second, question in COMPARISONS
    )
    text += "\n" + verdict(result) + LAYERS
    text += _rows(
        _layer_cells(result, layer, variant)
        for layer in _layers(result)
        for variant in _variants(result)
        if _of(result, variant, layer)
    )
    if result["pictures"]:
        text += "\nSeed maps and what the layer makes of them, one seed:\n"
        for variant, file in result["pictures"].items():
            text += f"\n{variant}:\n\n![seed and generated maps, {variant}](images/{file})\n"
    return text


def verdict(result: Mapping[str, Any]) -> str:
    """Which differences are clear, in a sentence."""
    clear = [
        f"{question} ({name})"
        for first, second, question in COMPARISONS
        for key, name in zip(_KEYS, ("clean accuracy", "mean error"), strict=True)
        if _points(result, first, second, key).startswith("**")
    ]
    return f"Clear at 95 %: {'; '.join(clear) or 'none'}. All other differences are within what seeds make.\n"


def summary(result: Mapping[str, Any]) -> str:
    """The two tables of the outcome, for the terminal."""
    lines = [
        f"{variant:14} clean {_percent(result, variant, 'clean_accuracy'):>16} "
        f"mean error {_percent(result, variant, 'mean_error'):>16}"
        for variant in _variants(result)
    ]
    lines += [
        f"{first} - {second}: clean {_points(result, first, second, 'clean_accuracy')}, "
        f"mean error {_points(result, first, second, 'mean_error')}"
        for first, second, _ in COMPARISONS
    ]
    return "\n".join(lines)


_KEYS = ("clean_accuracy", "mean_error")


def _rows(rows: Iterable[Iterable[str]]) -> str:
    return "".join("| " + " | ".join(cells) + " |\n" for cells in rows)


def _theory_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["normalize"],
        str(row["seed_channels"] or "any"),
        f"{row['scale']:.3f}",
        f"{row['random_correlation_median']:.3f}",
        f"{row['random_log_determinant_median']:.2f}",
        f"{row['random_variance_ratio_median']:.2f}",
        f"{row['designed_period']:.3f}, {row['designed_shift']:.3f}",
        f"{row['designed_correlation']:.3f}",
        f"{row['designed_log_determinant']:.2f}".replace("-0.00", "0.00"),
        f"{row['designed_variance_ratio']:.3f}",
    )


def _variants(result: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(net["variant"] for net in result["nets"]))


def _layers(result: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(layer["layer"] for net in result["nets"] for layer in net["layers"]))


def _by_seed(result: Mapping[str, Any], variant: str, key: str) -> dict[int, float]:
    return {net["seed"]: net[key] for net in result["nets"] if net["variant"] == variant}


def _percent(result: Mapping[str, Any], variant: str, key: str) -> str:
    return _spread([100 * value for value in _by_seed(result, variant, key).values()], 2)


def _points(result: Mapping[str, Any], first: str, second: str, key: str) -> str:
    """The difference over the seeds that both have, in bold where its interval leaves 0 out."""
    a, b = _by_seed(result, first, key), _by_seed(result, second, key)
    both = sorted(set(a) & set(b))
    found = paired_difference([100 * a[seed] for seed in both], [100 * b[seed] for seed in both])
    if found is None:
        return "two seeds are needed"
    text = f"{found.mean:+.2f} ± {found.half_width:.2f}"
    return f"**{text}**" if found.is_clear else text


def _of(result: Mapping[str, Any], variant: str, layer: str) -> list[Mapping[str, Any]]:
    return [
        found
        for net in result["nets"]
        for found in net["layers"]
        if net["variant"] == variant and found["layer"] == layer
    ]


def _layer_cells(result: Mapping[str, Any], layer: str, variant: str) -> tuple[str, ...]:
    found = _of(result, variant, layer)
    total = found[0]["seed_channels"] + found[0]["generated_channels"]
    correlations = [one["correlation_median"] for one in found if one["correlation_median"] is not None]
    return (
        layer,
        variant,
        _spread(correlations, 3) if correlations else "-",
        _spread([one["effective_rank_seeds"] for one in found], 1),
        _spread([one["effective_rank"] for one in found], 1),
        str(total),
        _spread([one["seed_mean"] for one in found], 3),
        _spread([one["seed_std"] for one in found], 3),
    )


def _spread(values: list[float], digits: int) -> str:
    mean, error = mean_and_error(values)
    return f"{mean:.{digits}f}" if error is None else f"{mean:.{digits}f} ± {error:.{digits}f}"
