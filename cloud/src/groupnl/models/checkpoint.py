"""Checkpoints: one safetensors file with the weights and, in its metadata, all that rebuilding the net needs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from groupnl.models.architecture import architecture_of
from groupnl.models.convert import convert_
from groupnl.models.zoo import create_model
from groupnl.nn import GroupNLConv2d, SeededLayer
from groupnl.nn.fused import InferenceOnly
from groupnl_device.nlf import SCHEME

if TYPE_CHECKING:  # import groupnl loads nothing of the device but its nlf
    from groupnl_device.preprocessing import Preprocessing

FORMAT = "groupnl-checkpoint"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """What a checkpoint says about itself, without its weights."""

    architecture: str | None  # zoo or timm name; None: only code can make the net
    arguments: Mapping[str, Any]  # of create_model
    conversion: Mapping[str, Any] | None  # {"policy", "options"} of convert_
    preprocessing: Mapping[str, Any] | None  # groupnl_device.preprocessing.Preprocessing.to_dict()
    class_names: tuple[str, ...]
    layers: Mapping[
        str, Mapping[str, Any]
    ]  # per GroupNL layer: nlf, normalize, seed, key, ranges and a hash of the pairs
    extra: Mapping[str, str] = field(default_factory=dict)


def save_checkpoint(
    model: nn.Module,
    path: str | Path,
    *,
    preprocessing: "Preprocessing | None",
    class_names: Sequence[str],
    extra: Mapping[str, str] | None = None,
) -> None:
    """Write a net to one safetensors file, whole or not at all.

    Args:
        model: Any net. One that came from ``create_model`` or timm and was converted, if at all, by a named policy
            can be made again by :func:`load_checkpoint`; any other needs its code for that.
        path: The file; its folder must exist.
        preprocessing: How images become the net's input.
        class_names: In order of the logits; empty where there are none.
        extra: Anything else to remember.

    Raises:
        ValueError: The net's state holds something other than tensors, its arguments are no plain values, or it was
            fused for inference.
        OSError: The file cannot be written; an older one is intact.
    """
    from groupnl_device.atomic import write_atomically

    if any(isinstance(module, InferenceOnly) for module in model.modules()):
        raise ValueError(
            "the net is fused for inference, and no checkpoint can make it again: save it before "
            "fuse_for_inference_(), and fuse what groupnl.load() gives"
        )
    state = model.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"state {name!r} is a {type(value).__name__}: a checkpoint holds tensors only")
    architecture, conversion = architecture_of(model)
    content = {
        "architecture": architecture.name if architecture else None,
        "arguments": dict(architecture.arguments) if architecture else {},
        "conversion": {"policy": conversion.policy, "options": dict(conversion.options)} if conversion else None,
        "preprocessing": preprocessing.to_dict() if preprocessing else None,
        "class_names": list(class_names),
        "layers": {name: _describe(layer) for name, layer in _layers(model)},
        "extra": dict(extra or {}),
    }
    try:
        described = json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the net's arguments {content['arguments']} cannot be written as JSON: {error}") from error
    metadata = {"format": FORMAT, "format_version": str(FORMAT_VERSION), "content": described}
    tensors = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()}
    written = to_safetensors(tensors, metadata)
    write_atomically(path, lambda file: file.write(written))


def read_checkpoint(path: str | Path) -> CheckpointInfo:
    """What a checkpoint says about itself.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no checkpoint of ours, damaged, or of a newer format.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no checkpoint {path}: expected a file that groupnl train or save_checkpoint wrote")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no safetensors file, or damaged: {error}") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} is a safetensors file but no groupnl checkpoint: its metadata lacks format={FORMAT!r}"
        )
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise ValueError(
            f"{path} has checkpoint format {metadata.get('format_version')!r}, this version reads {FORMAT_VERSION}: "
            "update groupnl"
        )
    try:
        content = json.loads(metadata["content"])
        return CheckpointInfo(**{**content, "class_names": tuple(content["class_names"])})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: damaged checkpoint metadata ({error})") from error


def load_checkpoint(path: str | Path, *, model: nn.Module | None = None) -> nn.Module:
    """The net of a checkpoint, exactly as it was saved, in evaluation mode on the CPU.

    Args:
        path: The file.
        model: A net to load the weights into, where the checkpoint cannot make it; else None.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no checkpoint, only code can make its net and ``model`` is not given, or the net has other
            layers.
        RuntimeError: Weights and net do not fit.
    """
    info = read_checkpoint(path)
    net = _make(info, path) if model is None else model
    with safe_open(str(path), framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    for name, layer in _layers(net):
        if isinstance(layer, GroupNLConv2d) and info.layers.get(name, {}).get("explicit"):
            layer.set_pairs_(state[f"{name}.period"], state[f"{name}.shift"])
    layers = {name: _describe(layer) for name, layer in _layers(net)}
    if layers != info.layers:
        raise ValueError(
            f"{path}: {_difference(layers, info.layers)}; build the net with the checkpoint's hyperparameters"
        )
    _take_dtypes_(net, state)
    net.load_state_dict(state)
    return net.eval() if model is None else net


def _make(info: CheckpointInfo, path: str | Path) -> nn.Module:
    if info.architecture is None:
        raise ValueError(
            f"{path} does not say how its net is made (it came from code of its own, or was converted by a policy "
            "object): build the net and give it as model="
        )
    model = create_model(info.architecture, **info.arguments)
    if info.conversion:
        convert_(model, info.conversion["policy"], **_ranges_as_tuples(info.conversion["options"]))
    return model


def _take_dtypes_(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load exactly what was saved: a net saved in half precision comes back so."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if name in state and tensor.dtype != state[name].dtype:
            with torch.no_grad():
                tensor.data = tensor.data.to(state[name].dtype)


def _layers(model: nn.Module) -> list[tuple[str, SeededLayer]]:
    return [(name, module) for name, module in model.named_modules() if isinstance(module, SeededLayer)]


def _describe(layer: SeededLayer) -> dict[str, Any]:
    described = {
        "type": type(layer).__name__,
        **layer.configuration(),
        "scheme": SCHEME,
        "constants_hash": layer.fingerprint().hex(),
    }
    return {name: list(value) if isinstance(value, tuple) else value for name, value in described.items()}


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    missing, unknown = sorted(theirs.keys() - ours.keys()), sorted(ours.keys() - theirs.keys())
    if missing or unknown:
        return f"seeded layers only in the checkpoint: {missing or 'none'}, only in the net: {unknown or 'none'}"
    name = next(name for name in theirs if ours[name] != theirs[name])
    fields = [
        f"{key}={theirs[name].get(key)!r} against the net's {ours[name].get(key)!r}"
        for key in ours[name]
        if ours[name].get(key) != theirs[name].get(key)
    ]
    return f"layer {name!r} was saved with {', '.join(fields)}"


def _ranges_as_tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
