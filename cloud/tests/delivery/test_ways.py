"""Which way is taken for which change, and that the device makes the new bytes of it."""

import numpy as np
import pytest

from groupnl.delivery.regions import Region, regions_of
from groupnl.delivery.ways import cheapest
from groupnl_device.delivery.patch_steps import make

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=20_000).astype(np.float32)
SMALL_INTEGERS = np.clip(np.rint(30 * RNG.normal(size=20_000)), -127, 127).astype(np.int8)


def changed(numbers: np.ndarray, share: float) -> bytes:
    """Some of the numbers one step up or down."""
    moves = np.where(RNG.random(numbers.size) < share, RNG.choice([-1, 1], numbers.size), 0)
    return (numbers + moves).astype(numbers.dtype).tobytes()


def way(old: bytes, new: bytes, widths: tuple[int, ...] | None = None) -> tuple[str, int]:
    """The way that is taken for a whole entry, and its bytes; the step is carried out as well."""
    if widths is None:
        (region,) = regions_of(memoryview(old), memoryview(new))
    else:
        region = Region(begin=0, end=len(new), near=(0, len(old)), beside=0, widths=widths)
    step, frames = cheapest("entry", region, memoryview(old), memoryview(new))
    if step.by != "copy":
        source = b"" if step.source is None else old[step.source.at : step.source.at + step.source.span]
        assert make(step, frames, source) == new
    assert step.parts == tuple(map(len, frames))
    return step.by, sum(step.parts)


def test_same() -> None:
    assert way(FLOATS.tobytes(), FLOATS.tobytes()) == ("copy", 0)


def test_floats_that_moved_a_little() -> None:
    old = FLOATS.tobytes()
    by, size = way(old, (FLOATS * (1 + 1e-3 * RNG.normal(size=FLOATS.size))).astype(np.float32).tobytes(), (4,))
    assert by == "difference"
    assert size < 0.55 * len(old)


def test_half_floats_in_a_file_of_unknown_format() -> None:
    old = FLOATS.astype(np.float16)
    assert way(old.tobytes(), changed(old.view(np.int16), 0.1))[0] == "difference"


def test_quantised_numbers() -> None:
    old = SMALL_INTEGERS.tobytes()
    by, size = way(old, changed(SMALL_INTEGERS, 0.16), (1,))
    assert by in ("difference", "bsdiff")
    assert size < 0.14 * len(old)


def test_quantised_numbers_that_also_moved_on() -> None:
    """Bytes put in front shift all others, which only bsdiff sees through."""
    assert way(SMALL_INTEGERS.tobytes(), b"some more" + changed(SMALL_INTEGERS, 0.16))[0] == "bsdiff"


def test_blocks_that_changed_places() -> None:
    """The second is found behind the first, which takes a move backwards."""
    old = SMALL_INTEGERS.tobytes()
    by, size = way(old, changed(SMALL_INTEGERS[8000:], 0.1) + changed(SMALL_INTEGERS[:8000], 0.1))
    assert by == "bsdiff"
    assert size < 0.15 * len(old)


def test_text_that_was_edited() -> None:
    old = b"\n".join(b"node %d takes %d and gives %d" % tuple(RNG.integers(0, 999, 3)) for _ in range(900))
    by, size = way(old, old[:5000] + b"a new node" + old[5000:20_000] + old[21_000:])
    assert by in ("prefix", "bsdiff")
    assert size < 120


def test_nothing_in_common() -> None:
    assert way(b"", b"all of it is new") == ("zstd", 25)
    assert way(RNG.bytes(5000), bytes(9999))[0] in ("zstd", "prefix")


def test_sign_flips_are_for_xor() -> None:
    """A flipped sign is one bit, but the largest of differences."""
    new = np.where(RNG.random(FLOATS.size) < 0.01, -FLOATS, FLOATS)
    assert way(FLOATS.tobytes(), new.tobytes(), (4,))[0] == "xor"


def test_more_controls_than_a_device_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupnl.delivery.ways.MOST_CONTROLS", 0)
    assert way(SMALL_INTEGERS.tobytes(), b"some more" + changed(SMALL_INTEGERS, 0.16))[0] != "bsdiff"
