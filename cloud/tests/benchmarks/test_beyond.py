"""The page on segmentation follows from its figures."""

import json
from pathlib import Path

import pytest

from benchmarks import beyond

ROOT = Path(__file__).parents[3]


def made_up(form: str, seed: int, iou: float, corrupted: float) -> dict[str, object]:
    return {
        "form": form,
        "seed": seed,
        "params": 1234,
        "macs": 5_600_000,
        "mean_iou": iou,
        "pixel_accuracy": 0.75,
        "corruptions": {"contrast": {"mean_iou": corrupted, "pixel_accuracy": 0.5}},
        "corrupted_mean_iou": corrupted,
    }


RESULTS = {
    "all_ground": {"mean_iou": 0.08, "pixel_accuracy": 0.7},
    "nets": [
        made_up("vanilla", 0, 0.50, 0.40),
        made_up("GroupNL", 0, 0.47, 0.41),
        made_up("identity", 0, 0.45, 0.26),
        made_up("vanilla", 1, 0.52, 0.40),
        made_up("GroupNL", 1, 0.50, 0.39),
        made_up("identity", 1, 0.45, 0.26),
    ],
}


def test_the_table_by_hand():
    assert beyond.table(RESULTS).splitlines()[2:] == [
        "| vanilla | 1,234 | 5.6 | 75.0 ± 0.0 | 51.0 ± 1.0 | 40.0 ± 0.0 |",
        "| GroupNL | 1,234 | 5.6 | 75.0 ± 0.0 | 48.5 ± 1.5 | 40.0 ± 1.0 |",
        "| identity | 1,234 | 5.6 | 75.0 ± 0.0 | 45.0 ± 0.0 | 26.0 ± 0.0 |",
        "| (ground everywhere) | | | 70.0 | 8.0 |  |",
    ]


def test_the_differences_are_paired_by_seed():
    """With two seeds the 95 % interval is 12.7 standard errors to each side."""
    assert beyond.verdicts(RESULTS) == [
        "GroupNL minus vanilla, mean IoU, clean scenes: -2.5 ± 6.4 points, no clear difference.",
        "GroupNL minus vanilla, mean IoU, mean of the corruptions: +0.0 ± 12.7 points, no clear difference.",
        "GroupNL minus the identity control, mean IoU, clean scenes: +3.5 ± 19.1 points, no clear difference.",
        "GroupNL minus the identity control, mean IoU, mean of the corruptions: +14.0 ± 12.7 points.",
    ]


def test_one_seed_says_nothing_about_differences():
    assert beyond.verdicts({**RESULTS, "nets": RESULTS["nets"][:3]}) == []


def test_an_unfinished_run_is_refused():
    with pytest.raises(ValueError, match="expected the same for all"):
        beyond.table({**RESULTS, "nets": RESULTS["nets"][:-1]})


def test_a_page_without_its_marks_is_refused():
    whole = {
        **RESULTS,
        "hardware": {"processor": "a processor"},
        "versions": {"torch": "2"},
        "severity": 3,
        **dict.fromkeys(("command", "date"), ""),
        **dict.fromkeys(("train_scenes", "test_scenes"), 1),
    }
    with pytest.raises(ValueError, match="expected the marks"):
        beyond.written("no marks", whole)


def test_the_page_follows_from_the_committed_figures():
    if not beyond.RESULTS.exists():
        pytest.skip("results/scenes.json is not there: run python -m benchmarks.scenes")
    page = beyond.PAGE.read_text(encoding="utf-8")
    assert beyond.written(page, json.loads(beyond.RESULTS.read_text(encoding="utf-8"))) == page
    assert (ROOT / "docs" / "images" / "scenes.png").stat().st_size <= 150_000
