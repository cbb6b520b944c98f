"""The net, its loss, optimiser, schedule and moving average: what takes one training step, and what is saved of it."""

from typing import Any

import torch
from accelerate import Accelerator

# timm's packages have no __all__, so mypy takes their names for private
from timm.utils import ModelEmaV3  # type: ignore[attr-defined]
from torch import Tensor, nn

from groupnl.training.config import TrainConfig
from groupnl.training.distillation import create_task
from groupnl.training.feed import Batch
from groupnl.training.mixing import mix_targets
from groupnl.training.optimization import CosineSchedule, create_optimizer
from groupnl.training.randomness import derived_seed, seed_global_generators
from groupnl.training.state import RunState


class Learner:
    """Takes the steps of a run.

    timm's task holds the net (and its teacher, if any) with the loss and brings compilation and data parallelism,
    ``ModelEmaV3`` the moving average; Accelerate brings autocast, loss scaling and the device. Accelerate's
    ``prepare_model`` is not used: it replaces the net's ``forward``, which would follow the net into its copies.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        accelerator: Accelerator,
        *,
        classes: int,
        steps_per_epoch: int,
        teacher: nn.Module | None = None,
    ):
        """Args: ``model``, with ``classes`` outputs, is trained in place; ``teacher`` lies on the training device."""
        device = accelerator.device
        self.net = model.to(device)
        if config.channels_last:
            self.net = self.net.to(memory_format=torch.channels_last)
        self._config = config
        self._accelerator = accelerator
        self._classes = classes
        self._task = create_task(self.net, teacher, config, device)
        self.average: nn.Module | None = None
        if config.ema_decay is not None:
            self._ema = ModelEmaV3(self.net, decay=config.ema_decay, use_warmup=True)
            self.average = self._ema.module
        self.optimizer = accelerator.prepare_optimizer(create_optimizer(self.net, config))
        self._schedule = CosineSchedule(self.optimizer.optimizer, config, steps_per_epoch=steps_per_epoch)
        if config.compile:
            self._task.compile()
        if accelerator.num_processes > 1:
            self._task.prepare_distributed(device_ids=[device.index] if device.type == "cuda" else None)
        self._trained: nn.Module = self._task.trainable_module

    @property
    def result(self) -> nn.Module:
        """The net that is tested and saved: the average, or the net itself."""
        return self.net if self.average is None else self.average

    @property
    def lr(self) -> float:
        """Learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def train_mode(self) -> None:
        """Put the net (not its average) into training mode."""
        self._trained.train()

    def step(self, batch: Batch, *, epoch: int, index: int, step: int) -> tuple[Tensor, Tensor]:
        """Take one step.

        Args:
            batch: This process's share.
            epoch: From 0.
            index: Of the step within the epoch, from 0.
            step: Of the run, from 0.

        Returns:
            The share's mean loss, shape (), and its logits, shape (N, K), both detached.
        """
        config, accelerator = self._config, self._accelerator
        self._schedule.apply(step)
        seed_global_generators(
            derived_seed(config.seed, "net", epoch, index, accelerator.process_index), accelerator.device
        )
        targets = batch.labels
        if batch.mix is not None:
            targets = mix_targets(targets, batch.mix, classes=self._classes, smoothing=config.label_smoothing)
        with accelerator.autocast():
            output = self._task(batch.images, targets)
        self.optimizer.zero_grad()
        accelerator.backward(output["loss"])
        if config.clip_grad is not None:
            accelerator.clip_grad_norm_(self.net.parameters(), config.clip_grad)
        self.optimizer.step()
        if self.average is not None:
            self._ema.update(self.net, step=step + 1)
        return output["loss"].detach(), output["output"].detach()

    def is_finite(self) -> bool:
        """Whether all weights and statistics are finite: a state with others would be of no use."""
        tensors = [t for t in self.net.state_dict().values() if isinstance(t, Tensor) and t.is_floating_point()]
        return bool(torch.stack([t.isfinite().all() for t in tensors]).all())

    def state(self) -> dict[str, Any]:
        """The learner's entries of a ``RunState``."""
        scaler = self._accelerator.scaler
        return {
            "model": self.net.state_dict(),
            "ema": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load(self, state: RunState) -> None:
        """Go on from a state.

        Raises:
            ValueError: The net refuses the state, for instance because its seeded hyperparameters differ.
        """
        try:
            self.net.load_state_dict(state.model)
            if self.average is not None and state.ema is not None:
                self.average.load_state_dict(state.ema)
            self.optimizer.load_state_dict(state.optimizer)
        except RuntimeError as error:
            raise ValueError(f"the run's state does not fit the net that was given: {error}") from error
        if self._accelerator.scaler is not None and state.scaler is not None:
            self._accelerator.scaler.load_state_dict(state.scaler)

    def finish(self) -> nn.Module:
        """Leave the tested weights in the net that was given, in eval mode, and return it."""
        if self.average is not None:
            self.net.load_state_dict(self.average.state_dict())
        return self.net.eval()
