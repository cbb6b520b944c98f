"""What an export is given, checked before anything long begins."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from groupnl.export.errors import ExportError
from groupnl_device.preprocessing import Preprocessing


def check_path(path: Path) -> None:
    """Refuse what is no place for a bundle.

    Raises:
        ExportError: The name does not end in ``.gnl``, is a folder's, or its folder does not exist.
    """
    if path.suffix != ".gnl":
        raise ExportError(f"{path}: expected a file name that ends in .gnl")
    if path.is_dir():
        raise ExportError(f"{path}: is a folder; give the bundle's file name")
    if not path.parent.is_dir():
        raise ExportError(f"{path}: the folder {path.parent} does not exist; create it first")


def check_arguments(
    model: nn.Module,
    example: Tensor,
    preprocessing: Preprocessing,
    class_names: Sequence[str],
    test_images: Tensor | None,
) -> None:
    """Refuse arguments of :func:`groupnl.export.export_bundle` that do not fit one another, or a net without values.

    Raises:
        ExportError: The message says which, and what is allowed.
    """
    if not isinstance(preprocessing, Preprocessing):
        raise ExportError(f"preprocessing: expected a groupnl_device Preprocessing, got {type(preprocessing).__name__}")
    shape = preprocessing.input_size
    wanted = f"(N, {', '.join(map(str, shape))}), as preprocessing.input_size says"
    if example.ndim != 4 or len(example) < 1 or tuple(example.shape[1:]) != shape or not example.is_floating_point():
        raise ExportError(
            f"example_input: {example.dtype} of shape {tuple(example.shape)}; expected floating point of shape {wanted}"
        )
    if isinstance(class_names, str) or not class_names or not all(isinstance(n, str) and n for n in class_names):
        raise ExportError("class_names: expected one non-empty text per class")
    if test_images is not None and (
        test_images.dtype != torch.uint8 or tuple(test_images.shape[1:]) != shape or len(test_images) < 1
    ):
        raise ExportError(
            f"test_images: {test_images.dtype} of shape {tuple(test_images.shape)}; expected uint8 of shape {wanted}"
        )
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor) and tensor.is_meta:
            raise ExportError(f"{name}: is on the meta device and has no values; load the weights first")
        if isinstance(tensor, Tensor) and not bool(torch.isfinite(tensor).all()):
            raise ExportError(f"{name}: holds values that are not finite (NaN or infinity); did training diverge?")


def check_logits(reference: nn.Module, example: Tensor, class_names: Sequence[str]) -> None:
    """Refuse a net that does not turn the example into one row of logits for each picture, one for each class.

    Raises:
        ExportError: What it does instead.
    """
    try:
        with torch.no_grad():
            logits = reference(example)
    except RuntimeError as error:
        raise ExportError(f"the net does not accept example_input of shape {tuple(example.shape)}: {error}") from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(example):
        given = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ExportError(f"the net returns {given}; expected one tensor of logits (N, K)")
    if logits.shape[1] != len(class_names):
        raise ExportError(f"class_names: {len(class_names)} names for a net with {logits.shape[1]} logits")
