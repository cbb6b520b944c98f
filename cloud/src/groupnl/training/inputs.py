"""What is given to a run, checked before anything is written, and described so that a resumed run gets the same."""

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from groupnl.data import ImageSet, LazyImages
from groupnl.training.config import TrainConfig
from groupnl.training.distillation import describe_teacher
from groupnl_device.preprocessing import Preprocessing


def check_inputs(
    model: nn.Module,
    train_set: ImageSet,
    test_set: ImageSet | None,
    config: TrainConfig,
    preprocessing: Preprocessing,
    teacher: nn.Module | None = None,
) -> None:
    """Check that net, teacher, data and settings fit together.

    Raises:
        ValueError: They do not; the message says what to change.
    """
    if len(train_set) < config.batch_size:
        raise ValueError(
            f"batch_size={config.batch_size} is more than the {len(train_set)} images of the training set "
            f"{train_set.name!r}: expected at most that many"
        )
    if test_set is not None and test_set.class_names != train_set.class_names:
        raise ValueError(
            "the training set and the test set have different classes: load both from the same data set and protocol"
        )
    for data in (train_set, test_set):
        if data is not None and tuple(data.images.shape[1:]) != tuple(preprocessing.input_size):
            raise ValueError(
                f"the images of {data.name!r} ({data.split}) are {_size(data.images.shape[1:])}, preprocessing expects "
                f"{_size(preprocessing.input_size)}: load the data with image_size={preprocessing.input_size[1]}"
            )
    from_files = isinstance(train_set.images, LazyImages)
    if from_files != (config.crop_area is not None):
        raise ValueError(
            f"the pictures of {train_set.name!r} are decoded from files: give crop_area, such as 0.08 (--crop-area)"
            if from_files
            else f"crop_area={config.crop_area!r} cuts from picture files, but {train_set.name!r} is in memory: "
            "leave it out, or load the set with in_memory=False"
        )
    side = min(preprocessing.input_size[1:])
    if not from_files and config.crop_padding >= side:
        raise ValueError(
            f"crop_padding={config.crop_padding}: expected less than the images' shorter side, {side} pixels"
        )
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError(f"{type(model).__name__} has no parameter that requires a gradient: nothing to train")
    nets = [(type(model).__name__, trained)]
    if teacher is not None:
        nets.append((f"the teacher {type(teacher).__name__}", list(teacher.parameters())))
    for name, parameters in nets:
        wrong = {str(p.dtype).removeprefix("torch.") for p in parameters if p.dtype != torch.float32}
        if wrong:
            raise ValueError(
                f"{name} has parameters in {', '.join(sorted(wrong))}: give the net in float32 and choose "
                "precision='bf16' or 'fp16' for mixed precision"
            )


def check_output(model: nn.Module, images: Tensor, classes: int, *, role: str = "") -> None:
    """Try the net on a few images, in eval mode so that nothing in it changes.

    Args:
        model: The net; its mode is restored.
        images: Normalised, shape (N, C, H, W), on the net's device.
        classes: Number of classes K.
        role: Said before the net's name in the message, such as ``"the teacher "``.

    Raises:
        ValueError: Its output is no tensor of shape (N, K).
    """
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            output = model.eval()(images)
    finally:
        for module, mode in modes.items():
            module.training = mode
    expected = (len(images), classes)
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != expected:
        raise ValueError(
            f"{role}{type(model).__name__} gives {shape} for {len(images)} images, expected logits of shape "
            f"{expected}: create it with num_classes={classes}"
        )


def describe_inputs(
    train_set: ImageSet, test_set: ImageSet | None, preprocessing: Preprocessing, teacher: nn.Module | None = None
) -> dict[str, Any]:
    """Data, preprocessing and teacher in plain values, with hashes of the content: equal descriptions, equal inputs."""
    return {
        "training set": _describe(train_set),
        "test set": None if test_set is None else _describe(test_set),
        "preprocessing": _plain(preprocessing.to_dict()),
        "teacher": None if teacher is None else describe_teacher(teacher),
    }


def _describe(data: ImageSet) -> dict[str, Any]:
    digest = hashlib.sha256()
    images = data.images
    if isinstance(images, LazyImages):  # reading them all would take hours: their names and the way they are cut
        digest.update(repr((data.files or images.paths, images.fit)).encode())
    for tensor in (data.labels,) if isinstance(images, LazyImages) else (images, data.labels):
        digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.cpu().contiguous().numpy().data)
    return {
        "name": data.name,
        "split": data.split,
        "images": len(data),
        "size": list(data.images.shape[1:]),
        "classes": list(data.class_names),
        "horizontal_flip": data.horizontal_flip,
        "sha256": digest.hexdigest(),
    }


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON and the saved state give them back."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _size(shape: torch.Size | tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)
