"""Long fuzzing of the reader: damaged bundles give a BundleError, quickly and in little memory, and nothing else."""

import random
import struct
import time
import tracemalloc

import pytest

from groupnl_device.archive import pack, unpack
from groupnl_device.bundle import Bundle
from groupnl_device.constants import rebuild
from groupnl_device.errors import BundleError

ROUNDS = 20_000


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One to four random edits, some of them aimed at the zip's own records."""
    content = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content))
        action = rng.randrange(6)
        if action == 0:
            content[at] = rng.randrange(256)
        elif action == 1:
            del content[at : at + rng.randint(1, 200)]
        elif action == 2:
            content[at:at] = rng.randbytes(rng.randint(1, 200))
        elif action == 3:
            begin = rng.randrange(len(content))
            content[at:at] = content[begin : begin + rng.randint(1, 500)]
        elif action == 4:
            records = [i for i in range(len(content) - 50) if content[i : i + 2] == b"PK"] or [0]
            offset = rng.choice(records) + rng.randrange(46)
            if offset + 4 <= len(content):
                struct.pack_into("<L", content, offset, rng.choice([0, 1, 0xFFFF, 2**31, 2**32 - 1, len(content)]))
        else:
            del content[at:]
        if not content:
            break
    return bytes(content)


@pytest.mark.long
def test_damaged_bundles(bundle_bytes: bytes) -> None:
    rng = random.Random(0)
    slowest = 0.0
    tracemalloc.start()
    try:
        for _ in range(ROUNDS):
            data = damaged(bundle_bytes, rng)
            if data == bundle_bytes:
                continue
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            begin = time.perf_counter()
            with pytest.raises(BundleError):
                Bundle.from_bytes(data)
            slowest = max(slowest, time.perf_counter() - begin)
            assert tracemalloc.get_traced_memory()[1] - before < 20 * len(bundle_bytes)
    finally:
        tracemalloc.stop()
    assert slowest < 5


@pytest.mark.long
def test_damaged_manifests_in_whole_archives(bundle_bytes: bytes) -> None:
    """The hashes do not protect the manifest: whoever writes a bundle writes it."""
    rng = random.Random(1)
    entries = {name: bytes(content) for name, content in unpack(bundle_bytes).items()}
    pieces = [b"", b"0", b"9" * 8, b"-1", b"1e5", b"null", b"true", b'""', b"[]", b"{}", b'"', b",", b":", b"]", b"\\"]
    accepted = 0
    for _ in range(ROUNDS):
        text = bytearray(entries["manifest.json"])
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text))
            text[at : at + rng.randint(0, 12)] = rng.choice(pieces)
        try:
            bundle = Bundle.from_bytes(b"".join(pack({**entries, "manifest.json": bytes(text)})))
            rebuild(bundle.manifest.layers, {})
            accepted += 1
        except BundleError:
            pass
    assert accepted < ROUNDS  # some edits fall into free text; none may raise anything else
