"""Sums over the images of an epoch, kept on the training device, so that counting does not wait for the device."""

import torch
from torch import Tensor

_NEVER = 2**53  # later than any step, and exact in every number format that a process group sums in


class Meter:
    """Loss, right answers and images since the epoch began, and the first step whose loss was not finite."""

    def __init__(self, device: torch.device):
        """Args: ``device`` of the training."""
        precise = torch.float32 if device.type == "mps" else torch.float64  # Apple's GPUs have no float64
        self.totals = torch.zeros(3, dtype=precise, device=device)
        self._bad = torch.zeros((), dtype=torch.int64, device=device)

    def reset(self, totals: Tensor | None = None) -> None:
        """Begin an epoch, or go on in one with the saved ``totals`` of shape (3,)."""
        if totals is None:
            self.totals.zero_()
        else:
            self.totals.copy_(totals)

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, *, step: int) -> None:
        """Count a step: mean loss of shape (), logits (N, K), labels (N,)."""
        count = len(labels)
        self.totals[0] += loss * count
        self.totals[1] += (logits.argmax(1) == labels).sum()
        self.totals[2] += count
        self._bad = torch.maximum(self._bad, (~loss.isfinite()) * (_NEVER - step))

    @property
    def divergence(self) -> Tensor:
        """0 while all losses were finite; larger the earlier one was not. Shape (), int64; for ``bad_step``."""
        return self._bad


def bad_step(divergence: int) -> int | None:
    """The first step whose loss was not finite, from ``Meter.divergence``; None: there was none."""
    return _NEVER - divergence if divergence else None
