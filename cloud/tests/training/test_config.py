"""Settings are checked where they are given."""

import dataclasses
import json
from typing import Any

import pytest

from groupnl.training import TrainConfig


def test_settings_survive_json() -> None:
    config = TrainConfig(epochs=7, optimizer="adamw", lr=1e-3, ema_decay=0.99, flip=False, checkpoint_seconds=None)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("augment", ["plain", "augmix", "pixmix", "randaugment"])
def test_settings_of_an_augmentation_survive_json(augment: str) -> None:
    config = TrainConfig(augment=augment)  # type: ignore[arg-type]
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_augmentation_has_the_values_of_its_paper() -> None:
    def filled(augment: str) -> list[float | None]:
        config = TrainConfig(augment=augment)  # type: ignore[arg-type]
        return [config.augment_severity, config.augment_width, config.augment_depth, config.jsd_weight]

    assert filled("plain") == [None, None, None, None]
    assert filled("augmix") == [3, 3, None, 12]
    assert filled("pixmix") == [3, None, 4, 0]
    assert filled("randaugment") == [9, None, 2, 0]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().lr = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs=0: expected an integer, at least 1"),
        ({"epochs": True}, "epochs=True: expected an integer"),
        ({"epochs": 2.5}, r"epochs=2\.5: expected an integer"),
        ({"batch_size": -8}, "batch_size=-8"),
        ({"seed": -1}, "seed=-1: expected an integer, at least 0"),
        ({"seed": 2**63}, r"seed=9223372036854775808: expected less than 2\*\*63"),
        ({"optimizer": "adam"}, "optimizer='adam': expected one of sgd, adamw"),
        ({"precision": "half"}, "precision='half': expected one of fp32, bf16, fp16"),
        ({"lr": 0.0}, r"lr=0\.0: expected a positive number"),
        ({"lr": "0.1"}, r"lr='0\.1': expected a positive number"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"lr": float("inf")}, "lr=inf"),
        ({"min_lr": 0.2}, r"min_lr=0\.2: expected at most lr=0\.1"),
        ({"momentum": 1.0}, r"momentum=1\.0: expected a number from 0 to below 1"),
        ({"weight_decay": -1e-4}, "weight_decay=-0.0001: expected a finite number, at least 0"),
        ({"warmup_epochs": 30}, "warmup_epochs=30: expected fewer than epochs=30; shorten the warm-up"),
        ({"label_smoothing": 1.0}, r"label_smoothing=1\.0"),
        ({"task_loss_weight": 1.0}, r"task_loss_weight=1\.0: expected a number from 0 to below 1"),
        ({"distill_temperature": 0.0}, r"distill_temperature=0\.0: expected a positive number"),
        ({"ema_decay": 1.0}, r"ema_decay=1\.0: expected a number from 0 to below 1, or None"),
        ({"mixup_alpha": -1}, "mixup_alpha=-1"),
        ({"cutmix_alpha": 1.0, "batch_size": 7}, "batch_size=7: mixup and CutMix mix pairs"),
        ({"clip_grad": 0.0}, r"clip_grad=0\.0: expected a positive number, or None"),
        ({"crop_padding": -1}, "crop_padding=-1: expected an integer, at least 0"),
        ({"crop_area": 0.0}, r"crop_area=0\.0: expected a number from 0\.001 to 1, or None"),
        ({"crop_area": 1.5}, r"crop_area=1\.5: expected a number from 0\.001 to 1"),
        ({"augment": "augment"}, "augment='augment': expected one of plain, augmix, pixmix, randaugment"),
        ({"augment": "augmix", "augment_severity": 11}, "augment_severity=11: augmix knows up to 10"),
        ({"augment": "randaugment", "augment_severity": 31}, "augment_severity=31: randaugment knows up to 30"),
        ({"augment": "pixmix", "augment_severity": -1}, "augment_severity=-1: expected a finite number, at least 0"),
        ({"augment": "augmix", "augment_width": 0}, "augment_width=0: expected an integer, at least 1"),
        ({"augment": "augmix", "augment_depth": 1.5}, r"augment_depth=1\.5: expected an integer, at least 1"),
        ({"augment": "augmix", "jsd_weight": -1}, "jsd_weight=-1: expected a finite number, at least 0"),
        ({"jsd_weight": 12}, "jsd_weight=12 with augment='plain', which has no use for it: leave it out"),
        ({"augment_depth": 2}, "augment_depth=2 with augment='plain', which has no use for it"),
        ({"augment": "pixmix", "augment_width": 3}, "augment_width=3 with augment='pixmix', which has no use for it"),
        ({"augment": "augmix", "mixup_alpha": 0.2}, r"jsd_weight=12\.0 with mixup or CutMix: .* give jsd_weight=0"),
        ({"flip": "yes"}, "flip='yes': expected True, False, or None"),
        ({"flip": 1}, "flip=1: expected True, False, or None"),
        ({"compile": 1}, "compile=1: expected True or False"),
        ({"test_every": 0}, "test_every=0"),
        ({"checkpoint_epochs": 0}, "checkpoint_epochs=0"),
        ({"checkpoint_seconds": -1.0}, r"checkpoint_seconds=-1\.0: .* or None to save at the end of epochs only"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(**changes)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown training settings learning_rate; known: epochs, batch_size"):
        TrainConfig.from_dict({"learning_rate": 0.1})


@pytest.mark.parametrize(("epochs", "warmup"), [(1, 0.5), (2, 1.0), (30, 1.0)])
def test_the_default_warm_up_fits_into_a_short_run(epochs: int, warmup: float) -> None:
    assert TrainConfig(epochs=epochs).warmup_epochs == warmup
