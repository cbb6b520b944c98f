"""What a patch file holds: the new bundle's manifest, and steps that make every other entry from the old bundle's.

The publisher writes it, the device reads it; both use this file. Layout and meaning: ``docs/delivery-patches.md``.
Everything that can be checked without the old bundle is checked here, before anything is made.
"""

import json
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, get_args

from groupnl_device.archive import MANIFEST
from groupnl_device.delivery.errors import PatchError
from groupnl_device.delivery.frames import pack_frame, unpack_frame
from groupnl_device.errors import BundleError
from groupnl_device.limits import Limits
from groupnl_device.manifest import Manifest
from groupnl_device.schema import is_integer
from groupnl_device.strict_json import parse

Way = Literal["copy", "zstd", "prefix", "xor", "difference", "bsdiff"]

STEP_BYTES = 2**20  # a step makes at most so many, hence a device never holds more than a few MB; copies are streamed
SPAN_BYTES = 2**21  # and looks at so many of the old bundle
WIDTHS = (1, 2, 4, 8)  # bytes of a number in ``xor`` and ``difference``

_MAGIC = b"GNLPATCH"
_VERSION = 1
_START = struct.Struct(
    "<8s2H3LQ32s"
)  # magic, version, 0, lengths: packed head, manifest, steps; result: length, SHA-256
_LARGEST_STEPS = 2**19  # bytes of JSON: several thousand steps, more than the largest bundle needs
_LARGEST_PART = STEP_BYTES + 2**13  # zstd adds less than that to what it cannot compress
_PARTS = {"copy": (0,), "zstd": (1,), "prefix": (1,), "xor": WIDTHS, "difference": WIDTHS, "bsdiff": (3,)}
_KEYS = {"by", "length", "parts", "from"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Part of an entry of the old bundle, unpacked.

    Attributes:
        entry: Its name, without ``.zst``.
        at: First byte.
        span: Number of bytes.
    """

    entry: str
    at: int
    span: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """How the next bytes of an entry are made.

    Attributes:
        by: The way.
        length: Bytes that it makes.
        parts: Lengths of the zstd frames that it takes from the patch, in their order there.
        source: What it takes from the old bundle.
    """

    by: Way
    length: int
    parts: tuple[int, ...] = ()
    source: Source | None = None

    def __post_init__(self) -> None:
        if self.length < 1 or (self.by != "copy" and self.length > STEP_BYTES):
            raise ValueError(f"a step of {self.length} bytes; allowed are 1 to {STEP_BYTES}")
        if len(self.parts) not in _PARTS[self.by] or not all(1 <= part <= _LARGEST_PART for part in self.parts):
            raise ValueError(f"a step by {self.by} with parts of {list(self.parts)[:9]} bytes")
        if (self.source is None) != (self.by == "zstd"):
            raise ValueError(f"a step by {self.by} {'without' if self.source is None else 'with'} a source")
        if self.source is not None and not self._suits(self.source):
            raise ValueError(f"a step of {self.length} bytes by {self.by} from {self.source.span} bytes")

    def _suits(self, source: Source) -> bool:
        if source.at < 0 or source.span < 1:
            return False
        if self.by in ("prefix", "bsdiff"):
            return source.span <= SPAN_BYTES
        return source.span == self.length and self.length % max(1, len(self.parts)) == 0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one entry is made: the CRC-32 of the whole, and its steps in order."""

    crc32: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Head:
    """All of a patch but the frames that its steps take.

    Attributes:
        manifest_json: Of the new bundle in its stored form.
        recipes: By name, of the new bundle's entries but the manifest.
        length: Bytes of the new bundle.
        sha256: Of the new bundle, 32 bytes.
    """

    manifest_json: bytes
    recipes: dict[str, Recipe]
    length: int
    sha256: bytes


def manifest_base(manifest_json: bytes) -> bytes:
    """What the manifests of a bundle's stored and compressed forms have in common: the head is packed against it.

    Args:
        manifest_json: Of the old bundle in either form, as it is in the file.

    Raises:
        PatchError: It is no manifest.
    """
    try:
        document = parse(manifest_json)
        del document["entries"]
        named = [artifact["files"] for artifact in document["artifacts"]]
        for files in named if document.get("self_test") is None else [*named, document["self_test"]]:
            files.update({role: file.removesuffix(".zst") for role, file in files.items() if isinstance(file, str)})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PatchError(f"the old bundle's {MANIFEST} cannot be read: {type(error).__name__}: {error}") from error
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")


def write_head(head: Head, base: bytes) -> bytes:
    """The beginning of a patch; the frames of its steps follow, entry by entry in the order of their names.

    Args:
        head: Its recipes are those of the manifest's entries.
        base: :func:`manifest_base` of the old bundle.
    """
    listed = [
        {"crc32": head.recipes[name].crc32, "steps": [_to_json(step) for step in head.recipes[name].steps]}
        for name in sorted(head.recipes)
    ]
    steps = json.dumps(listed, separators=(",", ":")).encode()
    packed = pack_frame(head.manifest_json + steps, prefix=base)
    lengths = (len(packed), len(head.manifest_json), len(steps))
    return _START.pack(_MAGIC, _VERSION, 0, *lengths, head.length, head.sha256) + packed


def read_head(file: BinaryIO, base: bytes, limits: Limits) -> Head:
    """Read and check the beginning of a patch; the file is left where the frames begin.

    Raises:
        PatchError: It is no patch, larger than the limits allow, of a later format, made from another bundle, or wrong.
    """
    start = file.read(_START.size)
    if len(start) < _START.size or not start.startswith(_MAGIC):
        raise PatchError("not a patch: it does not begin like one")
    _, version, reserved, packed, manifest_length, steps_length, length, sha256 = _START.unpack(start)
    if (version, reserved) != (_VERSION, 0):
        raise PatchError(f"patch format {version}: this groupnl-device reads {_VERSION}")
    if length > limits.file_bytes:
        raise PatchError(f"the new bundle would have {length} bytes, at most {limits.file_bytes} allowed")
    most = limits.manifest_bytes
    if manifest_length > most or steps_length > _LARGEST_STEPS or packed > most + _LARGEST_PART:
        raise PatchError(
            f"manifest and steps have {manifest_length} and {steps_length} bytes, packed {packed}; allowed are {most} "
            f"and {_LARGEST_STEPS}"
        )
    text = unpack_frame(read_exactly(file, packed), manifest_length + steps_length, prefix=base)
    manifest_json, steps = text[:manifest_length], text[manifest_length:]
    try:
        manifest = Manifest.from_json(manifest_json)
        recipes = _recipes(parse(steps), sorted(manifest.entries))
    except (BundleError, ValueError, KeyError, TypeError) as error:
        raise PatchError(f"the patch's head is damaged, or made from another bundle: {error}") from error
    _check_sizes(manifest, recipes, limits)
    return Head(manifest_json=manifest_json, recipes=recipes, length=length, sha256=sha256)


def read_exactly(file: BinaryIO, size: int) -> bytes:
    """The next bytes of the patch.

    Raises:
        PatchError: It ends before.
    """
    data = file.read(size)
    if len(data) != size:
        raise PatchError("the patch ends early; was it downloaded whole?")
    return data


def _check_sizes(manifest: Manifest, recipes: dict[str, Recipe], limits: Limits) -> None:
    if len(recipes) + 1 > limits.entries:
        raise PatchError(f"the new bundle would have {len(recipes) + 1} entries, at most {limits.entries} allowed")
    for name, recipe in recipes.items():
        made = sum(step.length for step in recipe.steps)
        if made != manifest.entries[name].size:
            raise PatchError(f"entry {name!r}: the steps make {made} bytes of {manifest.entries[name].size}")
    if (total := sum(info.size for info in manifest.entries.values())) > limits.unpacked_bytes:
        raise PatchError(f"the new entries have {total} bytes, at most {limits.unpacked_bytes} allowed")


def _recipes(listed: Any, names: list[str]) -> dict[str, Recipe]:
    if not isinstance(listed, list) or len(listed) != len(names):
        raise ValueError(f"steps for other entries than {names[:9]}")
    found = {}
    for name, recipe in zip(names, listed, strict=True):
        if set(recipe) != {"crc32", "steps"} or not _are_integers([recipe["crc32"]], 2**32 - 1):
            raise ValueError(f"entry {name!r}: expected crc32 and steps")
        found[name] = Recipe(crc32=int(recipe["crc32"]), steps=tuple(_step(told) for told in recipe["steps"]))
    return found


def _step(told: Any) -> Step:
    source = None
    if not set(told) <= _KEYS or told["by"] not in get_args(Way):
        raise ValueError(f"a step that this groupnl-device does not know: {told!r:.80}")
    parts = told.get("parts", [])
    if not isinstance(parts, list) or not _are_integers([told["length"], *parts], 2**32):
        raise ValueError(f"a step with impossible lengths: {told!r:.80}")
    if "from" in told:
        entry, at, span = told["from"]
        if not isinstance(entry, str) or not _are_integers([at, span], 2**32):
            raise ValueError(f"a step from an impossible place: {told!r:.80}")
        source = Source(entry=entry, at=int(at), span=int(span))
    return Step(by=told["by"], length=int(told["length"]), parts=tuple(int(part) for part in parts), source=source)


def _to_json(step: Step) -> dict[str, Any]:
    told: dict[str, Any] = {"by": step.by, "length": step.length}
    if step.parts:
        told["parts"] = list(step.parts)
    if step.source is not None:
        told["from"] = [step.source.entry, step.source.at, step.source.span]
    return told


def _are_integers(values: list[Any], most: int) -> bool:
    return all(is_integer(value) and 0 <= value <= most for value in values)
