"""Random draws of a corruption: a function of (seed, corruption, severity, stream, picture index) alone.

Scheme ``corruption-philox-v1``: the SHA-256 of the scheme, seed, corruption, severity and stream name gives the
128-bit key of a Philox4x64-10 generator (Salmon et al., SC 2011). A picture that needs k 32-bit words owns the
``ceil(k / 8)`` counter blocks from ``index * ceil(k / 8)`` on, so the draws of consecutive pictures are one
contiguous run of the counter: a batch costs one call, and how the pictures are batched cannot matter. Only raw bits
are taken from numpy; what is made of them uses nothing but +, -, *, / and square roots, each correctly rounded, so
the same bits come out of every machine and device.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groupnl.corruptions.levels import divide

SCHEME = "corruption-philox-v1"
WORDS_PER_BLOCK = 8  # 32-bit words in one 256-bit block of Philox4x64


@dataclass(frozen=True, kw_only=True)
class DrawSource:
    """Makes the draws of ``count`` consecutive pictures for one corruption at one severity."""

    seed: int  # any integer
    corruption: str
    severity: int
    first_index: int  # index of the first picture, at least 0
    count: int  # N, number of pictures
    device: torch.device  # where the draws are needed

    def fractions(self, shape: Sequence[int], *, stream: str) -> Tensor:
        """Uniform draws: odd multiples of 2**-33 in (0, 1), float64 of shape (N, *shape).

        Args:
            shape: Shape of one picture's draws.
            stream: What is drawn; the streams of a corruption are independent of each other.
        """
        message = "\0".join((SCHEME, str(int(self.seed)), self.corruption, str(int(self.severity)), stream)).encode()
        key = np.frombuffer(hashlib.sha256(message).digest()[:16], dtype="<u8").astype(np.uint64)
        wanted = math.prod(shape)
        blocks = -(-wanted // WORDS_PER_BLOCK)
        generator = np.random.Philox(key=key, counter=self.first_index * blocks)
        raw = np.asarray(generator.random_raw(self.count * blocks * WORDS_PER_BLOCK // 2), dtype="<u8")
        words = raw.view("<u4").reshape(self.count, blocks * WORDS_PER_BLOCK)[:, :wanted]
        fractions = words.astype(np.float64)
        fractions += 0.5
        fractions *= 2.0**-32
        return torch.from_numpy(fractions).to(self.device).reshape(self.count, *shape)

    def normals(self, shape: Sequence[int], *, stream: str) -> Tensor:
        """Standard normal draws: the normal quantile of :meth:`fractions`, float64 of shape (N, *shape)."""
        return normal_quantile(self.fractions(shape, stream=stream))


# Coefficients of Wichura's algorithm AS 241 (Applied Statistics 37, 1988), routine PPND16, highest power first.
_CENTRE_TOP = (
    2.5090809287301226727e3,
    3.3430575583588128105e4,
    6.7265770927008700853e4,
    4.5921953931549871457e4,
    1.3731693765509461125e4,
    1.9715909503065514427e3,
    1.3314166789178437745e2,
    3.3871328727963666080e0,
)
_CENTRE_BOTTOM = (
    5.2264952788528545610e3,
    2.8729085735721942674e4,
    3.9307895800092710610e4,
    2.1213794301586595867e4,
    5.3941960214247511077e3,
    6.8718700749205790830e2,
    4.2313330701600911252e1,
    1.0,
)
_TAIL_TOP = (
    7.74545014278341407640e-4,
    2.27238449892691845833e-2,
    2.41780725177450611770e-1,
    1.27045825245236838258e0,
    3.64784832476320460504e0,
    5.76949722146069140550e0,
    4.63033784615654529590e0,
    1.42343711074968357734e0,
)
_TAIL_BOTTOM = (
    1.05075007164441684324e-9,
    5.47593808499534494600e-4,
    1.51986665636164571966e-2,
    1.48103976427480074590e-1,
    6.89767334985100004550e-1,
    1.67638483018380384940e0,
    2.05319162663775882187e0,
    1.0,
)
_CENTRE = 0.425  # |p - 1/2| up to which the first pair of polynomials holds


def normal_quantile(fractions: Tensor) -> Tensor:
    """The inverse of the standard normal distribution function, to about 1e-15 (AS 241, PPND16).

    Args:
        fractions: float64 in [2**-33, 1 - 2**-33] (beyond 1e-11 AS 241 has a third pair of polynomials, not needed
        here).

    Returns:
        float64, the same shape.
    """
    offset = fractions.reshape(-1) - 0.5
    square = (offset * offset).neg_().add_(_CENTRE**2)
    quantile = _polynomial(square, _CENTRE_TOP).div_(_polynomial(square, _CENTRE_BOTTOM)).mul_(offset)
    tail = (offset.abs() > _CENTRE).nonzero().squeeze(1)
    distance = offset[tail]
    depth = (-_log(0.5 - distance.abs())).sqrt_() - 1.6
    value = _polynomial(depth, _TAIL_TOP).div_(_polynomial(depth, _TAIL_BOTTOM))
    quantile[tail] = torch.copysign(value, distance)
    return quantile.reshape(fractions.shape)


def _polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Horner's rule in separate multiplications and additions: a fused one would round differently on some devices."""
    value = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        value.add_(coefficient).mul_(x)
    return value.add_(coefficients[-1])


_LOG_TERMS = tuple(1.0 / k for k in range(23, 0, -2))  # atanh(s) = s (1 + s^2/3 + s^4/5 + ...); |s| < 0.172 here


def _log(x: Tensor) -> Tensor:
    """Natural logarithm of positive normal float64 numbers: a library's may differ between vector body and tail."""
    mantissa, exponent = torch.frexp(x)
    low = mantissa < math.sqrt(0.5)
    mantissa = torch.where(low, mantissa * 2.0, mantissa)
    power = torch.where(low, exponent - 1, exponent).to(torch.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    return power * math.log(2.0) + _polynomial(s * s, _LOG_TERMS).mul_(divide(s, 0.5))
