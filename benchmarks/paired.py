"""Is one variant better than another? Means over seeds, and differences paired by seed with their 95 % interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Student's t, two-sided 95 % (the 0.975 quantile) for 1, 2, ... degrees of freedom; checked against scipy in the tests.
_T = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)
FIGURES = {"clean_accuracy": "clean accuracy, %", "mean_error": "mean error, %"}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The mean of paired differences, and how far from it the true one may lie at 95 % confidence."""

    mean: float
    half_width: float  # of the interval
    pairs: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out. One of twenty comparisons of equals does so by chance."""
        return abs(self.mean) > self.half_width


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and its standard error; None where one value shows no spread.

    Raises:
        ValueError: No values.
    """
    if not values:
        raise ValueError("no values: expected one or more, one per seed")
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Mean of ``first - second`` and its 95 % t interval; None for fewer than two pairs, which show no spread.

    Args:
        first: One value per seed.
        second: The same of another variant, in the same order of seeds.

    Raises:
        ValueError: The lengths differ, or there are more than 31 pairs, beyond the table of t.
    """
    if len(first) != len(second) or len(first) > len(_T) + 1:
        raise ValueError(
            f"{len(first)} and {len(second)} values: expected as many of each, paired by seed, at most {len(_T) + 1}"
        )
    if len(first) < 2:
        return None
    mean, error = mean_and_error([a - b for a, b in zip(first, second, strict=True)])
    return Difference(mean=mean, half_width=_T[len(first) - 2] * (error or 0.0), pairs=len(first))


def accuracy_table(nets: Sequence[Mapping[str, Any]], key: str, against: str) -> str:
    """Means over seeds with their standard error, and differences to one of the nets, paired by seed.

    Args:
        nets: Rows of an experiment: each with ``seed``, ``clean_accuracy``, ``mean_error``, shares of 1.
        key: What tells the nets apart: ``form``, ``variant``.
        against: The net that the others are compared with.
    """
    lines = [f"| {key} | seeds | " + " | ".join(f"{title} | against {against}" for title in FIGURES.values()) + " |"]
    lines.append("|---|---:|" + "---:|---:|" * len(FIGURES))
    by_name: dict[str, dict[int, Mapping[str, Any]]] = {}
    for net in nets:
        by_name.setdefault(net[key], {})[net["seed"]] = net
    base = by_name.get(against, {})
    for name, found in by_name.items():
        cells = [name, str(len(found))]
        for figure in FIGURES:
            mean, error = mean_and_error([100 * net[figure] for net in found.values()])
            cells.append(f"{mean:.1f}" + ("" if error is None else f" ± {error:.1f}"))
            both = [seed for seed in found if seed in base and name != against]
            gap = paired_difference([100 * found[s][figure] for s in both], [100 * base[s][figure] for s in both])
            cells.append("" if gap is None else _difference(gap.mean, gap.half_width, clear=gap.is_clear))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _difference(mean: float, half_width: float, *, clear: bool) -> str:
    text = f"{round(mean, 1) + 0.0:+.1f} ± {half_width:.1f}"
    return f"**{text}**" if clear else text
