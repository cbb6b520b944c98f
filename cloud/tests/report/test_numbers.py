"""Figures as words."""

import pytest

from groupnl.report.numbers import p_value, percent, points

MINUS = "\N{MINUS SIGN}"


def test_shares_and_differences():
    assert percent(0.4312) == "43.1"
    assert percent(-0.05) == f"{MINUS}5.0"  # a relative mCE can be below 0
    assert points(0.012) == "+1.2"
    assert points(-0.012) == f"{MINUS}1.2"


@pytest.mark.parametrize(
    ("p", "text"), [(1e-9, "< 0.001"), (0.001, "= 0.001"), (0.0449, "= 0.045"), (0.1, "= 0.10"), (1.0, "= 1.00")]
)
def test_p_values(p, text):
    assert p_value(p) == text
