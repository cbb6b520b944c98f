"""Figures as words."""

import pytest

from groupnl.report.numbers import p_value, percent, points, three_digits

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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.012345, "0.0123"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (12.34, "12.3"),
        (999.6, "1,000"),
        (12_345.6, "12,346"),
        (-0.5, f"{MINUS}0.500"),
    ],
)
def test_three_digits_and_no_exponent(value, text):
    assert three_digits(value) == text
