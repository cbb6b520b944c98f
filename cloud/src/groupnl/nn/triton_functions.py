"""The nonlinear functions and their derivatives in Triton, in float32: what ``functions.py`` is to plain PyTorch."""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs

import math

import triton
import triton.language as tl

INVERSE_PI = tl.constexpr(1 / math.pi)
PI_HIGH = tl.constexpr(3.140625)  # 10 bits: its product with a count of half turns below 2^14 is exact
PI_LOW = tl.constexpr(math.pi - 3.140625)
HALF_PI = tl.constexpr(math.pi / 2)
ROUND = tl.constexpr(1.5 * 2**23)  # added to a float32 it leaves the nearest integer in the low bits
# sin r = r + r^3 (A + B r^2 + C r^4 + D r^6) on [-pi/2, pi/2], fitted for the smallest largest error (2e-8 as float32)
SIN_A = tl.constexpr(-0.16666656732559204)
SIN_B = tl.constexpr(0.008333016186952591)
SIN_C = tl.constexpr(-0.00019806546333711594)
SIN_D = tl.constexpr(2.5999031549872598e-06)


@triton.jit
def sine(x, COSINE: tl.constexpr):
    """``sin(x)`` or ``cos(x)`` without a branch, which Triton's own has for large arguments.

    Error at most 1.3e-7 up to abs(x) = 1,000 and 3e-7 up to 10,000. Always within [-1, 1]; NaN for NaN and infinity.
    """
    turns = x * INVERSE_PI
    if COSINE:  # cos x = sin(x + pi/2)
        turns += 0.5
    rounded = turns + ROUND
    half_turns = rounded - ROUND
    if COSINE:
        half_turns -= 0.5
    r = (x - half_turns * PI_HIGH) - half_turns * PI_LOW
    r = tl.clamp(r, -HALF_PI, HALF_PI, propagate_nan=tl.PropagateNan.ALL)  # for an argument too large to have a phase
    square = r * r
    polynomial = SIN_A + square * (SIN_B + square * (SIN_C + square * SIN_D))
    value = r + r * square * polynomial
    odd = rounded.to(tl.int32, bitcast=True) << 31  # the sign bit, after an odd number of half turns
    return (value.to(tl.int32, bitcast=True) ^ odd).to(tl.float32, bitcast=True)


@triton.jit
def nlf_value(y, period, shift, NLF: tl.constexpr):
    """Maps generated from normalised ones, the formulas of ``functions.py`` except Legendre's.

    The monomial's relative error is about 1e-6; PyTorch's ``pow`` is exact to the last bit.
    """
    if NLF == "sine":
        return sine(y * period - period * shift, False)  # one instruction: the product is the channel's
    elif NLF == "gaussian":
        argument = period * (y - shift)
        return tl.exp(-argument * argument)
    elif NLF == "monomial":  # at 0 log2 gives -inf, and exp2 of that 0
        power = tl.exp2(period * tl.log2(tl.abs(y)))
        return tl.where(y < 0, -power, power)
    else:
        tl.static_assert(NLF == "identity")
        return y


@triton.jit
def nlf_slope(y, period, shift, NLF: tl.constexpr):
    """Derivative of :func:`nlf_value` by y, at 0 what autograd gives."""
    if NLF == "sine":
        return period * sine(y * period - period * shift, True)
    elif NLF == "gaussian":
        argument = period * (y - shift)
        return -2 * period * argument * tl.exp(-argument * argument)
    elif NLF == "monomial":
        slope = period * tl.exp2((period - 1) * tl.log2(tl.abs(y)))
        return tl.where(y == 0, 0.0, slope)
    else:
        tl.static_assert(NLF == "identity")
        return tl.full(y.shape, 1.0, tl.float32)
