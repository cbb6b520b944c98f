"""What a command takes where it takes a net: a name, a file of one of five kinds, or ``module:function``."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from torch import Tensor, nn

if TYPE_CHECKING:
    from groupnl_device.preprocessing import Preprocessing

NetArgument = Annotated[
    str,
    typer.Argument(
        metavar="NET",
        help="A zoo or timm name, a checkpoint, a bundle (.gnl), a TorchScript or .pt2 file, or module:function.",
    ),
]
ModelOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--model-option",
        "-m",
        metavar="NAME=VALUE",
        help="For a zoo or timm name, repeatable: num_classes, reduction, seed, cifar_stem, ...",
    ),
]
PolicyOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--policy-option", "-p", metavar="NAME=VALUE", help="Of --policy, repeatable: reduction=4, seed=1, ..."
    ),
]

_SUFFIXES = {".gnl", ".safetensors", ".pt", ".pth", ".pt2"}  # of files, also of those that are not there


@dataclass(frozen=True, kw_only=True)
class Net:
    """A net and what is known of it."""

    name: str
    model: Callable[[Tensor], Tensor]  # normalised images (N, C, H, W) to logits (N, K)
    module: nn.Module | None  # None: a bundle
    preprocessing: "Preprocessing | None"
    class_names: tuple[str, ...]
    file_hash: str | None = None  # of a bundle


def resolve_net(spec: str, options: Mapping[str, Any] | None = None, *, device: str = "cpu") -> Net:
    """Find or make a net.

    Args:
        spec: See ``NetArgument``.
        options: Keyword arguments of ``create_model``; only for a name or a function.
        device: Where its module is put.

    Raises:
        FileNotFoundError: It looks like a file and there is none.
        ValueError: It is nothing that is allowed, or options are given with a file.
    """
    found = _resolve(spec, dict(options or {}), device)
    if found.module is not None:
        found.module.to(device)
    return found


def _resolve(spec: str, options: dict[str, Any], device: str) -> Net:
    path = Path(spec)
    is_file = path.is_file() or path.suffix in _SUFFIXES
    if is_file and options:
        raise ValueError(f"options {sorted(options)} with the file {spec}: it says itself how its net is made")
    if is_file and not path.is_file():
        raise FileNotFoundError(f"no file {spec}")
    if is_file:
        return _from_file(path, device)
    if ":" in spec:
        return _function(spec, options)
    return _named(spec, options)


def parse_options(given: Sequence[str] | None) -> dict[str, Any]:
    """``["reduction=4", "nlf=sine"]`` to ``{"reduction": 4, "nlf": "sine"}``: JSON values, else text.

    Raises:
        ValueError: An option has no ``=``.
    """
    import json

    options: dict[str, Any] = {}
    for item in given or ():
        name, equals, value = item.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"option {item!r}: expected NAME=VALUE, such as reduction=4")
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        options[name] = tuple(parsed) if isinstance(parsed, list) else parsed
    return options


def timm_preprocessing(model: nn.Module) -> "Preprocessing | None":
    """What a timm net's configuration says about its input; None where it says nothing."""
    from groupnl_device.preprocessing import Preprocessing

    config: Any = getattr(model, "pretrained_cfg", None) or {}
    if not {"input_size", "mean", "std"} <= set(config):
        return None
    return Preprocessing(
        input_size=tuple(config["input_size"]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config.get("interpolation") if config.get("interpolation") == "bicubic" else "bilinear",
        crop_pct=config.get("crop_pct") or 1.0,
        crop_mode="center" if config.get("crop_mode", "center") == "center" else "squash",
    )


def _from_file(path: Path, device: str) -> Net:
    from groupnl.cli.net_files import kind_of, load_exported, load_torchscript

    kind = kind_of(path)
    if kind == "weights":
        raise ValueError(
            f"{path} holds weights without a net: name their net, such as resnet50, and give --weights {path}"
        )
    if kind is not None:
        model = load_torchscript(path, device) if kind == "torchscript" else load_exported(path, device)
        return Net(name=path.stem, model=model, module=model, preprocessing=None, class_names=())
    return _bundle(path) if _is_bundle(path) else _checkpoint(path)


def _is_bundle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK" or path.suffix == ".gnl"


def _bundle(path: Path) -> Net:
    import torch

    from groupnl.cli.net_files import sha256_of
    from groupnl_device.bundle import Bundle
    from groupnl_device.runtime import Session

    session = Session(Bundle.open(path), threads=torch.get_num_threads())
    manifest = session.bundle.manifest

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.logits(images.cpu().numpy())).to(images.device)

    return Net(
        name=manifest.name,
        model=run,
        module=None,
        preprocessing=manifest.preprocessing,
        class_names=tuple(manifest.class_names),
        file_hash=sha256_of(path),
    )


def _checkpoint(path: Path) -> Net:
    from groupnl.models import load_checkpoint, read_checkpoint
    from groupnl_device.preprocessing import Preprocessing

    info = read_checkpoint(path)
    model = load_checkpoint(path)
    return Net(
        name=info.extra.get("name") or info.architecture or path.stem,
        model=model,
        module=model,
        preprocessing=Preprocessing.from_dict(info.preprocessing) if info.preprocessing else None,
        class_names=info.class_names,
    )


def _function(spec: str, options: Mapping[str, Any]) -> Net:
    module_name, _, function_name = spec.partition(":")
    sys.path.insert(0, "")  # as `python -m` does: the user's module lies where the command is given
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"net {spec!r}: cannot find {function_name!r} in module {module_name!r} ({error})") from error
    finally:
        sys.path.remove("")
    model = function(**options)
    if not isinstance(model, nn.Module):
        raise ValueError(f"net {spec!r}: gave a {type(model).__name__}, expected a torch.nn.Module")
    return Net(name=function_name, model=model, module=model, preprocessing=timm_preprocessing(model), class_names=())


def _named(spec: str, options: Mapping[str, Any]) -> Net:
    from groupnl.models import create_model

    try:
        model = create_model(spec, **options)
    except TypeError as error:  # timm hands unknown arguments on to the net's constructor
        raise ValueError(f"net {spec!r} with options {dict(options)}: {error}") from error
    except Exception as error:  # a hub without a network raises anything, from OSError to errors of its own
        if not options.get("pretrained") or isinstance(error, ValueError):
            raise
        raise OSError(f"the pretrained weights of {spec} cannot be had: {error}") from error
    return Net(name=spec, model=model, module=model, preprocessing=timm_preprocessing(model), class_names=())
