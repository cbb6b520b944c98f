"""Patches written by hand after docs/delivery-patches.md, and applied; then patches that lie, end or do not fit."""

import hashlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from groupnl_device.archive import unpack
from groupnl_device.bundle import Bundle
from groupnl_device.delivery.errors import PatchError
from groupnl_device.delivery.patch import apply_patch, patched
from groupnl_device.limits import Limits
from groupnl_device.repack import compressed

ROUNDS = 4000


def frame(data: bytes, prefix: bytes = b"") -> bytes:
    dictionary = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if prefix else None
    return zstandard.ZstdCompressor(level=3, dict_data=dictionary).compress(data)


def base_of(bundle: bytes) -> bytes:
    """The old manifest without what differs between its two forms."""
    manifest = json.loads(bytes(unpack(bundle)["manifest.json"]))
    del manifest["entries"]
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    return text.replace('.zst"', '"').encode()


class Writer:
    """A patch between two stored bundles: every entry is stored as a zstd step, unless steps are given."""

    def __init__(self, old: bytes, new: bytes) -> None:
        self.base = base_of(old)
        self.old = {name: bytes(data) for name, data in unpack(old).items()}
        self.new = {name: bytes(data) for name, data in unpack(new).items()}
        self.manifest = self.new.pop("manifest.json")
        self.result = new
        self.steps: dict[str, list[Any]] = {}
        self.frames: dict[str, list[bytes]] = {}
        for name, data in self.new.items():
            self.say(name, [{"by": "zstd", "length": len(data), "parts": None}], [frame(data)])
        self.start = {"magic": b"GNLPATCH", "version": 1, "reserved": 0, "length": len(new)}
        self.extra: dict[str, Any] = {}

    def say(self, name: str, steps: list[Any], frames: list[bytes]) -> None:
        lengths = iter([len(part) for part in frames])
        for step in steps:
            if isinstance(step, dict) and step.get("parts", 0) is None:
                step["parts"] = [next(lengths)]
        self.steps[name], self.frames[name] = steps, frames

    def bytes(self) -> bytes:
        steps = [{"crc32": zlib.crc32(self.new[n]), "steps": self.steps[n], **self.extra} for n in sorted(self.new)]
        return self.with_steps(json.dumps(steps).encode())

    def with_steps(self, steps: bytes) -> bytes:
        head = frame(self.manifest + steps, self.base)
        fixed = struct.pack(
            "<8sHHLLLQ32s",
            *(self.start["magic"], self.start["version"], self.start["reserved"]),
            *(len(head), len(self.manifest), len(steps), self.start["length"]),
            hashlib.sha256(self.result).digest(),
        )
        return fixed + head + b"".join(part for name in sorted(self.new) for part in self.frames[name])


@pytest.fixture
def new_bytes(net, build) -> bytes:
    """The same net, trained on: its first layer stayed, its name changed."""
    for name in ("fc.weight", "fc.bias"):
        net.weights[name] = net.weights[name] * 1.001
    return build({**net.manifest(), "name": "tiny, trained on"}, net.entries())


@pytest.fixture
def writer(bundle_bytes: bytes, new_bytes: bytes) -> Writer:
    """A patch with a step of every way."""
    writer = Writer(bundle_bytes, new_bytes)
    for name in ("graph.onnx", "self_test.safetensors"):  # the answers of the second differ; the pictures do not
        old, new = writer.old[name], writer.new[name]
        begin = next((k for k, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(new))
        steps = [{"by": "copy", "length": begin, "from": [name, 0, begin]}]
        frames = []
        if begin < len(new):
            frames = [frame(new[begin:], old)]
            steps.append({"by": "prefix", "length": len(new) - begin, "parts": None, "from": [name, 0, len(old)]})
        writer.say(name, steps, frames)
    old, new = writer.old["weights.safetensors"], writer.new["weights.safetensors"]
    cut = len(new) // 8 * 4
    xor = bytes(a ^ b for a, b in zip(old[:cut], new[:cut], strict=True))
    planes = [frame(xor[k::4]) for k in range(4)]
    added = bytes((b - a) % 256 for a, b in zip(old[cut:], new[cut:], strict=True))
    bsdiff = [frame(struct.pack("<3i", len(added), 0, 0)), frame(added), frame(b"")]
    writer.say(
        "weights.safetensors",
        [
            {"by": "xor", "length": cut, "parts": [len(p) for p in planes], "from": ["weights.safetensors", 0, cut]},
            {
                "by": "bsdiff",
                "length": len(added),
                "parts": [len(p) for p in bsdiff],
                "from": ["weights.safetensors", cut, len(added)],
            },
        ],
        [*planes, *bsdiff],
    )
    return writer


def apply(old: bytes, patch: bytes, limits: Limits | None = None) -> bytes:
    return b"".join(patched(io.BytesIO(old), io.BytesIO(patch), None, limits or Limits()))


@pytest.mark.parametrize("form", ["stored", "compressed"])
def test_the_new_bundle_comes_of_either_form_of_the_old(
    form: str, bundle_bytes: bytes, writer: Writer, new_bytes: bytes, tmp_path: Path
) -> None:
    old, patch, out = tmp_path / "old.gnl", tmp_path / "p.patch", tmp_path / "new.gnl"
    old.write_bytes(bundle_bytes if form == "stored" else compressed(Bundle.from_bytes(bundle_bytes)))
    assert any(name.endswith(".zst") for name in Bundle.open(old).manifest.entries) == (form == "compressed")
    patch.write_bytes(writer.bytes())
    apply_patch(old, patch, out)
    assert out.read_bytes() == new_bytes
    assert Bundle.open(out).manifest.name == "tiny, trained on"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.gnl", "old.gnl", "p.patch"]


def test_all_from_the_patch(bundle_bytes: bytes, new_bytes: bytes) -> None:
    assert apply(bundle_bytes, Writer(bundle_bytes, new_bytes).bytes()) == new_bytes


def test_what_is_copied_is_not_in_the_patch(bundle_bytes: bytes) -> None:
    writer = Writer(bundle_bytes, bundle_bytes)
    for name, data in writer.new.items():
        writer.say(name, [{"by": "copy", "length": len(data), "from": [name, 0, len(data)]}], [])
    assert apply(bundle_bytes, writer.bytes()) == bundle_bytes
    assert len(writer.bytes()) < 400


def test_entry_from_another_entry(bundle_bytes: bytes, net, build) -> None:
    entries = net.entries()
    manifest = net.manifest()
    manifest["artifacts"][0]["files"]["graph"] = "renamed.onnx"
    entries["renamed.onnx"] = entries.pop("graph.onnx")
    renamed = build(manifest, entries)
    writer = Writer(bundle_bytes, renamed)
    size = len(entries["renamed.onnx"])
    writer.say("renamed.onnx", [{"by": "copy", "length": size, "from": ["graph.onnx", 0, size]}], [])
    assert apply(bundle_bytes, writer.bytes()) == renamed


@pytest.mark.parametrize("form", ["stored", "compressed"])
def test_other_old_bundle(form: str, writer: Writer, net, build, tmp_path: Path) -> None:
    net.weights["conv.weight"] = net.weights["conv.weight"] + 1
    other = build(net.manifest(), net.entries())
    other = other if form == "stored" else compressed(Bundle.from_bytes(other))
    (tmp_path / "old.gnl").write_bytes(other)
    (tmp_path / "p.patch").write_bytes(writer.bytes())
    (tmp_path / "new.gnl").write_bytes(b"as before")
    with pytest.raises(PatchError, match="not the bundle that the patch promises"):
        apply_patch(tmp_path / "old.gnl", tmp_path / "p.patch", tmp_path / "new.gnl")
    assert (tmp_path / "new.gnl").read_bytes() == b"as before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.gnl", "old.gnl", "p.patch"]


def test_old_bundle_with_another_manifest(writer: Writer, net, build) -> None:
    """The head is packed against the manifest, so this shows before anything is made."""
    other = build({**net.manifest(), "class_names": ["x" * 50, "y", "z", "a"]}, net.entries())
    with pytest.raises(PatchError, match="made from another"):
        apply(other, writer.bytes())


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        apply_patch(tmp_path / "old.gnl", tmp_path / "p.patch", tmp_path / "new.gnl")


def test_every_truncation(bundle_bytes: bytes, writer: Writer) -> None:
    patch = writer.bytes()
    for length in range(len(patch)):
        with pytest.raises(PatchError):
            apply(bundle_bytes, patch[:length])


def test_bytes_behind_the_end(bundle_bytes: bytes, writer: Writer) -> None:
    with pytest.raises(PatchError, match="bytes follow the end"):
        apply(bundle_bytes, writer.bytes() + b"x")


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"magic": b"GNLPATCX"}, "does not begin like one"),
        ({"version": 2}, "patch format 2: this groupnl-device reads 1"),
        ({"reserved": 1}, "patch format"),
        ({"length": 7}, "not the bundle that the patch promises"),
        ({"length": 2**63}, "at most 2147483648 allowed"),
    ],
)
def test_start_that_lies(start: dict[str, Any], message: str, bundle_bytes: bytes, writer: Writer) -> None:
    writer.start.update(start)
    with pytest.raises(PatchError, match=message):
        apply(bundle_bytes, writer.bytes())


GRAPH = "graph.onnx"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "the steps make 0 bytes of"),
        ([{"by": "copy", "length": 5, "from": [GRAPH, 0, 5]}], "the steps make 5 bytes of"),
        ([{"by": "magic", "length": 5}], "does not know"),
        ([{"by": ["zstd"], "length": 5}], "does not know"),
        ([{"by": "zstd", "length": 5, "parts": [9], "more": 1}], "does not know"),
        ([{"by": "zstd", "length": 0, "parts": [9]}], "a step of 0 bytes"),
        ([{"by": "zstd", "length": 2**20 + 1, "parts": [9]}], "a step of 1048577 bytes; allowed are 1 to 1048576"),
        ([{"by": "zstd", "length": -5, "parts": [9]}], "impossible lengths"),
        ([{"by": "zstd", "length": 5.5, "parts": [9]}], "impossible lengths"),
        ([{"by": "zstd", "length": True, "parts": [9]}], "impossible lengths"),
        ([{"by": "zstd", "length": 5, "parts": 9}], "impossible lengths"),
        ([{"by": "zstd", "length": 5, "parts": [2**21]}], "a step by zstd with parts of"),
        ([{"by": "zstd", "length": 5}], "a step by zstd with parts of"),
        ([{"by": "zstd", "length": 5, "parts": [9, 9]}], "a step by zstd with parts of"),
        ([{"by": "zstd", "length": 5, "parts": [9], "from": [GRAPH, 0, 5]}], "with a source"),
        ([{"by": "copy", "length": 5}], "without a source"),
        ([{"by": "copy", "length": 5, "from": [GRAPH, 0, 6]}], "of 5 bytes by copy from 6 bytes"),
        ([{"by": "copy", "length": 5, "from": [GRAPH, -1, 5]}], "impossible place"),
        ([{"by": "copy", "length": 5, "from": [3, 0, 5]}], "impossible place"),
        ([{"by": "copy", "length": 5, "from": [GRAPH, 0]}], "damaged"),
        ([{"by": "copy", "length": 5, "from": None}], "damaged"),
        ([{"by": "xor", "length": 6, "parts": [9] * 3, "from": [GRAPH, 0, 6]}], "a step by xor with parts of"),
        ([{"by": "xor", "length": 6, "parts": [9] * 4, "from": [GRAPH, 0, 6]}], "of 6 bytes by xor from 6 bytes"),
        ([{"by": "xor", "length": 8, "parts": [9] * 4, "from": [GRAPH, 0, 6]}], "of 8 bytes by xor from 6 bytes"),
        ([{"by": "prefix", "length": 8, "parts": [9], "from": [GRAPH, 0, 2**21 + 1]}], "by prefix from 2097153 bytes"),
        ([{"by": "bsdiff", "length": 8, "parts": [9] * 3, "from": [GRAPH, 0, 0]}], "by bsdiff from 0 bytes"),
        ([7], "damaged"),
        (["by"], "does not know"),
        ([{}], "damaged"),
    ],
)
def test_step_that_lies(steps: list[Any], message: str, bundle_bytes: bytes, writer: Writer) -> None:
    writer.say(GRAPH, steps, [])
    with pytest.raises(PatchError, match=message):
        apply(bundle_bytes, writer.bytes())


@pytest.mark.parametrize("source", [[GRAPH, 1, None], ["absent", 0, None], ["manifest.json", 0, None]])
def test_step_that_looks_where_nothing_is(source: list[Any], bundle_bytes: bytes, writer: Writer) -> None:
    size = len(writer.new[GRAPH])
    writer.say(GRAPH, [{"by": "copy", "length": size, "from": [*source[:2], size]}], [])
    with pytest.raises(PatchError, match="made from another bundle"):
        apply(bundle_bytes, writer.bytes())


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (b"{}", "steps for other entries than"),
        (b"[]", "steps for other entries than"),
        (b"[1,2,3]", "damaged"),
        (b'[{"crc32":0},{},{}]', "expected crc32 and steps"),
        (b'[{"crc32":-1,"steps":[]},{},{}]', "expected crc32 and steps"),
        (b"[" * 400, "damaged"),
        (b"\xff", "damaged"),
        (b"[" + b" " * 2**19 + b"]", "allowed are 4194304 and 524288"),
    ],
)
def test_steps_that_are_none(steps: bytes, message: str, bundle_bytes: bytes, writer: Writer) -> None:
    with pytest.raises(PatchError, match=message):
        apply(bundle_bytes, writer.with_steps(steps))


def test_recipe_with_an_unknown_member(bundle_bytes: bytes, writer: Writer) -> None:
    writer.extra = {"more": 1}
    with pytest.raises(PatchError, match="expected crc32 and steps"):
        apply(bundle_bytes, writer.bytes())


def test_manifest_that_is_none(bundle_bytes: bytes, writer: Writer) -> None:
    writer.manifest = b"{}"
    with pytest.raises(PatchError, match="damaged"):
        apply(bundle_bytes, writer.bytes())


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(file_bytes=1000), "would have [0-9]+ bytes, at most 1000 allowed"),
        (Limits(manifest_bytes=100), "allowed are 1 to 100"),
        (Limits(entries=3), "has 4 entries, at most 3 allowed"),
        (Limits(unpacked_bytes=900), "the new entries have [0-9]+ bytes, at most 900 allowed"),
    ],
)
def test_limits(limits: Limits, message: str, bundle_bytes: bytes, writer: Writer) -> None:
    with pytest.raises(PatchError, match=message):
        apply(bundle_bytes, writer.bytes(), limits)


def test_new_manifest_longer_than_allowed(bundle_bytes: bytes, writer: Writer) -> None:
    limits = Limits(manifest_bytes=len(writer.manifest) - 1)  # the old one is shorter
    with pytest.raises(PatchError, match=f"have {len(writer.manifest)} and [0-9]+ bytes"):
        apply(bundle_bytes, writer.bytes(), limits)


def test_head_longer_than_allowed(bundle_bytes: bytes, writer: Writer) -> None:
    patch = bytearray(writer.bytes())
    struct.pack_into("<L", patch, 12, 2**32 - 1)
    with pytest.raises(PatchError, match="packed 4294967295; allowed are"):
        apply(bundle_bytes, bytes(patch))


def mutated(data: bytes, rng: random.Random) -> bytes:
    content = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(content))
        match rng.randrange(4):
            case 0:
                content[at] ^= 1 << rng.randrange(8)
            case 1:
                del content[at : at + rng.randint(1, 40)]
            case 2:
                content[at:at] = rng.randbytes(rng.randint(1, 40))
            case 3:
                content[at : at + 4] = struct.pack("<L", rng.choice([0, 1, 255, 2**16, 2**31, 2**32 - 1]))
    return bytes(content) or b"x"


def fuzz(rounds: int, old: bytes, writer: Writer) -> None:
    """Damaged patches, hostile heads and damaged old bundles: a PatchError or the promised bundle, nothing else."""
    rng = random.Random(0)
    patch = writer.bytes()
    steps = json.dumps([{"crc32": 5, "steps": writer.steps[name]} for name in sorted(writer.new)]).encode()
    words = [b"0", b"1", b"-1", b"1e3", b"99999999", b"null", b"[]", b"{}", b'"', b",", b'"copy"', b'"xor"', b'"from":']
    refused = 0
    tracemalloc.start()
    try:
        for round_ in range(rounds):
            before, attempt = old, patch
            match round_ % 3:
                case 0:
                    attempt = mutated(patch, rng)
                case 1:
                    text = bytearray(steps)
                    for _ in range(rng.randint(1, 3)):
                        at = rng.randrange(len(text))
                        text[at : at + rng.randint(0, 9)] = rng.choice(words)
                    attempt = writer.with_steps(bytes(text))
                case 2:
                    before = mutated(old, rng)
            tracemalloc.reset_peak()
            held = tracemalloc.get_traced_memory()[0]
            try:
                assert apply(before, attempt) == writer.result
            except PatchError:
                refused += 1
            assert tracemalloc.get_traced_memory()[1] - held < 5_000_000
    finally:
        tracemalloc.stop()
    assert refused > rounds / 2


def test_damage(bundle_bytes: bytes, writer: Writer) -> None:
    fuzz(300, bundle_bytes, writer)


def test_damage_of_a_compressed_old_bundle(bundle_bytes: bytes, writer: Writer) -> None:
    fuzz(300, compressed(Bundle.from_bytes(bundle_bytes)), writer)


@pytest.mark.long
@pytest.mark.parametrize("form", ["stored", "compressed"])
def test_much_damage(form: str, bundle_bytes: bytes, writer: Writer) -> None:
    fuzz(ROUNDS, bundle_bytes if form == "stored" else compressed(Bundle.from_bytes(bundle_bytes)), writer)


CHILD = """
import sys
from pathlib import Path
from groupnl_device.delivery.patch import apply_patch

def kibibytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

before = kibibytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # forget the peak
apply_patch(*sys.argv[1:])
print(kibibytes("VmHWM") - before)
"""


def large_steps(old: bytes, new: bytes) -> tuple[list[Any], list[bytes]]:
    """Steps as large as they may be, of every way in turn; those by xor may change something."""
    steps: list[Any] = []
    frames: list[bytes] = []
    for number, at in enumerate(range(0, len(new), 2**20)):
        piece = new[at : at + 2**20]
        low = max(0, min(at, len(old) - 2**21))
        near = old[low : low + 2**21]
        change = np.frombuffer(piece, np.uint8) ^ np.frombuffer(old[at : at + len(piece)], np.uint8)
        beside = ["weights.safetensors", at, len(piece)]
        around = ["weights.safetensors", low, len(near)]
        match number % 4:
            case 0:
                told, packed = {"by": "difference", "from": beside}, [change[k::4].tobytes() for k in range(4)]
            case 1:
                told, packed = {"by": "xor", "from": beside}, [change.tobytes()]
            case 2:
                told, packed = {"by": "prefix", "from": around}, [piece]
            case _:
                count = len(piece) // 2**13
                rows = [(0, 0, at - low), *[(count, 0, 0)] * (2**13 - 1), (len(piece) - count * (2**13 - 1), 0, 0)]
                told = {"by": "bsdiff", "from": around}
                packed = [b"".join(struct.pack("<3i", *row) for row in rows), change.tobytes(), b""]
        made = [frame(part, near if told["by"] == "prefix" else b"") for part in packed]
        steps.append({**told, "length": len(piece), "parts": [len(part) for part in made]})
        frames += made
    return steps, frames


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux, which tells a peak of memory")
@pytest.mark.parametrize("form", ["stored", "compressed"])
def test_memory_does_not_grow_with_the_bundle(form: str, net, build, tmp_path: Path) -> None:
    """A bundle of 40 MB in the 16 MiB that docs/delivery-patches.md states."""
    block = np.random.default_rng(0).normal(size=2**17).astype(np.float32)
    net.weights["large"] = np.tile(block, 80)
    old = build(net.manifest(), net.entries())
    entries = net.entries()
    weights = bytearray(entries["weights.safetensors"])
    weights[2**20] ^= 1
    new = build(net.manifest(), {**entries, "weights.safetensors": bytes(weights)})
    writer = Writer(old, new)
    writer.say("weights.safetensors", *large_steps(writer.old["weights.safetensors"], bytes(weights)))
    for name in ("graph.onnx", "self_test.safetensors"):
        size = len(writer.new[name])
        writer.say(name, [{"by": "copy", "length": size, "from": [name, 0, size]}], [])
    (tmp_path / "old.gnl").write_bytes(old if form == "stored" else compressed(Bundle.from_bytes(old)))
    (tmp_path / "p.patch").write_bytes(writer.bytes())
    run = [sys.executable, "-c", CHILD, *(str(tmp_path / name) for name in ("old.gnl", "p.patch", "new.gnl"))]
    grown = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert (tmp_path / "new.gnl").read_bytes() == new
    assert int(grown) < 16 * 1024
