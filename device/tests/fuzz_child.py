"""Opens hostile bundles in a process of its own and says what happened: what ``test_fuzz.py`` starts.

    python fuzz_child.py KIND SEED ROUNDS BUNDLE...

Whatever is no ``BundleError`` ends the process with a traceback; an input that takes two minutes ends it too. One JSON
object goes to stdout.
"""

import faulthandler
import hashlib
import json
import random
import struct
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard

from groupnl_device.archive import MANIFEST, pack, unpack
from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.onnx_external import check_external
from groupnl_device.onnxruntime_adapter import OnnxRuntime, tensors_of
from groupnl_device.runtime import Session
from memory_child import forget_peak, peak_kib

HANG_SECONDS = 120
PIECES = [b"", b"0", b"9" * 8, b"-1", b"1e5", b"null", b"true", b'""', b"[]", b"{}", b'"', b",", b":", b"]", b"\\"]
DTYPES = [b"F64", b"F32", b"F16", b"I64", b"I8", b"U8", b"BOOL", b"BF16"]
SLACK = 2**15  # bytes: of messages, tracebacks and small objects


def damaged(content: bytes, rng: random.Random) -> bytes:
    """One to four random edits, some of them aimed at the records of a zip."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        at = rng.randrange(len(data))
        action = rng.randrange(6)
        if action == 0:
            data[at] = rng.randrange(256)
        elif action == 1:
            del data[at : at + rng.randint(1, 200)]
        elif action == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 200))
        elif action == 3:
            begin = rng.randrange(len(data))
            data[at:at] = data[begin : begin + rng.randint(1, 500)]
        elif action == 4:
            records = [i for i in range(len(data) - 50) if data[i : i + 2] == b"PK"] or [0]
            offset = rng.choice(records) + rng.randrange(46)
            if offset + 4 <= len(data):
                struct.pack_into("<L", data, offset, rng.choice([0, 1, 0xFFFF, 2**31, 2**32 - 1, len(data)]))
        else:
            del data[at:]
    return bytes(data)


def replaced(text: bytes, rng: random.Random) -> bytes:
    """JSON with one to three pieces in place of others."""
    data = bytearray(text)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data))
        data[at : at + rng.randint(0, 12)] = rng.choice(PIECES)
    return bytes(data)


def sealed(entries: dict[str, bytes], manifest: dict[str, Any]) -> bytes:
    """A bundle whose hashes are right, as whoever writes a bundle can make them."""
    for name, info in manifest["entries"].items():
        info |= {"sha256": hashlib.sha256(entries[name]).hexdigest(), "size": len(entries[name])}
    return b"".join(pack({**entries, MANIFEST: json.dumps(manifest).encode()}))


def with_hostile_entry(data: bytes, rng: random.Random) -> bytes:
    """Another content for an entry, or for what is compressed in it, or another claim of its size; hashes are right."""
    entries = {name: bytes(content) for name, content in unpack(data).items()}
    manifest = json.loads(entries.pop(MANIFEST))
    name = rng.choice(sorted(entries))
    inner = name.endswith(".zst") and rng.random() < 0.6
    content = zstandard.ZstdDecompressor().decompress(entries[name]) if inner else entries[name]
    header = int.from_bytes(content[:8], "little")
    if "safetensors" in name and 8 + header <= len(content) and rng.random() < 0.7:
        text = replaced(content[8 : 8 + header], rng)
        if rng.random() < 0.5:
            text = text.replace(rng.choice(DTYPES), rng.choice(DTYPES), 1)
        content = len(text).to_bytes(8, "little") + text + content[8 + header :]
    else:
        content = damaged(content, rng)
    entries[name] = zstandard.ZstdCompressor().compress(content) if inner else content
    if name.endswith(".zst"):
        claimed = len(content) if inner else manifest["entries"][name]["unpacked_size"]
        manifest["entries"][name]["unpacked_size"] = claimed if rng.random() < 0.8 else rng.randrange(2 * claimed + 2)
    return sealed(entries, manifest)


def with_hostile_manifest(data: bytes, rng: random.Random) -> bytes:
    """A manifest with other pieces of JSON in a whole archive."""
    entries = {name: bytes(content) for name, content in unpack(data).items()}
    return b"".join(pack({**entries, MANIFEST: replaced(entries[MANIFEST], rng)}))


def with_hostile_weights(data: bytes, rng: random.Random) -> bytes:
    """Another content of other entries than the graph: a runtime answers for what it does with a graph."""
    while True:
        made = with_hostile_entry(data, rng)
        if _graph_of(made) == _graph_of(data):
            return made


def _graph_of(data: bytes) -> list[bytes]:
    return [bytes(content) for name, content in unpack(data).items() if name.startswith("graph")]


MAKERS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes": damaged,
    "manifest": with_hostile_manifest,
    "entry": with_hostile_entry,
    "weights": with_hostile_weights,
}


def hostile(kind: str, seeds: list[bytes], rng: random.Random, rounds: int) -> Iterator[bytes]:
    """Bundles that are none, or are not what they say."""
    for _ in range(rounds):
        seed = rng.choice(seeds)
        data = MAKERS[kind](seed, rng)
        if data != seed:
            yield data


def use_up_to_the_runtime(data: bytes) -> None:
    """All that this package reads of a bundle before a runtime is given it."""
    bundle = Bundle.from_bytes(data)
    for artifact in bundle.manifest.artifacts:
        if OnnxRuntime().obstacle(artifact) is None:
            check_external(bytes(bundle.read(artifact.files["graph"])), tensors_of(bundle, artifact))
    for name in bundle.manifest.entries:
        bundle.read(name)


def use(data: bytes) -> None:
    """All of it, the runtime included."""
    Session(Bundle.from_bytes(data)).self_test()


def bound(data: bytes) -> int:
    """Bytes that reading may take beside the file, as docs/bundle.md says.

    Of the entries: unpacked, widened, and four times that for parts of tensors; all that is small beside the rest here.
    """
    try:
        parts = unpack(data)
        listed = Bundle.from_bytes(data).manifest.entries.values()
    except BundleError:
        return 40 * len(data) + SLACK
    return 40 * len(parts[MANIFEST]) + 40 * sum(info.unpacked_size or info.size for info in listed) + SLACK


def changes(event: str, given: tuple[Any, ...]) -> list[str]:
    """What an event of the interpreter does to anything outside of this process."""
    if event == "open":
        return [f"open {given[0]}"] if isinstance(given[1], str) and set(given[1]) & set("wax+") else []
    reads = event in ("os.listdir", "os.scandir", "os.walk")
    return [event] if event.startswith(("os.", "socket.", "subprocess.", "shutil.", "tempfile.")) and not reads else []


def main() -> None:
    """Feed the inputs, tell what happened."""
    kind, seed, rounds, *paths = sys.argv[1:]
    seeds = [Path(path).read_bytes() for path in paths]
    act = use if kind == "weights" else use_up_to_the_runtime
    for data in seeds:  # what is imported and kept once is no input's doing
        act(data)
    forget_peak()
    seen: list[str] = []
    sys.addaudithook(lambda event, given: seen.extend(changes(event, given)))
    outcomes: Counter[str] = Counter()
    excess, before_kib = -sys.maxsize, peak_kib()
    tracemalloc.start()
    for data in hostile(kind, seeds, random.Random(int(seed)), int(rounds)):
        allowed = bound(data)
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        try:
            act(data)
            outcomes["accepted"] += 1
        except BundleError as error:
            outcomes[type(error).__name__] += 1
        excess = max(excess, tracemalloc.get_traced_memory()[1] - before - allowed)
        faulthandler.cancel_dump_traceback_later()
    tracemalloc.stop()
    after_kib = peak_kib()
    grown = None if before_kib is None or after_kib is None else after_kib - before_kib
    print(json.dumps({"outcomes": outcomes, "excess_bytes": excess, "grown_kib": grown, "changes": seen}))


if __name__ == "__main__":
    main()
