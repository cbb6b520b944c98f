"""AugMix's consistency loss: a picture and its augmented views should get the same answer."""

import torch
from timm.task import ClassificationTask
from torch import Tensor, nn

VIEWS = 3  # the plain picture and two augmented views
_LEAST_PROBABILITY = 1e-7  # of the mean answer, before its logarithm, as in the published code


def jensen_shannon(logits: Tensor) -> Tensor:
    """Mean over the pictures of the Jensen-Shannon divergence of the answers to their views.

    ``(KL(p_1 || m) + ... + KL(p_V || m)) / V`` in nats, p the softmax of the logits and m their mean (Hendrycks et al.,
    arXiv 1912.02781, section 3), m at least 1e-7.

    Args:
        logits: Shape (V, N, K).

    Returns:
        Shape ().
    """
    logarithms = logits.log_softmax(2)  # of the answers: an answer of 0 would have no finite gradient
    answers = logarithms.exp()
    mean = answers.mean(0).clamp(_LEAST_PROBABILITY, 1).log()
    return (answers * (logarithms - mean)).sum(2).mean()


class ConsistencyTask(ClassificationTask):
    """The loss of the plain pictures and, with a weight, the divergence between all views."""

    def __init__(self, net: nn.Module, criterion: nn.Module, *, weight: float, device: torch.device):
        """Args: ``net`` from (N, C, H, W) to float32 logits (N, K); ``weight`` of the divergence."""
        super().__init__(net, criterion, device=device, verbose=False)
        self._weight = weight

    def forward(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """One forward pass over all views, so that they share batch norm's statistics, as in the published code.

        Args:
            images: N plain pictures, then their N first views, then their N second views, shape (3N, C, H, W).
            targets: Shape (N,).

        Returns:
            ``loss``, shape (), and ``output``, the logits of the plain pictures, shape (N, K).
        """
        logits = self.trainable_module(images).unflatten(0, (VIEWS, len(targets)))
        loss = self.criterion(logits[0], targets) + self._weight * jensen_shannon(logits)
        return {"loss": loss, "output": logits[0]}
