"""The accuracy gate of int8: numbers worked by hand, a net that keeps its accuracy, one that does not."""

import numpy as np
import pytest
import torch
from torch import nn

from groupnl.cli.quantization_gate import complaint_of, figures_of, gate_of, pictures_for_calibration
from groupnl.data import ImageSet
from groupnl.export import DisagreementError
from groupnl_device.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(input_size=(3, 32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


@pytest.fixture(scope="module")
def pictures() -> ImageSet:
    """Dark and bright pictures: brightness decides the class."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    noise = torch.randint(0, 60, (40, 3, 32, 32), generator=generator)
    images = (noise + 150 * labels[:, None, None, None]).to(torch.uint8)
    names = ("dark", "bright")
    return ImageSet(name="grey", split="test", images=images, labels=labels, class_names=names, horizontal_flip=True)


class ByBrightness(nn.Module):
    """Right about every picture that is not moved far from black or white."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


class Session:
    """What a device runs."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def logits(self, images: np.ndarray) -> np.ndarray:
        return self.answer(torch.from_numpy(images)).numpy()


def test_a_net_that_answers_alike_passes_and_its_figures_go_into_the_manifest(pictures) -> None:
    net = ByBrightness()
    judge = gate_of(net, pictures, PREPROCESSING, corruptions=("brightness", "contrast"))
    found = judge(Session(net))["quantization"]
    assert (found["data"], found["images"], found["severity"]) == ("grey", 40, 3)
    assert found["float32_accuracy_clean"] == found["int8_accuracy_clean"] == 1
    assert found["float32_accuracy_under_corruption"] == found["int8_accuracy_under_corruption"] > 0.5


def test_a_net_that_got_worse_is_refused(pictures) -> None:
    net = ByBrightness()
    judge = gate_of(net, pictures, PREPROCESSING, corruptions=("contrast",))
    with pytest.raises(DisagreementError, match=r"clean from 100.0% to 50.0%.*40 pictures of grey"):
        judge(Session(lambda x: torch.tensor([[1.0, 0.0]]).expand(len(x), 2)))


def test_a_net_that_got_worse_under_corruption_alone_is_refused(pictures) -> None:
    net = ByBrightness()
    clean = PREPROCESSING.normalize(pictures.images.numpy())

    def answer(x: torch.Tensor) -> torch.Tensor:
        known = all((np.abs(clean - one).max(axis=(1, 2, 3)) < 1e-6).any() for one in x.numpy())
        return net(x) if known else -net(x)

    judge = gate_of(net, pictures, PREPROCESSING, corruptions=("gaussian_noise",))
    with pytest.raises(DisagreementError, match=r"accuracy: under corruption from 100.0% to 0.0%"):
        judge(Session(answer))


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ((0.895, 0.795), ""),  # half a point each
        ((0.89, 0.79), ""),  # one point is allowed
        ((0.889, 0.8), "clean from 90.0% to 88.9%"),
        ((0.91, 0.78), "under corruption from 80.0% to 78.0%"),
        ((float("nan"), 0.8), "clean"),
    ],
)
def test_the_largest_drop_is_one_point(after, words) -> None:
    accuracies = {"clean": (0.9, after[0]), "under corruption": (0.8, after[1])}
    complaint = complaint_of(accuracies, 0.01 + 1e-12)
    assert words in complaint
    assert bool(complaint) == bool(words)


def test_figures_are_named_for_the_manifest() -> None:
    assert figures_of({"clean": (0.9, 0.89), "under corruption": (0.5, 0.5)}, 7, "icons50") == {
        "data": "icons50",
        "images": 7,
        "severity": 3,
        "float32_accuracy_clean": 0.9,
        "int8_accuracy_clean": 0.89,
        "float32_accuracy_under_corruption": 0.5,
        "int8_accuracy_under_corruption": 0.5,
    }


def test_float16_is_judged_likewise(pictures) -> None:
    net = ByBrightness()
    judge = gate_of(net, pictures, PREPROCESSING, precision="float16", corruptions=("contrast",))
    found = judge(Session(net))["quantization"]
    assert found["float32_accuracy_clean"] == found["float16_accuracy_clean"] == 1
    assert not any("int8" in key for key in found)
    with pytest.raises(DisagreementError, match=r"float16 costs more than 1.0% of accuracy: .*Export it in float32"):
        judge(Session(lambda x: torch.tensor([[1.0, 0.0]]).expand(len(x), 2)))


def test_calibration_pictures_are_the_same_each_time_and_none_twice(pictures) -> None:
    one, two = pictures_for_calibration(pictures, 16), pictures_for_calibration(pictures, 16)
    assert torch.equal(one, two)
    assert len(torch.unique(one.flatten(1), dim=0)) == 16
    assert len(pictures_for_calibration(pictures, 1000)) == 40
    with pytest.raises(ValueError, match=r"--calibration-images 0: expected at least 1"):
        pictures_for_calibration(pictures, 0)
