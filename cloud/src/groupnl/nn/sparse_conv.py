"""The seed convolution of sparse GroupNL: few inputs and one output in each group."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv2d_of_terms(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    dilation: tuple[int, ...],
    groups: int,
) -> Tensor:
    """A convolution with one output in each group, as a depthwise one and additions where that is faster.

    Output s sums the inputs ``m s .. m s + m - 1``, each under a filter of its own, m = C_in / groups: a depthwise
    convolution of all inputs makes the terms, and every m-th of them is added. Exact but for the order of the sum.
    CPU libraries have fast kernels for depthwise convolutions, and none for groups of two inputs: see
    ``benchmarks/layer.py``. Elsewhere, and for exporters, it is the library's grouped convolution.

    Args:
        x: Shape (N, C_in, H, W).
        weight: Shape (groups, m, kH, kW).
        bias: Shape (groups,).
        stride: As in ``torch.nn.functional.conv2d``, like the rest.
        padding: Of zeros.
        dilation: Of the kernel.
        groups: Number of groups, and of outputs.

    Returns:
        Shape (N, groups, H', W').
    """
    exported = torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    counted = type(x) is not Tensor and not torch.compiler.is_compiling()  # what a layer costs is the same everywhere
    if x.device.type != "cpu" or exported or counted:
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    inputs = weight.shape[1]
    wide_bias = None if bias is None else F.pad(bias[:, None], (0, inputs - 1)).flatten()
    wide_weight = weight.flatten(0, 1).unsqueeze(1)
    terms = F.conv2d(x, wide_weight, wide_bias, stride, padding, dilation, groups * inputs)
    maps = terms[:, 0::inputs]
    for nth in range(1, inputs):
        maps = torch.add(maps, terms[:, nth::inputs])
    return maps


torch.fx.wrap("conv2d_of_terms")  # one node for torch.fx, which cannot follow its choice


class SparseConv2d(nn.Conv2d):
    """An ``nn.Conv2d`` with one output in each group, by :func:`conv2d_of_terms`.

    Input (N, C_in, H, W), output (N, groups, H', W'). Arguments, weights and state are those of ``nn.Conv2d``, with
    ``out_channels == groups``.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, groups, H', W')."""
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0, 0)
        return conv2d_of_terms(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
