import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.corruptions import names
from groupnl.evaluation.metrics import ce, ece, mce, mean, mean_error, relative_ce


def test_mean_error_is_the_plain_mean_over_corruptions_and_severities() -> None:
    errors = {"fog": {1: 0.1, 2: 0.3}, "snow": {1: 0.5, 2: 0.9}}
    assert mean_error(errors) == pytest.approx((0.1 + 0.3 + 0.5 + 0.9) / 4)


def test_mean_error_of_nothing_is_none() -> None:
    assert mean_error({}) is None


def test_ce_is_a_ratio_of_sums_not_a_mean_of_ratios() -> None:
    ours, base = [0.1, 0.6], [0.4, 0.6]
    assert ce(sum(ours) / 2, sum(base) / 2) == pytest.approx(0.7)
    assert ce(0.25, 0.25) == 1


def test_ce_against_alexnets_published_errors() -> None:
    # AlexNet's mean error under fog is .819324 on ImageNet-C; a net of mean error .5 has CE .5 / .819324
    assert ce(0.5, 0.819324) == pytest.approx(0.610259, abs=1e-6)


def test_ce_refuses_a_baseline_without_errors() -> None:
    with pytest.raises(ValueError, match="makes no error, so CE is undefined"):
        ce(0.1, 0.0)


def test_relative_ce_worked_by_hand() -> None:
    # errors .3 .5 beyond .2: .1 + .3 = .4; the baseline's .5 .9 beyond .4: .1 + .5 = .6
    assert relative_ce(0.4, 0.2, 0.7, 0.4) == pytest.approx(0.4 / 0.6)
    assert relative_ce(0.1, 0.2, 0.7, 0.4) == pytest.approx(-0.1 / 0.3)


@pytest.mark.parametrize("baseline_clean", [0.5, 0.6])
def test_relative_ce_has_no_value_where_the_baseline_loses_nothing(baseline_clean: float) -> None:
    assert relative_ce(0.4, 0.2, 0.5, baseline_clean) is None


def test_mce_is_the_mean_over_the_fifteen_whatever_else_was_run() -> None:
    errors = {corruption: 0.01 * number for number, corruption in enumerate(names("mce15"))}
    assert len(errors) == 15
    assert mce(errors) == pytest.approx(0.07)
    assert mce(errors | {"saturate": 9.0, "speckle_noise": 9.0}) == pytest.approx(0.07)


def test_mce_refuses_a_subset() -> None:
    errors = dict.fromkeys(names("mce15"), 1.0)
    del errors["fog"], errors["snow"]
    with pytest.raises(ValueError, match="mean over 15 corruptions; snow, fog missing"):
        mce(errors)


def test_mce_of_resnet50_as_published() -> None:
    # Hendrycks & Dietterich's table of CE, rounded to a percent, and the mCE of 76.7 that they give beside it
    published = [80, 82, 83, 75, 89, 78, 80, 78, 75, 66, 57, 71, 85, 77, 77]
    order = (
        "gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur snow frost fog "
        "brightness contrast elastic_transform pixelate jpeg_compression"
    )
    assert mce(dict(zip(order.split(), published, strict=True))) == pytest.approx(76.7, abs=0.5)


def _ece_by_loops(confidences: list[float], right: list[bool], bins: int = 15) -> float:
    """Guo et al.'s formula, bin by bin."""
    total = 0.0
    for m in range(1, bins + 1):
        members = [i for i, c in enumerate(confidences) if (m - 1) / bins < c <= m / bins]
        if members:
            accuracy = sum(right[i] for i in members) / len(members)
            confidence = sum(confidences[i] for i in members) / len(members)
            total += len(members) / len(confidences) * abs(accuracy - confidence)
    return total


inside_a_bin = st.floats(0.001, 1).filter(lambda c: abs(c * 15 - round(c * 15)) > 1e-9)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(inside_a_bin, st.booleans()), min_size=1, max_size=60))
def test_ece_is_the_formula(answers: list[tuple[float, bool]]) -> None:
    confidences, right = [c for c, _ in answers], [r for _, r in answers]
    found = ece(np.array(confidences), np.array(right))
    assert found == pytest.approx(_ece_by_loops(confidences, right), abs=1e-9)


def test_ece_worked_by_hand() -> None:
    # (.6, right) and (.65, wrong) share the bin (9/15, 10/15]? .6 is the end of the one before: two bins
    assert ece(np.array([0.6, 0.65]), np.array([True, False])) == pytest.approx((0.4 + 0.65) / 2)
    assert ece(np.array([0.62, 0.65]), np.array([True, False])) == pytest.approx(abs(1 - 1.27) / 2)
    assert ece(np.array([1.0, 1.0], np.float32), np.array([True, True])) == 0


def test_mean() -> None:
    assert mean([1.0, 2.0, 6.0]) == 3.0
