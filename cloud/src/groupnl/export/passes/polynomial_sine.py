"""The sine as a polynomial: for runtimes that compile chains of multiplications, but not the sine."""

from functools import cache

import numpy as np

from groupnl.export.passes.known_pairs import pair_of
from groupnl.export.passes.network import Array, Network
from groupnl.export.passes.outcome import Outcome

_TERMS = 5  # odd powers up to 9: 4e-9 from the sine, less than float32 can tell
_NODES = 200
_QUARTER, _HALF = np.array(0.25), np.array(0.5)


def replace_sines(net: Network) -> Outcome:
    """``sin(period * (y - shift))`` becomes ``p(w)``, w the distance of the argument's phase from a zero of the sine.

    In turns (1 turn = 2 pi) the phase is ``f = z - floor(z)`` with ``z = argument / (2 pi) + 1/4``, and the sine is
    ``sin(2 pi w)`` with ``w = 1/4 - |f - 1/2|``, which lies in [-1/4, 1/4]: p is an odd polynomial of degree 9 there.
    The pairs are part of z's one scale and offset, computed in float64, the offset less its whole turns.

    With ``l2`` no |y| exceeds 1, and the result is within 1e-6 of the sine, float32's own rounding included. For larger
    arguments the error grows as float32 loses the phase, as it does before any sine.
    """
    changed = 0
    for sine in [node for node in net.nodes if node.op == "Sin"]:
        shape, argument = net.shape(sine.output), sine.inputs[0]
        if shape is None:
            continue
        pair = pair_of(net, net.producer(argument))
        y, period, shift = pair if pair is not None else (argument, np.ones(()), np.zeros(()))
        scale, offset = _in_turns(period, shift)
        name = f"{sine.output}.polynomial"

        def step(op: str, *values: str | Array, name: str = name, shape: tuple[int, int, int] = shape) -> str:
            inputs = [v if isinstance(v, str) else net.constant(np.asarray(v, np.float32)) for v in values]
            return net.add(op, inputs, name, shape)

        z = step("Add", step("Mul", y, scale), offset)
        phase = step("Sub", z, step("Floor", z))
        w = step("Sub", _QUARTER, step("Abs", step("Sub", phase, _HALF)))
        square = step("Mul", w, w)
        highest, *lower = coefficients()[::-1]
        total = step("Add", step("Mul", square, highest), lower[0])
        for coefficient in lower[1:]:
            total = step("Add", step("Mul", total, square), coefficient)
        net.replace(sine.output, step("Mul", total, w))
        changed += 1
    return Outcome(changed=changed)


@cache
def coefficients() -> tuple[Array, ...]:
    """Numbers c with ``sin(2 pi w) = w (c_0 + c_1 w^2 + c_2 w^4 + ...)`` on [-1/4, 1/4].

    Least squares at Chebyshev's nodes.
    """
    w = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES) / 4
    powers = np.stack([w ** (2 * k + 1) for k in range(_TERMS)], axis=1)
    solved = np.linalg.lstsq(powers, np.sin(2 * np.pi * w), rcond=None)[0]
    return tuple(np.asarray(value) for value in solved)


def _in_turns(period: Array, shift: Array) -> tuple[Array, Array]:
    """Scale and offset of y."""
    scale = period.astype(np.float64) / (2 * np.pi)
    offset = 0.25 - scale * shift.astype(np.float64)
    return scale, offset - np.floor(offset)
