"""What does not fit together is refused before anything is written."""

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from groupnl.training import train
from groupnl.training.inputs import check_output, describe_inputs


def refuse(tiny: ModuleType, tmp_path: Path, message: str, **changes: Any) -> None:
    arguments = {
        "model": tiny.net(),
        "train_set": tiny.image_set(),
        "test_set": tiny.image_set(10, split="test"),
        "config": tiny.config(),
        "preprocessing": tiny.PREPROCESSING,
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        train(run_dir=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_a_batch_larger_than_the_data(tiny: ModuleType, tmp_path: Path) -> None:
    message = "batch_size=41 is more than the 40 images of the training set 'tiny': expected at most that many"
    refuse(tiny, tmp_path, message, config=tiny.config(batch_size=41))


def test_other_classes_in_the_test_set(tiny: ModuleType, tmp_path: Path) -> None:
    other = dataclasses.replace(tiny.image_set(10), class_names=("a", "b", "c", "d"))
    refuse(tiny, tmp_path, "have different classes: load both from the same data set", test_set=other)


def test_images_of_another_size(tiny: ModuleType, tmp_path: Path) -> None:
    preprocessing = dataclasses.replace(tiny.PREPROCESSING, input_size=(3, 32, 32))
    message = r"images of 'tiny' \(train\) are 3x8x10, preprocessing expects 3x32x32: load the data with image_size=32"
    refuse(tiny, tmp_path, message, preprocessing=preprocessing)


def test_a_crop_larger_than_the_images(tiny: ModuleType, tmp_path: Path) -> None:
    message = "crop_padding=8: expected less than the images' shorter side, 8 pixels"
    refuse(tiny, tmp_path, message, config=tiny.config(crop_padding=8))


def test_nothing_to_train(tiny: ModuleType, tmp_path: Path) -> None:
    frozen = tiny.net().requires_grad_(False)
    refuse(tiny, tmp_path, "Sequential has no parameter that requires a gradient", model=frozen)


def test_half_precision_weights(tiny: ModuleType, tmp_path: Path) -> None:
    refuse(tiny, tmp_path, "has parameters in bfloat16: give the net in float32", model=tiny.net().bfloat16())


def test_another_number_of_classes(tiny: ModuleType, tmp_path: Path) -> None:
    message = r"gives \(2, 9\) for 2 images, expected logits of shape \(2, 4\): create it with num_classes=4"
    refuse(tiny, tmp_path, message, model=tiny.net(classes=9))


def test_an_output_that_is_no_tensor() -> None:
    class Pair(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images, images

    with pytest.raises(ValueError, match="Pair gives tuple for 2 images"):
        check_output(Pair(), torch.ones(2, 3, 4, 4), 4)


def test_trying_the_net_changes_nothing(tiny: ModuleType) -> None:
    net = tiny.net(dropout=0.5)
    net[1].eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    check_output(net, torch.randn(2, 3, 8, 10), 4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert [module.training for module in net] == [True, False, True, True, True, True, True]


def test_every_byte_of_the_data_counts(tiny: ModuleType) -> None:
    def described(images: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
        changed = dataclasses.replace(data, images=images, labels=labels)
        return describe_inputs(changed, None, tiny.PREPROCESSING)

    data = tiny.image_set()
    images, labels = data.images.clone(), data.labels.clone()
    original = describe_inputs(data, None, tiny.PREPROCESSING)
    assert described(images, labels) == original
    images[39, 2, 7, 9] ^= 1
    assert described(images, labels) != original
    images[39, 2, 7, 9] ^= 1
    labels[39] = (labels[39] + 1) % 4
    assert described(images, labels) != original
