"""Accuracy on the test set between epochs; the full measurement is ``groupnl.evaluation``."""

import torch
from accelerate import Accelerator
from torch import nn

from groupnl.data import ImageSet
from groupnl.training.feed import Normalizer
from groupnl.training.processes import share_buffers, summed


@torch.no_grad()
def measure_accuracy(
    net: nn.Module, data: ImageSet, normalize: Normalizer, accelerator: Accelerator, *, batch_size: int
) -> float:
    """Share of images whose highest logit is their label's, over all processes; the net is left in eval mode.

    Args:
        net: Maps (N, C, H, W) to logits (N, K).
        data: On the net's device.
        normalize: Of the run.
        accelerator: Each process measures every ``num_processes``-th image.
        batch_size: Images per forward pass.
    """
    share_buffers(net, accelerator)
    net.eval()
    own = slice(accelerator.process_index, None, accelerator.num_processes)
    images, labels = data.images[own], data.labels[own]
    right = torch.zeros((), dtype=torch.int64, device=labels.device)
    for start in range(0, len(labels), batch_size):
        with accelerator.autocast():
            logits = net(normalize(images[start : start + batch_size]))
        right += (logits.argmax(1) == labels[start : start + batch_size]).sum()
    return int(summed(right, accelerator)) / len(data)
