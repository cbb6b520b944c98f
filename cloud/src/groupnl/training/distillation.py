"""A net taught by another: timm's task that takes a step, with or without a teacher."""

import copy
import dataclasses
import hashlib
from typing import Any

import torch

# timm's packages have no __all__, so mypy takes their names for private
from timm.loss import create_classification_loss  # type: ignore[attr-defined]
from timm.task import ClassificationTask, DistillationTeacher, LogitDistillationTask
from torch import Tensor, nn

from groupnl.training.config import TrainConfig
from groupnl.training.consistency import ConsistencyTask

# With these the published code of Tian et al. (arXiv 1910.10699, github.com/HobbitLong/RepDistiller) runs plain
# distillation: weight 0.1 for the labels, 0.9 for the teacher, temperature 4.
TASK_LOSS_WEIGHT = 0.1
DISTILL_TEMPERATURE = 4.0


def with_distillation(config: TrainConfig, teacher: nn.Module | None) -> TrainConfig:
    """The settings with those of distillation filled in, so that a run's files say what it was trained with.

    Raises:
        ValueError: Settings of distillation are given without a teacher, or a teacher and AugMix's divergence.
    """
    if teacher is not None:
        if config.jsd_weight:
            raise ValueError(
                f"jsd_weight={config.jsd_weight!r} with a teacher, whose answers already say what the views have in "
                "common: give jsd_weight=0 (--jsd-weight 0), so that both nets see one augmented view"
            )
        weight, temperature = _balance(config)
        return dataclasses.replace(config, task_loss_weight=weight, distill_temperature=temperature)
    for name in ("task_loss_weight", "distill_temperature"):
        if (value := getattr(config, name)) is not None:
            raise ValueError(f"{name}={value!r} without a teacher: give one (teacher=, --teacher), or leave it out")
    return config


def frozen_copy(teacher: nn.Module, device: torch.device, *, channels_last: bool) -> nn.Module:
    """A copy in eval mode without gradients on a device: the caller's net stays as and where it is."""
    copied = copy.deepcopy(teacher).eval().requires_grad_(False).to(device)
    return copied.to(memory_format=torch.channels_last) if channels_last else copied


def describe_teacher(teacher: nn.Module) -> dict[str, Any]:
    """Kind and size of a teacher, and a hash of its modules' kinds and its state dict, in plain values."""
    kinds = [(name, type(module).__name__) for name, module in teacher.named_modules()]
    digest = hashlib.sha256(repr(kinds).encode())
    for name, value in teacher.state_dict().items():
        if isinstance(value, Tensor):
            digest.update(str((name, tuple(value.shape), value.dtype)).encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(repr((name, value)).encode())
    return {
        "net": type(teacher).__name__,
        "sha256": digest.hexdigest(),
        "parameters": sum(parameter.numel() for parameter in teacher.parameters()),
    }


def create_task(
    net: nn.Module, teacher: nn.Module | None, config: TrainConfig, device: torch.device
) -> ClassificationTask | LogitDistillationTask:
    """What makes a loss of images and labels.

    Without a teacher it is the classification loss, to which ``jsd_weight`` adds AugMix's divergence. With one it is
    ``w task + (1 - w) T^2 KL(teacher || student)``, w being ``task_loss_weight``, ``task`` the classification loss, and
    both nets' logits divided by the temperature T before the softmax; the divergence is the mean over the batch
    (Hinton et al., arXiv 1503.02531, section 2).

    Args:
        net: Trained; from images (N, C, H, W) to logits (N, K).
        teacher: From ``frozen_copy``; it gets the same images, augmented, mixed and normalised alike.
        config: From ``with_distillation``.
        device: Of both nets.
    """
    mixing = config.mixup_alpha > 0 or config.cutmix_alpha > 0
    criterion = create_classification_loss(smoothing=config.label_smoothing, soft_targets=mixing)
    student = _Float32Logits(net)
    if config.jsd_weight:
        return ConsistencyTask(student, criterion, weight=config.jsd_weight, device=device)
    if teacher is None:
        return ClassificationTask(student, criterion, device=device, verbose=False)
    weight, temperature = _balance(config)
    return LogitDistillationTask(
        student,
        _SameImages(_Float32Logits(teacher), device=device),
        criterion,
        task_loss_weight=weight,  # alone: the teacher has the rest
        temperature=temperature,
        device=device,
        verbose=False,
    )


def _balance(config: TrainConfig) -> tuple[float, float]:
    """Share of the labels' loss, and temperature."""
    weight, temperature = config.task_loss_weight, config.distill_temperature
    return TASK_LOSS_WEIGHT if weight is None else weight, DISTILL_TEMPERATURE if temperature is None else temperature


class _Float32Logits(nn.Module):
    """A net whose logits are float32: on the CPU autocast would leave the logarithm of the softmax in bfloat16."""

    # timm's distillation asks the student how its images are normalised, and nets of our users' own do not say; here
    # they come normalised.
    pretrained_cfg = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}  # noqa: RUF012  # an instance's in timm's nets

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits.float()


class _SameImages(DistillationTeacher):
    """A teacher that sees what the student sees; timm's would compare two means on the device at every step."""

    def normalize_input(
        self,
        input: Tensor,
        student_mean: Tensor | None = None,  # noqa: ARG002  # timm's signature
        student_std: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """The images as they are, shape (N, C, H, W)."""
        return input
