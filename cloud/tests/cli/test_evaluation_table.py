"""What people see of evaluations: every figure of the table is one of the record."""

import io

import pytest
from rich.console import Console

from groupnl.cli.evaluation_table import table_of, table_of_comparison, table_of_seeds
from groupnl.corruptions import names
from groupnl.evaluation import Evaluation, summarize_seeds
from groupnl.evaluation.comparison import CleanComparison, Comparison, CorruptedComparison


def shown(table):
    file = io.StringIO()
    Console(file=file, width=200).print(table)
    return file.getvalue()


@pytest.fixture
def result():
    row = {"family": "weather", "error": 0.4, "ece": 0.123, "severities": dict.fromkeys("12345", 0.4)}
    return Evaluation(
        name="toy",
        data="imagenet",
        split="test",
        images=50_000,
        clean_accuracy=0.75,
        clean_ece=0.0321,
        mean_error=0.4,
        mean_ece=0.123,
        corruptions={name: row | {"ce": 0.8, "relative_ce": 0.55} for name in names("mce15")},
        families={"weather": 0.4},
        variant=None,
        severities=(1, 2, 3, 4, 5),
        seed=None,
        baseline="AlexNet",
        mce=0.8,
        relative_mce=0.55,
        corruption_set="mce15",
        corrupted_by="published",
        corrupted_source="ImageNet-C",
        frost_source=None,
        intervals={"clean_accuracy": (0.74, 0.76), "mean_error": (0.39, 0.41)},
    )


def test_an_evaluation_says_what_is_what(result):
    text = " ".join(shown(table_of(result)).split())
    assert "toy on imagenet, test, 50,000 images" in text
    assert "CE, % of AlexNet" in text
    assert "│ fog │ 40.00 │ 40.00 │ 40.00 │ 40.00 │ 40.00 │ 40.00 │ 12.30 │ 80.0 │ 55.0 │" in text
    assert "│ clean │ │ │ │ │ │ 25.00 │ 3.21 │" in text
    assert "clean_accuracy 75.00 % (95 %: 74.00 to 76.00)" in text
    assert "mean_error 40.00 % (95 %: 39.00 to 41.00), over the 15 corruptions of mCE at 5 severities" in text
    assert "mCE 80.0 % of AlexNet, over the 15 corruptions, relative mCE 55.0 %" in text
    assert "corruptions published: ImageNet-C" in text


def test_seeds(result):
    text = " ".join(shown(table_of_seeds("toy", [result, result], summarize_seeds([result, result]))).split())
    assert "toy on imagenet, test: 2 checkpoints" in text
    assert "│ 2 │ 75.00 │ 40.00 │ 80.00 │" in text
    assert "│ 95 % │ 75.00 to 75.00 │ 40.00 to 40.00 │ 80.00 to 80.00 │" in text


def test_a_comparison():
    clean = CleanComparison(
        difference=0.012, interval=(-0.001, 0.025), only_first_right=70, only_second_right=58, p_value=0.33
    )
    corrupted = CorruptedComparison(difference=-0.02, interval=(-0.03, -0.01), p_value=1e-5)
    text = shown(table_of_comparison(Comparison(first="a", second="b", images=1000, clean=clean, corrupted=corrupted)))
    text = " ".join(text.split())
    assert "a (first) and b (second) on the same 1,000 images" in text
    assert "│ clean_accuracy │ +1.20 │ -0.10 to +2.50 │ 0.33 │" in text
    assert "│ mean_error │ -2.00 │ -3.00 to -1.00 │ 1e-05 │" in text
    assert "70 images only the first got right, 58 only the second" in text
