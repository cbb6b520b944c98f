"""``manifest.json``, the bundle's description of itself: parsed strictly, checked by the schema, then typed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from groupnl_device import schema, strict_json
from groupnl_device.cuts import Cut
from groupnl_device.errors import FormatVersionError, InvalidManifestError
from groupnl_device.nlf import NLF, Normalize, Range, copies, resolve_ranges
from groupnl_device.preprocessing import Preprocessing

FORMAT_MAJOR, FORMAT_MINOR = 1, 0
_MOST_CHANNELS = 1_000_000  # of all layers: bounds what a device allocates for their constants to 16 MB

Figures = Mapping[str, Any]  # numbers, short texts, or mappings of them


@dataclass(frozen=True, kw_only=True)
class EntryInfo:
    """One entry as stored: its SHA-256 in hex, its size in bytes and, where compressed, the size once unpacked."""

    sha256: str
    size: int
    unpacked_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class SeededPairs:
    """Pairs that ``groupnl_device.nlf.draw_pairs`` draws again (scheme ``philox-v1``)."""

    seed: int
    key: str
    period_range: Range | None
    shift_range: Range | None


@dataclass(frozen=True, kw_only=True)
class ExplicitPairs:
    """Pairs that are shipped: names of float32 tensors (nl_groups, copies) among the weights."""

    period: str
    shift: str


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One GroupNL layer: what rebuilds the graph's constants (``period``, ``shift``, ``source``), and their names."""

    name: str
    nlf: NLF
    normalize: Normalize
    seed_channels: int
    out_channels: int
    nl_groups: int
    pairs: SeededPairs | ExplicitPairs
    initializers: Mapping[str, str]

    @property
    def copies(self) -> int:
        """How often each group of seed maps is copied."""
        return copies(self.out_channels, self.seed_channels)

    @property
    def explicit_names(self) -> tuple[str, ...]:
        """Names of the shipped tensors that hold this layer's pairs; none where a seed gives them."""
        return (self.pairs.period, self.pairs.shift) if isinstance(self.pairs, ExplicitPairs) else ()


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One executable form of the net: which runtime takes it, which entries it consists of, what must be installed.

    ``cuts`` names the tensors that the graph wants and that are parts of shipped ones.
    """

    runtime: str
    form: str
    precision: str
    files: Mapping[str, str]
    requires: Mapping[str, str]
    agreement: Figures
    cuts: Mapping[str, Cut] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As people see it: runtime/form/precision."""
        return f"{self.runtime}/{self.form}/{self.precision}"


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """Sample pictures with the net's answers, and how far an answer may be off relative to the largest logit."""

    file: str
    tolerance: float


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The whole description. Shapes are (N, C, H, W) and (N, K); None is any batch size."""

    name: str
    input_name: str
    input_shape: tuple[int | None, ...]
    output_name: str
    output_shape: tuple[int | None, ...]
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    entries: Mapping[str, EntryInfo]
    layers: tuple[Layer, ...]
    artifacts: tuple[Artifact, ...]
    measured: Figures
    producer: Mapping[str, str]
    self_test: SelfTest | None = None
    format_version: str = field(default=f"{FORMAT_MAJOR}.{FORMAT_MINOR}")

    @classmethod
    def from_json(cls, raw: bytes) -> "Manifest":
        """Parse and check.

        Raises:
            InvalidManifestError: Not JSON, or not a manifest; the message says where.
            FormatVersionError: Of a later format.
        """
        try:
            document = strict_json.parse(raw)
        except ValueError as error:
            raise InvalidManifestError(f"manifest.json: {error}") from error
        return cls.from_dict(document)

    @classmethod
    def from_dict(cls, document: Any) -> "Manifest":
        """Check a parsed manifest and give it types.

        Raises:
            InvalidManifestError: See :meth:`from_json`.
            FormatVersionError: See :meth:`from_json`.
        """
        newer = _is_newer_minor(document)
        try:
            schema.check(document, allow_unknown=newer)
            manifest = cls._typed(document)
            _check_meaning(manifest)
        except ValueError as error:
            raise InvalidManifestError(str(error)) from error
        return manifest

    @classmethod
    def _typed(cls, d: dict[str, Any]) -> "Manifest":
        preprocessing = {name: d["preprocessing"][name] for name in _PREPROCESSING}
        preprocessing["input_size"] = [int(v) for v in preprocessing["input_size"]]
        test = d.get("self_test")
        return cls(
            format_version=d["format_version"],
            name=d["name"],
            input_name=d["input"]["name"],
            input_shape=tuple(None if v is None else int(v) for v in d["input"]["shape"]),
            output_name=d["output"]["name"],
            output_shape=tuple(None if v is None else int(v) for v in d["output"]["shape"]),
            preprocessing=Preprocessing.from_dict(preprocessing),
            class_names=tuple(d["class_names"]),
            entries={
                name: EntryInfo(
                    sha256=e["sha256"],
                    size=int(e["size"]),
                    unpacked_size=None if "unpacked_size" not in e else int(e["unpacked_size"]),
                )
                for name, e in d["entries"].items()
            },
            layers=tuple(_layer(layer) for layer in d["layers"]),
            artifacts=tuple(_artifact(artifact) for artifact in d["artifacts"]),
            measured=d["measured"],
            producer=d["producer"],
            self_test=None if test is None else SelfTest(file=test["file"], tolerance=float(test["tolerance"])),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; :meth:`from_dict` reads them back."""
        document: dict[str, Any] = {
            "format_version": self.format_version,
            "name": self.name,
            "input": {"name": self.input_name, "dtype": "float32", "shape": list(self.input_shape)},
            "output": {"name": self.output_name, "dtype": "float32", "shape": list(self.output_shape)},
            "preprocessing": self.preprocessing.to_dict(),
            "class_names": list(self.class_names),
            "entries": {name: _without_none(vars(info)) for name, info in sorted(self.entries.items())},
            "layers": [_layer_to_dict(layer) for layer in self.layers],
            "artifacts": [_artifact_to_dict(artifact) for artifact in self.artifacts],
            "measured": _plain(self.measured),
            "producer": dict(sorted(self.producer.items())),
        }
        if self.self_test is not None:
            document["self_test"] = dict(vars(self.self_test))
        return document

    def to_json(self) -> bytes:
        """The canonical text: sorted keys, two spaces, UTF-8, a newline at the end."""
        text = json.dumps(self.to_dict(), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
        return text.encode() + b"\n"


_PREPROCESSING = ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode")


def _is_newer_minor(document: Any) -> bool:
    version = document.get("format_version") if isinstance(document, dict) else None
    if not isinstance(version, str) or not (parts := version.split("."))[0].isdecimal():
        return False  # the schema says what is wrong
    if int(parts[0][:9]) != FORMAT_MAJOR:
        raise FormatVersionError(f"bundle format {version[:20]}: this groupnl-device reads {FORMAT_MAJOR}.x; update it")
    return len(parts) == 2 and parts[1].isdecimal() and int(parts[1][:9]) > FORMAT_MINOR


def _layer(d: dict[str, Any]) -> Layer:
    pairs = d["pairs"]
    return Layer(
        name=d["name"],
        nlf=d["nlf"],
        normalize=d["normalize"],
        seed_channels=int(d["seed_channels"]),
        out_channels=int(d["out_channels"]),
        nl_groups=int(d["nl_groups"]),
        pairs=ExplicitPairs(period=pairs["explicit"]["period"], shift=pairs["explicit"]["shift"])
        if "explicit" in pairs
        else SeededPairs(
            seed=int(pairs["seed"]),
            key=pairs["key"],
            period_range=_range(pairs["period_range"]),
            shift_range=_range(pairs["shift_range"]),
        ),
        initializers=dict(d["initializers"]),
    )


def _layer_to_dict(layer: Layer) -> dict[str, Any]:
    d = {name: _plain(value) for name, value in vars(layer).items()}
    if isinstance(layer.pairs, ExplicitPairs):
        d["pairs"] = {"explicit": dict(vars(layer.pairs))}
    else:
        d["pairs"] = {"scheme": "philox-v1"} | {name: _plain(value) for name, value in vars(layer.pairs).items()}
    return d


def _artifact(d: dict[str, Any]) -> Artifact:
    cuts = {name: Cut.of_part(cut["of"], cut["part"]) for name, cut in d.get("cuts", {}).items()}
    return Artifact(**{name: d[name] for name in Artifact.__dataclass_fields__ if name != "cuts"}, cuts=cuts)


def _artifact_to_dict(artifact: Artifact) -> dict[str, Any]:
    d = {name: _plain(value) for name, value in vars(artifact).items() if name != "cuts"}
    if artifact.cuts:
        d["cuts"] = {name: {"of": cut.of, "part": cut.part} for name, cut in sorted(artifact.cuts.items())}
    return d


def _range(value: list[float] | None) -> Range | None:
    return None if value is None else (float(value[0]), float(value[1]))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(value[name]) for name in sorted(value)}
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _check_meaning(m: Manifest) -> None:
    """What a schema cannot say."""
    if m.input_shape[1:] != m.preprocessing.input_size:
        raise ValueError(
            f"manifest.input.shape: {list(m.input_shape)} contradicts input_size {m.preprocessing.input_size}"
        )
    if m.output_shape[1] != len(m.class_names):
        raise ValueError(f"manifest.class_names: {len(m.class_names)} names for an output of {list(m.output_shape)}")
    for name, entry in m.entries.items():
        if name.endswith(".zst") != (entry.unpacked_size is not None):
            raise ValueError(
                f"manifest.entries.{name}: unpacked_size belongs to compressed entries (*.zst) and only there"
            )
    named = [file for artifact in m.artifacts for file in artifact.files.values()]
    for file in named if m.self_test is None else [*named, m.self_test.file]:
        if file not in m.entries:
            raise ValueError(f"manifest: the file {file!r} is not among the entries")
    for layer in m.layers:
        _check_layer(layer)
    if sum(layer.out_channels for layer in m.layers) > _MOST_CHANNELS:
        raise ValueError(f"manifest.layers: more than {_MOST_CHANNELS} channels in all")
    filled = [name for layer in m.layers for name in layer.initializers.values()]
    if len(set(filled)) != len(filled):
        raise ValueError("manifest.layers: two layers fill the same initializer")


def _check_layer(layer: Layer) -> None:
    where = f"manifest.layers: {layer.name}"
    if layer.seed_channels > layer.out_channels:
        raise ValueError(f"{where}: seed_channels {layer.seed_channels} exceeds out_channels {layer.out_channels}")
    if layer.copies and layer.nl_groups > layer.seed_channels:
        raise ValueError(f"{where}: nl_groups {layer.nl_groups} exceeds seed_channels {layer.seed_channels}")
    if isinstance(layer.pairs, SeededPairs):
        try:
            resolve_ranges(layer.nlf, layer.pairs.period_range, layer.pairs.shift_range)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
