"""The seeded hyperparameters of the nonlinear functions (NLFs): the one place that knows them, cloud and device.

A GroupNL layer makes its maps with fixed functions of a pair (period, shift), one pair per (group, copy). The pairs are
no parameters: they are a pure function of an integer seed and the layer's key (scheme ``philox-v1``), the same bits
on every machine, so a device rebuilds them instead of receiving them.

``philox-v1``: the SHA-256 of the scheme, seed, key and stream name gives the 128-bit key of a Philox4x64-10 generator
(Salmon et al., SC 2011) whose first block has counter 1, as in numpy; the upper 24 bits of each raw 64-bit integer are
a fraction in [0, 1), scaled to the range in float64 and rounded to float32. Only raw bits are taken from numpy, whose
distributions may change.

Source of the method: Ding et al., GroupNL, arXiv 2506.12335.
"""

import hashlib
import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

SCHEME = "philox-v1"

NLF = Literal["sine", "gaussian", "monomial", "legendre", "identity"]
PixelNorm = Literal["l2", "rms", "none"]  # of a pixel's channels; the other bounds know each channel alone
Normalize = Literal["l2", "rms", "none", "batch", "clamp"]
Range = tuple[float, float]

NLFS: tuple[NLF, ...] = get_args(NLF)
PIXEL_NORMS: tuple[PixelNorm, ...] = get_args(PixelNorm)
NORMALIZES: tuple[Normalize, ...] = get_args(Normalize)

# Where each NLF's pair is drawn from: (period range, shift range). None: not drawn, see draw_pairs.
DEFAULT_RANGES: dict[NLF, tuple[Range | None, Range | None]] = {
    "sine": ((1.0, 2.0), (1.0, 5.0)),
    "gaussian": ((1.0, 2.0), (-1.0, 1.0)),
    "monomial": ((1.0, 3.0), None),
    "legendre": (None, None),
    "identity": (None, None),
}
LOWEST_LEGENDRE_DEGREE = 2  # degrees 0 and 1 would be a constant and a copy


def uniform(seed: int, key: str, stream: str, shape: tuple[int, ...], low: float, high: float) -> NDArray[np.float32]:
    """Draw float32 numbers from U(low, high) that depend on the arguments alone.

    Args:
        seed: Any integer.
        key: Qualified name of the layer, such as ``layer1.0.conv1``.
        stream: What is drawn (``period``, ``shift``); streams are independent of each other.
        shape: Shape of the result, filled in C order: a longer draw begins with the shorter one.
        low: Lower bound, inclusive.
        high: Upper bound; float32 rounding may reach it.

    Raises:
        ValueError: A bound is not finite or ``low > high``.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"range ({low}, {high}): expected two finite numbers, the lower one first")
    message = "\0".join((SCHEME, str(int(seed)), key, stream)).encode()
    philox_key = np.frombuffer(hashlib.sha256(message).digest()[:16], dtype="<u8").astype(np.uint64)
    raw = np.random.Philox(key=philox_key).random_raw(math.prod(shape))
    fraction = (np.asarray(raw, dtype=np.uint64) >> np.uint64(40)).astype(np.float64) * 2.0**-24
    return (low + (high - low) * fraction).astype(np.float32).reshape(shape)


def seed_channels(out_channels: int, reduction: int) -> int:
    """S = ceil(out_channels / reduction), the number of seed maps."""
    return -(-out_channels // reduction)


def copies(out_channels: int, seed_channels: int) -> int:
    """Copies c = ceil((out_channels - S) / S): how often each group is copied (0: nothing is generated)."""
    return -(-(out_channels - seed_channels) // seed_channels)


def resolve_ranges(
    nlf: NLF, period_range: Range | None, shift_range: Range | None
) -> tuple[Range | None, Range | None]:
    """Fill in the NLF's default ranges where None is given.

    Raises:
        ValueError: ``nlf`` is unknown, a range is malformed, or is given for a value that this NLF does not draw.
    """
    if nlf not in NLFS:
        raise ValueError(f"nlf={nlf!r}: expected one of {', '.join(NLFS)}")
    resolved: list[Range | None] = []
    for name, given, default in zip(
        ("period_range", "shift_range"), (period_range, shift_range), DEFAULT_RANGES[nlf], strict=True
    ):
        if given is None:
            resolved.append(default)
            continue
        if default is None:
            raise ValueError(f"{name}={given!r}: nlf={nlf!r} draws no {name.removesuffix('_range')}; leave it out")
        if len(given) != 2 or not all(math.isfinite(v) for v in given) or given[0] > given[1]:
            raise ValueError(f"{name}={given!r}: expected (low, high), two finite numbers with low <= high")
        if nlf == "monomial" and given[0] < 1:
            raise ValueError(
                f"{name}={given!r}: a monomial needs exponents of at least 1; below, its slope at 0 is infinite"
            )
        resolved.append((float(given[0]), float(given[1])))
    return resolved[0], resolved[1]


def draw_pairs(
    *,
    nlf: NLF,
    nl_groups: int,
    copies: int,
    seed: int,
    key: str,
    period_range: Range | None = None,
    shift_range: Range | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The pairs of a layer: ``(period, shift)``, each float32 of shape (nl_groups, copies).

    For ``legendre`` nothing is drawn and period is the degree, 2 + copy index; where an NLF has no use for a value,
    period is 1 and shift is 0.

    Raises:
        ValueError: See :func:`resolve_ranges`.
    """
    shape = (nl_groups, copies)
    periods, shifts = resolve_ranges(nlf, period_range, shift_range)
    period = np.ones(shape, np.float32) if periods is None else uniform(seed, key, "period", shape, *periods)
    shift = np.zeros(shape, np.float32) if shifts is None else uniform(seed, key, "shift", shape, *shifts)
    if nlf == "legendre":
        period = np.broadcast_to(np.arange(copies, dtype=np.float32) + LOWEST_LEGENDRE_DEGREE, shape).copy()
    return period, shift


def channel_map(
    *, seed_channels: int, out_channels: int, nl_groups: int, copies: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each generated map comes from: ``(source, pair)``, each int64 of shape (out_channels - seed_channels,).

    ``source`` is the seed map's channel, ``pair`` the index into the flattened (nl_groups, copies) pairs. Order: group,
    then copy, then channel within the group; the first groups take the remainder of seed_channels / nl_groups; cut to
    the number of maps needed.
    """
    source: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    pair: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    for group, channels in enumerate(np.array_split(np.arange(seed_channels, dtype=np.int64), nl_groups)):
        source.append(np.tile(channels, copies))
        pair.append(np.repeat(group * copies + np.arange(copies, dtype=np.int64), len(channels)))
    generated = out_channels - seed_channels
    return np.concatenate(source)[:generated], np.concatenate(pair)[:generated]


def argument_scale(nlf: NLF, normalize: Normalize, seed_channels: int) -> float:
    """What an NLF multiplies y by before its pair applies, so that the pair's units are the root mean square of y.

    Only the gaussian needs it, and only after ``l2`` and ``batch``, which leave y with a root mean square of 1/sqrt(S):
    there ``omega sqrt(S)`` and ``phi / sqrt(S)`` take the places of omega and phi.
    """
    return math.sqrt(seed_channels) if nlf == "gaussian" and normalize in ("l2", "batch") else 1.0


def channel_constants(
    period: NDArray[np.float32],
    shift: NDArray[np.float32],
    *,
    nlf: NLF,
    normalize: Normalize,
    seed_channels: int,
    out_channels: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The pairs laid out for a graph: ``(period, shift)``, one value per generated map, scaled as the NLF needs.

    Args:
        period: Shape (nl_groups, copies).
        shift: Shape (nl_groups, copies).
        nlf: Name of the function.
        normalize: Name of the normalisation before it.
        seed_channels: S.
        out_channels: C_out.

    Returns:
        Two float32 arrays of shape (out_channels - seed_channels,), used as they are: ``f(period * (y - shift))``.
    """
    nl_groups, copies = period.shape
    _, pair = channel_map(seed_channels=seed_channels, out_channels=out_channels, nl_groups=nl_groups, copies=copies)
    scale = argument_scale(nlf, normalize, seed_channels)
    wide_period = period.reshape(-1)[pair].astype(np.float64) * scale
    wide_shift = shift.reshape(-1)[pair].astype(np.float64) / scale
    return wide_period.astype(np.float32), wide_shift.astype(np.float32)
