"""Nets in files of other makers: TorchScript, exported programs (``.pt2``), and weights for a named net."""

import hashlib
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

FileKind = Literal["torchscript", "exported program", "weights"]


def kind_of(path: Path) -> FileKind | None:
    """What a PyTorch file holds, told by its entries, not by its name; None where it is none of PyTorch's zip files."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        entries = [name.partition("/")[2] for name in archive.namelist()]
    if "archive_format" in entries:
        return "exported program"
    if "data.pkl" not in entries:
        return None
    return "torchscript" if any(entry.startswith("code/") for entry in entries) else "weights"


def load_torchscript(path: Path, device: str) -> nn.Module:
    """A scripted or traced net, in evaluation mode.

    Raises:
        ValueError: It cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch deprecates the format; its files are around for long
        try:
            return Scripted(torch.jit.load(str(path), map_location=device))  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise ValueError(f"{path} is no TorchScript file that can be read: {error}") from error


def load_exported(path: Path, device: str) -> nn.Module:
    """A program of ``torch.export``, whatever batch size it was exported with.

    Raises:
        ValueError: It cannot be read, or takes something else than one batch of images.
    """
    from torch.export.passes import move_to_device_pass

    try:
        program = torch.export.load(path)
    except (
        Exception
    ) as error:  # torch.export raises anything from KeyError to RuntimeError on files that are not its own
        raise ValueError(
            f"{path} is no program that torch.export.save wrote ({error}); of a compiled package (AOTInductor) give "
            "the program that it was made of"
        ) from error
    inputs = program.graph_signature.user_inputs
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.name in inputs and "val" in node.meta]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ValueError(f"{path} takes {len(inputs)} inputs, expected one: images of shape (N, 3, H, W)")
    size = shapes[0][0]
    return Exported(move_to_device_pass(program, device).module(), size if isinstance(size, int) else None)


def load_weights_(model: nn.Module, path: Path) -> None:
    """Load a state dict (``.safetensors`` or what ``torch.save`` writes) into a net; nothing in it is executed.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no state dict, or that of another net.
    """
    from timm.models import load_checkpoint

    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        load_checkpoint(model, str(path), weights_only=True)
    except Exception as error:  # a damaged or foreign file raises anything, from UnpicklingError to KeyError
        raise ValueError(f"{path} does not hold the weights of this net: {error}") from error


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Scripted(nn.Module):
    """A TorchScript module as any other module; a frozen one has no training mode to switch."""

    def __init__(self, script: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.script = script
        if hasattr(script, "training"):
            script.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to logits (N, K)."""
        logits: Tensor = self.script(images)
        return logits

    def train(self, mode: bool = True) -> "Scripted":  # noqa: ARG002
        """Nothing: it stays in evaluation mode."""
        return self


class Exported(nn.Module):
    """An exported program as a module that takes any number of images.

    Args:
        program: Takes batches of ``size`` images, or of any size.
        size: None: any.
    """

    def __init__(self, program: nn.Module, size: int | None) -> None:
        super().__init__()
        self.program, self.size = program, size

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to logits (N, K): in pieces of ``size``, the last one filled up with its last image."""
        if self.size is None:
            return self._run(images)
        pieces = [self._run(self._filled(piece))[: len(piece)] for piece in torch.split(images, self.size)]
        return torch.cat(pieces)

    def train(self, mode: bool = True) -> "Exported":  # noqa: ARG002
        """Nothing: a program has one mode, and refuses to be asked for another."""
        return self

    def _filled(self, piece: Tensor) -> Tensor:
        missing = (self.size or 0) - len(piece)
        return piece if missing <= 0 else torch.cat([piece, piece[-1:].expand(missing, -1, -1, -1)])

    def _run(self, images: Tensor) -> Tensor:
        result: Any = self.program(images)
        if isinstance(result, Sequence) and len(result) == 1:  # programs may wrap their output
            result = result[0]
        logits: Tensor = result
        return logits
