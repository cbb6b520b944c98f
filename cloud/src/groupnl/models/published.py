"""Checkpoints that the method's published code wrote, loaded into the zoo's nets."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from groupnl.nn import GroupNLConv2d


def load_published_(model: nn.Module, path: str | Path) -> None:
    """Load a checkpoint of the published code (github.com/jianhayes/GroupNL) into a net of ours, in place.

    Its layers hold their drawn hyperparameters as ``periods`` and ``shifts``, flat, group by group and copy by copy;
    they override the seeded ones and are then explicit. Their seed convolution is called ``conv1``. Where the
    published layer accepts the sizes at all, the outputs are the same: it normalises, shifts and multiplies as ours
    does.

    Args:
        model: The zoo's net of the same architecture, such as ``groupnl_resnet50``.
        path: A ``.safetensors`` file, or one that ``torch.load`` reads with ``weights_only=True``; either a state
            dict or a training checkpoint that holds one as ``state_dict``, ``state_dict_ema`` or ``model``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no state dict, or hyperparameters of another number than a layer has.
        RuntimeError: Its weights do not fit the net.
    """
    state = _read(Path(path))
    layers = {name: module for name, module in model.named_modules() if isinstance(module, GroupNLConv2d)}
    mapped: dict[str, Tensor] = {}
    for key, tensor in state.items():
        owner, rest = _split(key, layers)
        if rest in ("periods", "shifts"):
            continue
        mapped[f"{owner}.{rest.replace('conv1.', 'seed_conv.', 1)}" if owner else key] = tensor
    for name, layer in layers.items():
        periods, shifts = state.get(f"{name}.periods"), state.get(f"{name}.shifts")
        if periods is None or shifts is None:
            raise ValueError(f"{path}: layer {name!r} of the net has no periods and shifts there: is it another net?")
        shape = (layer.nl_groups, layer.copies)
        if not periods.numel() == shifts.numel() == layer.nl_groups * layer.copies:
            raise ValueError(
                f"{path}: layer {name!r} has {periods.numel()} periods and {shifts.numel()} shifts, the net expects "
                f"{layer.nl_groups} groups x {layer.copies} copies: give it the checkpoint's reduction and nl_groups"
            )
        layer.set_pairs_(periods.reshape(shape), shifts.reshape(shape))
        mapped[f"{name}._extra_state"] = layer.get_extra_state()
        mapped[f"{name}.period"], mapped[f"{name}.shift"] = layer.period, layer.shift
    model.load_state_dict(mapped)


def _split(key: str, layers: Mapping[str, Any]) -> tuple[str, str]:
    """(layer's name or "", what is left) of a key of the published state dict."""
    parts = key.split(".")
    for length in range(len(parts) - 1, 0, -1):
        if (name := ".".join(parts[:length])) in layers:
            return name, ".".join(parts[length:])
    return "", key


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(str(path))
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler's errors on damaged files have no common base; nothing was executed
        raise ValueError(f"{path} is no checkpoint that can be read safely: {error}") from error
    for key in ("state_dict_ema", "state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(f"{path}: expected a state dict, names with tensors")
    return {re.sub(r"^module\.", "", name): tensor for name, tensor in content.items()}
