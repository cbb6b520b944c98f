"""AugMix's loss against the formula in float64, and the training it gives against a plain loop."""

import numpy as np
import pytest
import torch
from torch import nn

from groupnl.training.consistency import ConsistencyTask, jensen_shannon

LOGITS = 3 * torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def reference(logits: np.ndarray) -> float:
    answers = softmax(logits.astype(np.float64))
    mean = answers.mean(0)
    return float(np.mean([(p * np.log(p / mean)).sum(-1).mean() for p in answers]))


@pytest.mark.parametrize("views", [2, 3, 5])
def test_divergence_is_that_of_the_formula(views: int) -> None:
    logits = 3 * torch.randn(views, 5, 4, generator=torch.Generator().manual_seed(1))
    assert jensen_shannon(logits).item() == pytest.approx(reference(logits.numpy()), rel=1e-5)


def test_equal_answers_do_not_diverge_and_opposite_ones_do_by_log_2() -> None:
    assert jensen_shannon(LOGITS[:1].expand(3, -1, -1)).item() == pytest.approx(0, abs=1e-6)
    opposite = torch.tensor([[[50.0, -50.0]], [[-50.0, 50.0]]])
    assert jensen_shannon(opposite).item() == pytest.approx(np.log(2), rel=1e-6)


def test_certain_answers_have_a_finite_gradient() -> None:
    logits = torch.tensor([[[200.0, -200.0, 0.0]]]).repeat(3, 1, 1).requires_grad_()
    jensen_shannon(logits).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_gradient() -> None:
    logits = LOGITS.double().requires_grad_()
    assert torch.autograd.gradcheck(jensen_shannon, (logits,))


def test_the_plain_pictures_are_classified_and_all_views_compared() -> None:
    class Answers(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return LOGITS.flatten(0, 1) + 0 * images.sum()

    labels = torch.tensor([0, 3, 1, 1, 2])
    task = ConsistencyTask(Answers(), nn.CrossEntropyLoss(), weight=7.0, device=torch.device("cpu"))
    result = task(torch.zeros(15, 1), labels)
    plain = softmax(LOGITS[0].double().numpy())
    classified = -np.log(plain[np.arange(5), labels.numpy()]).mean()
    assert result["loss"].item() == pytest.approx(classified + 7 * reference(LOGITS.numpy()), rel=1e-5)
    assert torch.equal(result["output"], LOGITS[0])
