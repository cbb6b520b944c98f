"""How a comparison writes its figures."""

import math

_MINUS = "\N{MINUS SIGN}"


def percent(share: float) -> str:
    """A share with one digit: 0.4312 is 43.1."""
    return f"{100 * share:.1f}".replace("-", _MINUS)


def points(difference: float) -> str:
    """A difference of shares with its sign, in points: -0.012 is 1.2 with a minus sign before it."""
    return f"{100 * difference:+.1f}".replace("-", _MINUS)


def p_value(p: float) -> str:
    """Two digits and no more certainty than that."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def three_digits(value: float) -> str:
    """Three digits and no exponent: 0.0123, 1.23, 12.3, 1,234."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    places = max(0, 2 - math.floor(math.log10(abs(round(value, digits)))))
    return f"{value:,.{places}f}".replace("-", _MINUS)
