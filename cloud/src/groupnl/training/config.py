"""The settings of a training run, checked when they are given and not an hour later."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

OptimizerName = Literal["sgd", "adamw"]
Precision = Literal["fp32", "bf16", "fp16"]
Augment = Literal["plain", "augmix", "pixmix", "randaugment"]

# They say how often work is saved, never what is computed: a run may be resumed with other values of these.
FIELDS_WITHOUT_EFFECT = frozenset({"checkpoint_epochs", "checkpoint_seconds"})


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that, with the net, the data and the machine, fixes the trained weights.

    Attributes:
        epochs: Passes over the training set. Each takes ``len(train_set) // batch_size`` steps: an incomplete last
            batch is dropped, so that all batches weigh the same; every epoch has another order, so other pictures are
            dropped.
        batch_size: Images per step over all processes together; must be a multiple of the number of processes.
        optimizer: ``sgd`` (timm's: Nesterov momentum) or ``adamw``.
        lr: Highest learning rate, for the whole ``batch_size``; about 0.1 suits sgd, 0.001 adamw.
        momentum: Of sgd, in [0, 1); adamw does not use it.
        weight_decay: On weights of two or more dimensions; biases and norms are left alone (timm's rule).
        warmup_epochs: Epochs (fractions allowed) in which the rate rises linearly, step by step, to ``lr``. None
            becomes 1, or half of a shorter run than two epochs.
        min_lr: Where the cosine ends.
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        task_loss_weight: With a teacher: share of the labels' loss in [0, 1); the rest is the teacher's. None: 0.1.
        distill_temperature: With a teacher: what both nets' logits are divided by before the softmax. None: 4.
        ema_decay: Decay per step of the moving average of the weights, in [0, 1); it is approached as
            ``1 - (1 + step) ** (-2 / 3)`` (timm's warm-up). When given, the averaged weights are tested and saved.
            None: off.
        mixup_alpha: Beta distribution's parameter of mixup (Zhang et al., arXiv 1710.09412); 0 is off.
        cutmix_alpha: The same of CutMix (Yun et al., arXiv 1905.04899); with both on, each step tosses a fair coin.
        clip_grad: Largest L2 norm of the whole gradient; None: unlimited.
        crop_padding: Pixels of padding before the random crop; 0: no crop.
        crop_area: For pictures decoded from files: the random crop takes at least this share of the picture, at an
            aspect ratio from 3/4 to 4/3, and is resized (Szegedy et al., arXiv 1409.4842; 0.08 is usual for
            ImageNet); it takes the place of ``crop_padding``. None: off.
        flip: Mirror half of the pictures; None: as the data set allows.
        augment: What happens to pictures after crop and flip: nothing (``plain``), ``augmix`` (Hendrycks et al., arXiv
            1912.02781), ``pixmix`` (arXiv 2112.05135, with pictures made from the seed) or ``randaugment`` (Cubuk et
            al., arXiv 1909.13719). AugMix and PixMix use none of the corruptions that are tested with; RandAugment
            uses brightness, contrast and colour.
        augment_severity: How strong its operations are. AugMix and PixMix: up to this, of 10; None: 3. RandAugment: the
            magnitude, of 30; None: 9.
        augment_width: Of AugMix: chains that are mixed; None: 3.
        augment_depth: Operations in a row. AugMix: in each chain; None: each draws 1, 2 or 3. PixMix: at most so many
            rounds of mixing; None: 4. RandAugment: of every picture; None: 2.
        jsd_weight: With another ``augment`` than ``plain``: each picture is shown plain and in two augmented views, and
            this times the Jensen-Shannon divergence of the three answers is added to the loss of the plain one
            (AugMix, section 3). None: 12 for ``augmix``, 0 (one augmented view, no divergence) for the others.
        precision: ``fp32``, or automatic mixed precision in ``bf16`` or ``fp16`` (with loss scaling; CUDA only).
        channels_last: Keep weights and images in NHWC memory order: the same net, measured 1.4 (resnet8) to 1.5 times
            (groupnl_resnet8) as fast on a CPU, and what mixed precision on a GPU wants.
        compile: Run the net through ``torch.compile``.
        seed: Of the order, the augmentation and the dropout; not of the initial weights, which come with the net.
        test_every: Epochs between two measurements on the test set; the last epoch is always measured.
        checkpoint_epochs: Epochs between two saved states.
        checkpoint_seconds: A state is also saved within an epoch when the last one is older than this; None: never.

    Raises:
        ValueError: A setting is out of range; the message names it.
    """

    epochs: int = 30
    batch_size: int = 128
    optimizer: OptimizerName = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup_epochs: float | None = None
    min_lr: float = 0.0
    label_smoothing: float = 0.0
    task_loss_weight: float | None = None
    distill_temperature: float | None = None
    ema_decay: float | None = None
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0
    clip_grad: float | None = None
    crop_padding: int = 4
    crop_area: float | None = None
    flip: bool | None = None
    augment: Augment = "plain"
    augment_severity: float | None = None
    augment_width: int | None = None
    augment_depth: int | None = None
    jsd_weight: float | None = None
    precision: Precision = "fp32"
    channels_last: bool = True
    compile: bool = False
    seed: int = 0
    test_every: int = 1
    checkpoint_epochs: int = 1
    checkpoint_seconds: float | None = 300.0

    def __post_init__(self) -> None:
        for name, lowest in _INTEGERS.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise ValueError(f"{name}={value!r}: expected an integer, at least {lowest}")
        if self.seed >= 2**63:
            raise ValueError(f"seed={self.seed}: expected less than 2**63")
        if self.warmup_epochs is None:
            object.__setattr__(self, "warmup_epochs", min(1.0, self.epochs / 2))
        for name, (low, high, hint) in _NUMBERS.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < high:
                raise ValueError(f"{name}={value!r}: expected {hint}")
        for name in ("channels_last", "compile"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r}: expected True or False")
        if self.flip not in (None, True, False) or isinstance(self.flip, int) is not isinstance(self.flip, bool):
            raise ValueError(f"flip={self.flip!r}: expected True, False, or None (as the data set allows)")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected one of {', '.join(allowed)}")
        self._fill_augment()
        if self.lr <= 0:
            raise ValueError(f"lr={self.lr!r}: expected a positive number")
        if self.clip_grad is not None and self.clip_grad <= 0:
            raise ValueError(f"clip_grad={self.clip_grad!r}: expected a positive number, or None for no limit")
        if self.distill_temperature is not None and self.distill_temperature <= 0:
            raise ValueError(f"distill_temperature={self.distill_temperature!r}: expected a positive number")
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr={self.min_lr!r}: expected at most lr={self.lr!r}, where the cosine begins")
        if self.warmup_epochs is not None and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs!r}: expected fewer than epochs={self.epochs}; "
                "shorten the warm-up (fractions and 0 are allowed) or train longer"
            )
        if (self.mixup_alpha > 0 or self.cutmix_alpha > 0) and self.batch_size % 2:
            raise ValueError(f"batch_size={self.batch_size}: mixup and CutMix mix pairs, so an even number is expected")

    def _fill_augment(self) -> None:
        """Give the settings of the augmentation their defaults, and refuse those that it does not have."""
        defaults = _AUGMENT_DEFAULTS[self.augment]
        for name in ("augment_severity", "augment_width", "augment_depth", "jsd_weight"):
            value = getattr(self, name)
            if value is not None and name not in defaults:
                raise ValueError(
                    f"{name}={value!r} with augment={self.augment!r}, which has no use for it: leave it out"
                )
            if value is None and name in defaults:
                object.__setattr__(self, name, defaults[name])
        strongest = 30 if self.augment == "randaugment" else 10
        if self.augment_severity is not None and self.augment_severity > strongest:
            raise ValueError(f"augment_severity={self.augment_severity!r}: {self.augment} knows up to {strongest}")
        if self.jsd_weight and (self.mixup_alpha > 0 or self.cutmix_alpha > 0):
            raise ValueError(
                f"jsd_weight={self.jsd_weight!r} with mixup or CutMix: the divergence compares views of one picture; "
                "give jsd_weight=0, or turn the mixing off"
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """The inverse of ``to_dict``; missing settings take their default.

        Raises:
            ValueError: A name is unknown or a value is out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown training settings {', '.join(unknown)}; known: {', '.join(known)}")
        return cls(**values)


# Setting: lowest value.
_INTEGERS = {
    **{"epochs": 1, "batch_size": 1, "crop_padding": 0, "augment_width": 1, "augment_depth": 1, "seed": 0},
    **{"test_every": 1, "checkpoint_epochs": 1},
}

_CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": get_args(OptimizerName),
    "precision": get_args(Precision),
    "augment": get_args(Augment),
}

# Augmentation: the settings it has, with the values of its paper (RandAugment: of torchvision). No depth: AugMix draws.
_AUGMENT_DEFAULTS: dict[Augment, dict[str, float | int | None]] = {
    "plain": {},
    "augmix": {"augment_severity": 3.0, "augment_width": 3, "augment_depth": None, "jsd_weight": 12.0},
    "pixmix": {"augment_severity": 3.0, "augment_depth": 4, "jsd_weight": 0.0},
    "randaugment": {"augment_severity": 9.0, "augment_depth": 2, "jsd_weight": 0.0},
}

# Setting: (lowest value, first value that is too large, both in words).
_ANY = (0.0, math.inf, "a finite number, at least 0")
_SHARE = (0.0, 1.0, "a number from 0 to below 1")
_NUMBERS: dict[str, tuple[float, float, str]] = {
    "lr": (0.0, math.inf, "a positive number"),
    "momentum": _SHARE,
    "weight_decay": _ANY,
    "warmup_epochs": _ANY,
    "min_lr": _ANY,
    "label_smoothing": _SHARE,
    "task_loss_weight": _SHARE,
    "distill_temperature": (0.0, math.inf, "a positive number"),
    "ema_decay": (0.0, 1.0, "a number from 0 to below 1, or None for no average"),
    "mixup_alpha": _ANY,
    "cutmix_alpha": _ANY,
    "crop_area": (1e-3, 1.0 + 1e-9, "a number from 0.001 to 1, or None for no such crop"),
    "augment_severity": _ANY,
    "jsd_weight": _ANY,
    "clip_grad": (0.0, math.inf, "a positive number, or None for no limit"),
    "checkpoint_seconds": (0.0, math.inf, "a finite number, at least 0, or None to save at the end of epochs only"),
}
_OPTIONAL = frozenset(
    {"task_loss_weight", "distill_temperature", "ema_decay", "clip_grad", "checkpoint_seconds"}
    | {"crop_area", "augment_severity", "augment_width", "augment_depth", "jsd_weight"}
)
