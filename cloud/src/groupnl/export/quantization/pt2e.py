"""Int8 for PyTorch on x86: torchao's PT2E quantisation, whose result ``torch.compile`` turns into 8-bit kernels.

It stays in the cloud: a quantised program can be stored as a ``.pt2`` file alone, which a device would have to
unpickle.
"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from groupnl.export.errors import ExportError
from groupnl.export.plain_form import frozen_copy
from groupnl.export.quantization.calibration import Pictures
from groupnl_device.preprocessing import Preprocessing


def quantized_pytorch(model: nn.Module, pictures: NDArray[np.uint8] | None, preprocessing: Preprocessing) -> nn.Module:
    """A copy of a net that computes its convolutions and linear layers in 8 bits.

    Weights are int8 with a scale for each output channel, maps uint8, ranges those of the pictures. GroupNL layers
    keep their norm and their functions in float32, as in the ONNX form.

    Args:
        model: Any net, (N, 3, H, W) to (N, K); copied, never changed.
        pictures: uint8, shape (N, 3, H, W), to calibrate with.
        preprocessing: How they become the net's input.

    Returns:
        For any batch size, in evaluation; as it is, it simulates the rounding; ``torch.compile`` makes it fast.

    Raises:
        ExportError: torchao is not installed, there are no pictures, or the net cannot be traced.
    """
    try:
        from torchao.quantization.pt2e import move_exported_model_to_eval
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
            X86InductorQuantizer,
            get_default_x86_inductor_quantization_config,
        )
    except ImportError as error:
        raise ExportError("int8 in PyTorch needs torchao 0.18 or newer: pip install torchao") from error
    reader = Pictures(pictures, preprocessing)
    frozen = frozen_copy(model)
    example = torch.zeros(2, *preprocessing.input_size)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch and torchao about themselves
        try:
            batch = torch.export.Dim("batch", min=1)
            program = torch.export.export(frozen, (example,), dynamic_shapes=({0: batch},), strict=False).module()
        except Exception as error:  # the exporter's errors have no common base but Exception
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ExportError(f"{type(model).__name__} cannot be traced for PyTorch: {reason}") from error
        quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
        prepared = prepare_pt2e(program, quantizer)
        while (given := reader.get_next()) is not None:
            for images in given.values():
                prepared(torch.from_numpy(images))
        converted: nn.Module = move_exported_model_to_eval(convert_pt2e(prepared))
        return converted
