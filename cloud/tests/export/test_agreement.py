"""The comparison that decides whether a bundle is written."""

import numpy as np
import pytest

from groupnl.export import ExportError
from groupnl.export.agreement import TOLERANCE, compare


def logits(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(20, 5)).astype(np.float32)


def test_figures() -> None:
    expected = np.array([[10.0, 0.0], [-20.0, 5.0], [1.0, 1.0]], np.float32)
    found = expected + np.array([[1e-3, 0], [0, 0], [-1e-3, 0]], np.float32)
    agreement = compare(expected, found)
    assert agreement.images == 3
    assert agreement.max_abs_difference == pytest.approx(1e-3, rel=1e-3)
    assert agreement.logits_scale == 20
    assert agreement.max_relative_difference == pytest.approx(5e-5, rel=1e-3)
    assert agreement.same_top1 == 2
    assert agreement.near_ties == 1
    assert agreement.to_dict()["tolerance"] == TOLERANCE


def test_differences_beyond_the_tolerance() -> None:
    found = logits()
    found[3, 2] += 2 * TOLERANCE * np.abs(found).max()
    with pytest.raises(ExportError, match="differs from PyTorch: logits by"):
        compare(logits(), found)


def test_another_class() -> None:
    """Within the tolerance another class is possible only in a near tie, which is counted as one."""
    expected = np.array([[1.0, 1.0 - 9e-5, 0.0]], np.float32)
    assert compare(expected, np.array([[1.0 - 9e-5, 1.0, 0.0]], np.float32)).same_top1 == 0
    with pytest.raises(ExportError, match="differs"):
        compare(expected, np.array([[1.0 - 1e-3, 1.0, 0.0]], np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none(value: float) -> None:
    wrong = logits()
    wrong[0, 0] = value
    with pytest.raises(ExportError, match="differs from PyTorch"):
        compare(logits(), wrong)
    with pytest.raises(ExportError, match="not finite"):
        compare(wrong, wrong)


def test_zero_logits_and_one_class() -> None:
    zeros = np.zeros((2, 3), np.float32)
    assert compare(zeros, zeros).max_relative_difference == 0
    with pytest.raises(ExportError, match="differs"):
        compare(zeros, zeros + np.float32(1e-9))
    assert compare(logits()[:, :1], logits()[:, :1]).same_top1 == 20


def test_shapes() -> None:
    with pytest.raises(ExportError, match="shape"):
        compare(logits(), logits()[:, :4])
