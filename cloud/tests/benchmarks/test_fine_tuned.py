"""The versions of a net: what is trained on and what stays."""

from collections.abc import Iterator

import pytest
import torch
from benchmarks.fine_tuned import CHANGES, Pictures, versions

from groupnl.data import ImageSet
from groupnl_device.preprocessing import Preprocessing


@pytest.fixture
def pictures() -> Pictures:
    random = torch.Generator().manual_seed(0)
    split = ImageSet(
        name="noise",
        split="train",
        images=torch.randint(0, 256, (128, 3, 32, 32), generator=random, dtype=torch.uint8),
        labels=torch.arange(128) % 3,
        class_names=("a", "b", "c"),
        horizontal_flip=False,
    )
    return Pictures(
        train=split, test=split, preprocessing=Preprocessing(input_size=(3, 32, 32), mean=(0.5,) * 3, std=(0.25,) * 3)
    )


def test_versions_of_a_net(pictures: Pictures) -> None:
    made: Iterator[tuple[str, torch.nn.Module]] = versions("groupnl_resnet8", pictures, epochs=1, seed=3)
    (base_name, base), (more_name, more), (head_name, head) = made
    assert (base_name, more_name, head_name) == ("base", *CHANGES)
    start, after, last = (model.state_dict() for model in (base, more, head))
    moved = {name for name in start if not torch.equal(start[name], last[name])}
    assert moved == {"fc.weight", "fc.bias"}
    weights = [name for name in start if name.endswith("conv.weight") or name == "fc.weight"]
    assert weights
    assert not any(torch.equal(start[name], after[name]) for name in weights)
    assert not any(model.training for model in (base, more, head))
