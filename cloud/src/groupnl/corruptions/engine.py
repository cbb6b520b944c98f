"""``corrupt``: check the request, make each picture's draws, apply the corruption piece by piece."""

from typing import Any

import torch
from torch import Tensor

from groupnl.corruptions.draws import DrawSource
from groupnl.corruptions.frost_photographs import FrostPhotographs, find_frost_photographs
from groupnl.corruptions.registry import CORRUPTIONS, SEVERITIES, VARIANTS, Variant

# Values worked on at a time. A CPU is fastest while they fit its cache; a GPU wants many at once.
_PIECE_ON_CPU = 1 << 17
_PIECE_ELSEWHERE = 1 << 25


def corrupt(
    images: Tensor,
    name: str,
    *,
    severity: int,
    variant: Variant = "cifar",
    seed: int = 0,
    first_index: int = 0,
    frost_photographs: FrostPhotographs | None = None,
) -> Tensor:
    """Corrupt a batch of pictures as CIFAR-10-C and ImageNet-C define it.

    A picture's draws depend on (seed, name, severity, its index ``first_index`` + position) and its size, on
    nothing else: not on the batch, the device or any random state. The result is the same bits whatever the batch
    size.

    Source: Hendrycks & Dietterich, arXiv 1903.12261; the last step truncates to whole levels, as published.

    Args:
        images: uint8 RGB, shape (N, 3, H, W); left as it is. N may be 0.
        name: One of ``names("all")``.
        severity: 1 (mild) to 5 (strong).
        variant: Whose constants: ``cifar`` (meant for 32x32) or ``imagenet`` (for 224x224).
        seed: Any integer.
        first_index: Index of ``images[0]`` in its dataset, at least 0.
        frost_photographs: For ``frost``; what ``find_frost_photographs()`` finds if none are given.

    Returns:
        uint8, shape (N, 3, H, W), contiguous, on the same device.

    Raises:
        ValueError: An argument is outside what is allowed above, or the folder of frost photographs is unusable.
    """
    _check(images, name, severity=severity, variant=variant, seed=seed, first_index=first_index)
    corruption = CORRUPTIONS[name]
    constants: dict[str, Any] = dict(corruption.constants(variant, severity))
    if name == "frost":
        constants["photographs"] = frost_photographs or find_frost_photographs()
    count, channels, height, width = images.shape
    picture = (channels, height, width)
    corrupted = torch.empty(images.shape, dtype=torch.uint8, device=images.device)
    piece = _PIECE_ON_CPU if images.device.type == "cpu" else _PIECE_ELSEWHERE
    step = max(1, piece // (channels * height * width))
    for start in range(0, count, step):
        part = images[start : start + step].contiguous()
        source = DrawSource(
            seed=seed,
            corruption=name,
            severity=severity,
            first_index=first_index + start,
            count=len(part),
            device=images.device,
        )
        draws = corruption.draws(source, picture, constants)
        corrupted[start : start + step] = corruption.apply(part, **draws, **constants)
    return corrupted


def _check(images: Tensor, name: str, *, severity: int, variant: str, seed: int, first_index: int) -> None:
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption {name!r} is unknown: expected one of {', '.join(CORRUPTIONS)}")
    if isinstance(severity, bool) or severity not in SEVERITIES or not isinstance(severity, int):
        raise ValueError(
            f"severity={severity!r}: expected an integer from 1 (mild) to 5 (strong); leave clean pictures as they are"
        )
    if variant not in VARIANTS:
        raise ValueError(f"variant={variant!r}: expected {' or '.join(map(repr, VARIANTS))}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed={seed!r}: expected an integer")
    if isinstance(first_index, bool) or not isinstance(first_index, int) or first_index < 0:
        raise ValueError(f"first_index={first_index!r}: expected an integer of at least 0")
    if not isinstance(images, Tensor):
        raise ValueError(f"images are a {type(images).__name__}: expected a torch.Tensor, uint8 of shape (N, 3, H, W)")
    if images.dtype != torch.uint8:
        raise ValueError(
            f"images are {images.dtype}: expected torch.uint8 levels from 0 to 255; corrupt before normalising"
        )
    if images.dim() != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        raise ValueError(
            f"images have shape {tuple(images.shape)}: expected (N, 3, H, W), RGB, with H and W at least 1"
        )
