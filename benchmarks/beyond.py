"""Write the figures of docs/beyond.md from results/scenes.json, so that none is typed by hand.

python -m benchmarks.beyond             # write
python -m benchmarks.beyond --check     # exit 1 where page and results differ
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.marks import put_between
from benchmarks.paired import mean_and_error, paired_difference

ROOT = Path(__file__).parents[1]
PAGE, RESULTS = ROOT / "docs" / "beyond.md", ROOT / "results" / "scenes.json"
BEGIN, END = "<!-- scenes: begin, written by python -m benchmarks.beyond -->", "<!-- scenes: end -->"


def points(values: Sequence[float]) -> str:
    """Shares as percent: mean, and standard error where there is one."""
    mean, error = mean_and_error([100 * value for value in values])
    return f"{mean:.1f}" if error is None else f"{mean:.1f} ± {error:.1f}"


def table(results: Mapping[str, Any]) -> str:
    """Nets in rows; what they cost and score in columns, mean ± standard error over the seeds."""
    by_form = _by_form(results["nets"])
    corruptions = list(results["nets"][0]["corruptions"])
    head = ["net", "parameters", "multiply-adds, M", "pixel accuracy, %", "mean IoU, %"]
    lines = ["| " + " | ".join([*head, *corruptions]) + " |"]
    lines.append("|---|" + "---:|" * (len(head) - 1 + len(corruptions)))
    for form, nets in by_form.items():
        cells = [
            form,
            f"{nets[0]['params']:,}",
            f"{nets[0]['macs'] / 1e6:.1f}",
            points([net["pixel_accuracy"] for net in nets]),
            points([net["mean_iou"] for net in nets]),
            *(points([net["corruptions"][name]["mean_iou"] for net in nets]) for name in corruptions),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    ground = results["all_ground"]
    blank = " | ".join("" for _ in corruptions)
    lines.append(
        f"| (ground everywhere) | | | {100 * ground['pixel_accuracy']:.1f} | {100 * ground['mean_iou']:.1f} | {blank} |"
    )
    return "\n".join(lines)


def verdicts(results: Mapping[str, Any]) -> list[str]:
    """GroupNL against the other two, paired by seed, in words; nothing from a single seed."""
    by_form = _by_form(results["nets"])
    sentences = []
    for other, name in (("vanilla", "vanilla"), ("identity", "the identity control")):
        for key, where in (("mean_iou", "clean scenes"), ("corrupted_mean_iou", "mean of the corruptions")):
            ours, theirs = ([100 * net[key] for net in by_form[form]] for form in ("GroupNL", other))
            if (gap := paired_difference(ours, theirs)) is not None:
                shown = round(gap.mean, 1) + 0.0  # no "-0.0"
                doubt = "" if gap.is_clear else ", no clear difference"
                sentences.append(
                    f"GroupNL minus {name}, mean IoU, {where}: {shown:+.1f} ± {gap.half_width:.1f} points{doubt}."
                )
    return sentences


def block(results: Mapping[str, Any]) -> str:
    """The part of the page between the marks."""
    hardware, seeds = results["hardware"], sorted({net["seed"] for net in results["nets"]})
    return "\n".join(
        [
            table(results),
            "",
            f"Mean ± standard error; seeds: {', '.join(map(str, seeds))}. The last columns are mean IoU, %, under "
            f"corruptions of severity {results['severity']} (CIFAR-10-C's constants). Differences paired by seed, with "
            "95 % intervals (Student's t); an interval that holds 0 shows no difference:",
            "",
            *(f"- {sentence}" for sentence in verdicts(results)),
            "",
            "![Scenes, truth, and what the vanilla and the GroupNL net say](images/scenes.png)",
            "",
            f"`{results['command']}` on {hardware['processor']}, {results['date']}, torch "
            f"{results['versions']['torch']}; {results['train_scenes']:,} training scenes, {results['test_scenes']:,} "
            "test scenes; figures: [results/scenes.json](../results/scenes.json).",
        ]
    )


def written(page: str, results: Mapping[str, Any]) -> str:
    """The page with its block made anew.

    Raises:
        ValueError: The marks are missing.
    """
    return put_between(page, BEGIN, END, block(results))


def _by_form(nets: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The nets of each form, in the order of the run's seeds.

    Raises:
        ValueError: The forms have different seeds.
    """
    by_form: dict[str, list[Mapping[str, Any]]] = {}
    for net in nets:
        by_form.setdefault(net["form"], []).append(net)
    seeds = {form: [net["seed"] for net in trained] for form, trained in by_form.items()}
    if len({tuple(trained) for trained in seeds.values()}) != 1:
        raise ValueError(f"seeds of each form: {seeds}; expected the same for all: let python -m benchmarks.scenes end")
    return by_form


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something differs")
    arguments = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    new = written(page, json.loads(RESULTS.read_text(encoding="utf-8")))
    if arguments.check:
        print(
            "docs/beyond.md follows from results/scenes.json"
            if new == page
            else "docs/beyond.md differs: run python -m benchmarks.beyond"
        )
        return int(new != page)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
