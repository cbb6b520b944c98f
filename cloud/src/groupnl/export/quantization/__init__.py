"""Int8: a traced net quantised from pictures of its data, the GroupNL layers' own arithmetic kept between 8-bit maps.

Weights are int8, one scale for each output channel; maps are uint8, their ranges taken from calibration pictures.
"""

from groupnl.export.quantization.forms import int8_forms
from groupnl.export.quantization.pt2e import quantized_pytorch

__all__ = ["int8_forms", "quantized_pytorch"]
