"""What a net takes as a file: as a plain state dict and as a bundle in each precision, found by writing them."""

import copy
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from groupnl_device.preprocessing import Preprocessing

PRECISIONS = ("float32", "float16", "int8")
_CALIBRATION = 8  # pictures of noise: the ranges of maps are a few numbers of the graph, whatever they are


@dataclass(frozen=True, kw_only=True)
class BundleSize:
    """Bytes of a net's bundle.

    Attributes:
        exported_bytes: As ``groupnl export`` writes it; None where the net cannot be exported so.
        published_bytes: As ``groupnl publish`` sends it, compressed where that pays; likewise.
        reason: Why it cannot; empty where it can.
    """

    exported_bytes: int | None = None
    published_bytes: int | None = None
    reason: str = ""


def bundle_sizes(
    model: nn.Module, size: tuple[int, int, int], preprocessing: "Preprocessing | None"
) -> dict[str, BundleSize]:
    """Export a net in each precision with the weights that it has, look at the files, and delete them.

    The classes are named by their numbers, and each bundle is checked against the net, as every bundle is. Batch norms
    that begin at zero, as in fresh ResNets, are taken as one: zeros compress as no trained weights do.

    Args:
        model: Any net; left as it is.
        size: (C, H, W) of one image.
        preprocessing: Of the net; its input size is replaced by ``size``. None: images as they are.

    Returns:
        By precision. What refuses float32 refuses the others, which are then not tried.
    """
    model = _without_zero_norms(model)
    from groupnl.analysis.evaluation_mode import evaluation_mode
    from groupnl_device.preprocessing import Preprocessing

    example = torch.zeros(1, *size)
    with evaluation_mode(model), torch.no_grad():
        logits = model(example)
    classes = logits.shape[-1] if isinstance(logits, Tensor) else 1
    found: dict[str, BundleSize] = {}
    for precision in PRECISIONS:
        whole = found.get(PRECISIONS[0])
        if whole is not None and whole.reason:
            found[precision] = whole
            continue
        try:
            plain = preprocessing or Preprocessing(input_size=size, mean=(0.0,) * 3, std=(1.0,) * 3)
            found[precision] = _written(model, example, replace(plain, input_size=size), classes, precision)
        except ValueError as error:  # an input that no bundle takes, or an ExportError
            found[precision] = BundleSize(reason=str(error))
    return found


def state_dict_bytes(model: nn.Module) -> int:
    """Of the state dict as safetensors, which is what is sent where there are no bundles."""
    from safetensors.torch import save

    state = model.state_dict()
    return len(save({name: value.detach().cpu().clone() for name, value in state.items() if isinstance(value, Tensor)}))


def _without_zero_norms(model: nn.Module) -> nn.Module:
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if isinstance(module, nn.BatchNorm2d) and module.affine and not bool(module.weight.any()):
            nn.init.ones_(module.weight)
    return copied


def _written(
    model: nn.Module, example: Tensor, preprocessing: "Preprocessing", classes: int, precision: str
) -> BundleSize:
    from groupnl.export import export_bundle
    from groupnl_device.bundle import Bundle
    from groupnl_device.repack import compressed

    noise = torch.randint(0, 256, (_CALIBRATION, *example.shape[1:]), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        report = export_bundle(
            model,
            Path(folder) / "net.gnl",
            example_input=example,
            preprocessing=preprocessing,
            class_names=[str(number) for number in range(classes)],
            precision=precision,
            calibration_images=noise.to(torch.uint8) if precision == "int8" else None,
        )
        published = len(compressed(Bundle.open(report.path)))
    return BundleSize(exported_bytes=report.size_bytes, published_bytes=published)
