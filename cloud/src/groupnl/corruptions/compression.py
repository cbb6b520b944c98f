"""Compression: what a picture loses on disk or on the wire.

Source of the definitions and constants: Hendrycks & Dietterich, arXiv 1903.12261, as published for CIFAR-10-C and
ImageNet-C.
"""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def jpeg_compression(images: Tensor, *, quality: int) -> Tensor:
    """Write and read each picture as a JPEG with Pillow, colour at half resolution (4:2:0).

    The values depend on the JPEG library inside Pillow (libjpeg-turbo in its wheels), not on the device: the work
    is done on the CPU.

    Args:
        images: uint8 RGB, shape (N, 3, H, W).
        quality: Of the JPEG standard's example tables, 1 (worst) to 95.

    Returns:
        uint8, the same shape, on the same device.
    """
    pictures = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    decoded = np.empty_like(pictures)
    for position, picture in enumerate(pictures):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
        with Image.open(buffer) as image:
            decoded[position] = np.asarray(image)
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous().to(images.device)
