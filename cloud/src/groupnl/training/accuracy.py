"""Accuracy on a whole set between epochs; the full measurement is ``groupnl.evaluation``."""

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
        data: On the net's device, or decoded batch by batch.
        normalize: Of the run.
        accelerator: Each process measures every ``num_processes``-th image.
        batch_size: Images per forward pass.
    """
    share_buffers(net, accelerator)
    net.eval()
    rank, ranks, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    right = torch.zeros((), dtype=torch.int64, device=device)
    for start in range(rank, len(data), batch_size * ranks):
        batch = slice(start, start + batch_size * ranks, ranks)
        with accelerator.autocast():
            logits = net(normalize(data.images[batch].to(device)))
        right += (logits.argmax(1) == data.labels[batch].to(device)).sum()
    return int(summed(right, accelerator)) / len(data)
