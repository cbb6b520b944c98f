"""What one operator costs, from shapes alone: multiply-adds, elementwise work and transcendental calls."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry

# Names of torch.ops.aten; an operator in place (relu_) counts as the one that is not (relu).
_COPIES = {"clone", "_to_copy", "copy"}  # tagged as pointwise, but no arithmetic
_PER_OUTPUT_ELEMENT = {  # pointwise or nearly so, and not (or not in every release) tagged by torch
    "_prelu_kernel",
    "abs",
    "gelu",
    "glu",
    "hardswish",
    "leaky_relu",
    "log_sigmoid_forward",
    "mish",
    "threshold",
    "upsample_bicubic2d",
    "upsample_bilinear2d",
}
_PER_INPUT_ELEMENT = {
    "_adaptive_avg_pool2d",
    "_batch_norm_no_update",
    "_fused_rms_norm",
    "_log_softmax",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "_safe_softmax",
    "_softmax",
    "adaptive_max_pool2d",
    "amax",
    "amin",
    "avg_pool2d",
    "cudnn_batch_norm",
    "cumsum",
    "linalg_vector_norm",
    "logsumexp",
    "max",
    "max_pool2d_with_indices",
    "mean",
    "min",
    "native_batch_norm",
    "native_group_norm",
    "native_layer_norm",
    "norm",
    "prod",
    "std",
    "std_mean",
    "sum",
    "var",
    "var_mean",
}
# Calls for each element that counts as elementwise work. Square roots are algebraic, and processors have an
# instruction for them: none. hardswish, hardsigmoid, ReLU and the like are polynomials by parts: none.
_TRANSCENDENTAL_CALLS = {
    **dict.fromkeys(("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinc"), 1),
    **dict.fromkeys(("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"), 1),
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logit"), 1),
    **dict.fromkeys(("erf", "erfc", "erfinv", "lgamma"), 1),
    **dict.fromkeys(("sigmoid", "silu", "glu", "elu", "celu", "selu"), 1),  # an exp
    **dict.fromkeys(("_softmax", "_safe_softmax", "_log_softmax", "logsumexp"), 1),  # an exp
    "gelu": 1,  # erf, or tanh in its approximation
    **dict.fromkeys(("softplus", "log_sigmoid_forward", "logaddexp"), 2),  # exp and log
    "mish": 3,  # exp, log and tanh
}


class Work(NamedTuple):
    """What an operator does."""

    macs: int = 0
    elementwise: int = 0
    transcendentals: int = 0


def work_of(operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Work:
    """Count one call of an operator.

    Args:
        operator: A ``torch._ops.OpOverload``, as a dispatch mode gets it.
        args: Its arguments.
        kwargs: Its named arguments.
        out: What it returned.
    """
    packet = operator._overloadpacket
    name: str = packet.__name__
    if name.startswith("_scaled_dot_product_"):
        query, key, value = args[:3]  # (N, heads, length, channels); not every release of torch has all its forms
        scores = query.shape[:-1].numel() * key.shape[-2]
        return Work(scores * (query.shape[-1] + value.shape[-1]), scores, scores)  # a softmax between two products
    if packet in flop_registry:
        return Work(macs=flop_registry[packet](*args, **kwargs, out_val=out) // 2)
    elements = _elements(operator, name, args, out)
    return Work(0, elements, elements * _calls(name, args))


def _elements(operator: Any, name: str, args: tuple[Any, ...], out: Any) -> int:
    if operator.namespace != "aten":
        return 0
    plain = name.removesuffix("_")
    first = out[0] if isinstance(out, tuple) and out else out
    if plain in _COPIES or not isinstance(first, Tensor):
        return 0
    if torch.Tag.pointwise in operator.tags or plain in _PER_OUTPUT_ELEMENT:
        return first.numel()
    if plain in _PER_INPUT_ELEMENT and isinstance(args[0], Tensor):
        return args[0].numel()
    return 0


def _calls(name: str, args: tuple[Any, ...]) -> int:
    plain = name.removesuffix("_")
    if plain in {"pow", "float_power"}:
        exponent = args[1]
        if isinstance(exponent, Tensor):  # its values are not looked at: here there are only shapes
            return 1
        return 0 if float(2 * exponent).is_integer() else 1  # products and square roots
    return _TRANSCENDENTAL_CALLS.get(plain, 0)
