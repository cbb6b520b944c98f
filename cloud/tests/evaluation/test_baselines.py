"""AlexNet as a baseline; evaluations as baselines are tested where they are used, in test_robustness.py."""

from typing import Any

import pytest
import torch
from torch import Tensor

from groupnl.corruptions import SEVERITIES, FrostPhotographs, names
from groupnl.data import ImageSet
from groupnl.evaluation import ALEXNET, Baseline, evaluate
from groupnl_device.preprocessing import Preprocessing

PANE = FrostPhotographs(images=(torch.full((3, 60, 60), 240, dtype=torch.uint8),) * 5, source="a pane")
PLAIN = Preprocessing(input_size=(3, 40, 40), mean=(0.0,) * 3, std=(1.0,) * 3)


def pictures(classes: int) -> ImageSet:
    """Two pictures, of which the net below gets one right, whatever happens to them."""
    return ImageSet(
        name="part of imagenet",
        split="test",
        images=torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
        labels=torch.tensor([0, 1]),
        class_names=tuple(map(str, range(classes))),
        horizontal_flip=False,
    )


def always_0(images: Tensor) -> Tensor:
    return torch.eye(1000)[[0] * len(images)]


def test_alexnet_has_the_fifteen() -> None:
    assert set(ALEXNET.errors) == set(names("mce15"))
    assert ALEXNET.severities == SEVERITIES


def test_mce_against_alexnet_worked_by_hand() -> None:
    found = evaluate(
        always_0,
        pictures(1000),
        preprocessing=PLAIN,
        corruptions="all",
        variant="imagenet",
        baseline=ALEXNET,
        frost_photographs=PANE,
    )
    # half the answers are wrong under each: CE_c = .5 / AlexNet's, relative CE = 0
    inverse = [1 / e for e in (0.886428, 0.894468, 0.922640, 0.819880, 0.826268, 0.785948, 0.798360, 0.866816)]
    inverse += [1 / e for e in (0.826572, 0.819324, 0.564592, 0.853204, 0.646056, 0.717840, 0.606500)]
    assert found.mce == pytest.approx(0.5 * sum(inverse) / 15)
    assert found.relative_mce == 0
    assert found.baseline == "AlexNet"
    assert found.corruptions["brightness"]["ce"] == pytest.approx(0.5 / 0.564592)
    assert "ce" not in found.corruptions["saturate"]  # beyond the 15 there is no figure of AlexNet
    assert len(found.corruptions) == 19


@pytest.mark.parametrize(
    ("classes", "changes", "message"),
    [
        (
            10,
            {"variant": "imagenet"},
            "AlexNet was measured on ImageNet-C, this run is on part of imagenet .10 classes",
        ),
        (1000, {"variant": "cifar"}, "1000 classes, cifar constants"),
        (
            1000,
            {"variant": "imagenet", "severities": [1, 5]},
            "at the severities 1, 2, 3, 4, 5 together, the run is at",
        ),
    ],
)
def test_alexnet_is_refused_where_it_says_nothing(classes: int, changes: dict[str, Any], message: str) -> None:
    options = {"corruptions": ["fog"], "baseline": ALEXNET} | changes
    with pytest.raises(ValueError, match=message):
        evaluate(always_0, pictures(classes), preprocessing=PLAIN, **options)


def test_a_baseline_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no evaluation given"):
        Baseline.of([])
