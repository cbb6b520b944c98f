"""What a net takes as a file: as a bundle and as a plain state dict, found by writing both."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from groupnl_device.preprocessing import Preprocessing


@dataclass(frozen=True, kw_only=True)
class BundleSize:
    """Bytes of a net's files.

    Attributes:
        bundle_bytes: Of the bundle; None where the net cannot be exported.
        reason: Why it cannot; empty where it can.
        state_dict_bytes: Of the state dict as safetensors.
    """

    bundle_bytes: int | None
    reason: str
    state_dict_bytes: int


def bundle_size(model: nn.Module, size: tuple[int, int, int], preprocessing: "Preprocessing | None") -> BundleSize:
    """Export a net with the weights that it has, look at the file, and delete it.

    The classes are named by their numbers, and the bundle is checked against the net, as every bundle is.

    Args:
        model: Any net; left as it is.
        size: (C, H, W) of one image.
        preprocessing: Of the net; its input size is replaced by ``size``. None: images as they are.
    """
    from dataclasses import replace

    from safetensors.torch import save

    from groupnl.analysis.evaluation_mode import evaluation_mode
    from groupnl.export import export_bundle
    from groupnl_device.preprocessing import Preprocessing

    example = torch.zeros(1, *size)
    with evaluation_mode(model), torch.no_grad():
        logits = model(example)
    classes = logits.shape[-1] if isinstance(logits, Tensor) else 1
    written, reason = None, ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            plain = preprocessing or Preprocessing(input_size=size, mean=(0.0,) * 3, std=(1.0,) * 3)
            written = export_bundle(
                model,
                Path(folder) / "net.gnl",
                example_input=example,
                preprocessing=replace(plain, input_size=size),
                class_names=[str(number) for number in range(classes)],
            ).size_bytes
        except ValueError as error:  # an input that no bundle takes, or an ExportError
            reason = str(error)
    tensors = {
        name: value.detach().cpu().clone() for name, value in model.state_dict().items() if isinstance(value, Tensor)
    }
    return BundleSize(bundle_bytes=written, reason=reason, state_dict_bytes=len(save(tensors)))
