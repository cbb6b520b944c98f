import pytest

from groupnl.evaluation.metrics import ce, mean, mean_error


def test_mean_error_is_the_plain_mean_over_corruptions_and_severities() -> None:
    errors = {"fog": {1: 0.1, 2: 0.3}, "snow": {1: 0.5, 2: 0.9}}
    assert mean_error(errors) == pytest.approx((0.1 + 0.3 + 0.5 + 0.9) / 4)


def test_mean_error_of_nothing_is_none() -> None:
    assert mean_error({}) is None


def test_ce_is_a_ratio_of_sums_not_a_mean_of_ratios() -> None:
    assert ce({1: 0.1, 2: 0.6}, {1: 0.4, 2: 0.6}) == pytest.approx(0.7)
    assert ce({1: 0.1, 2: 0.6}, {1: 0.4, 2: 0.6, 3: 0.9}) == pytest.approx(0.7)
    assert ce({1: 0.25}, {1: 0.25}) == 1


def test_ce_against_alexnets_published_errors() -> None:
    # AlexNet's mean error under fog is .819324 on ImageNet-C; a net of mean error .5 has CE .5 / .819324
    assert ce(dict.fromkeys(range(1, 6), 0.5), dict.fromkeys(range(1, 6), 0.819324)) == pytest.approx(
        0.610259, abs=1e-6
    )


def test_ce_refuses_a_baseline_without_errors_or_severities() -> None:
    with pytest.raises(ValueError, match="no severity 2: evaluate it at the same severities"):
        ce({1: 0.1, 2: 0.2}, {1: 0.1})
    with pytest.raises(ValueError, match="makes no error, so CE is undefined"):
        ce({1: 0.1}, {1: 0.0})


def test_mean() -> None:
    assert mean([1.0, 2.0, 6.0]) == 3.0
