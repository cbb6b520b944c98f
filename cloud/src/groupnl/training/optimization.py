"""The optimiser and the learning rate's schedule, from timm."""

# timm's packages have no __all__, so mypy takes their names for private
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from timm.scheduler import CosineLRScheduler  # type: ignore[attr-defined]
from torch import nn
from torch.optim import Optimizer

from groupnl.training.config import TrainConfig


def create_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """The optimiser of a net: timm's, without weight decay on biases, norms and other one-dimensional parameters."""
    optimizer = create_optimizer_v2(
        model,
        opt=config.optimizer,
        lr=config.lr,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
    )
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"timm made {type(optimizer).__name__} for optimizer={config.optimizer!r}, not an Optimizer")
    return optimizer


class CosineSchedule:
    """Learning rate per step: linear warm-up to ``lr``, then half a cosine down to ``min_lr``.

    With w warm-up steps of T in all, step k (from 0) takes ``lr (k + 1) / (w + 1)`` while k < w, then
    ``min_lr + (lr - min_lr) (1 + cos(pi (k - w) / (T - w))) / 2``. It depends on k alone, so there is no state to save.
    """

    def __init__(self, optimizer: Optimizer, config: TrainConfig, *, steps_per_epoch: int):
        """Args as named; ``steps_per_epoch`` is at least 1."""
        self.steps = config.epochs * steps_per_epoch
        self.warmup_steps = min(round((config.warmup_epochs or 0.0) * steps_per_epoch), self.steps - 1)
        self._scheduler = CosineLRScheduler(
            optimizer,
            t_initial=self.steps - self.warmup_steps,
            lr_min=config.min_lr,
            warmup_t=self.warmup_steps,
            warmup_lr_init=config.lr / (self.warmup_steps + 1),  # not 0: the first step would be lost
            warmup_prefix=True,
            t_in_epochs=False,
        )

    def apply(self, step: int) -> None:
        """Set the optimiser's learning rate for step ``step`` (from 0)."""
        self._scheduler.step_update(step)
