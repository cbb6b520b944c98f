"""The test accuracy against numpy, whatever the batch size."""

from types import ModuleType

import pytest
import torch

from groupnl.training.accuracy import measure_accuracy
from groupnl.training.feed import Normalizer
from groupnl.training.processes import create_accelerator


@pytest.mark.parametrize("batch_size", [1, 7, 40, 100])
def test_counts_every_image_once(batch_size: int, tiny: ModuleType) -> None:
    data, net = tiny.image_set(), tiny.net(dropout=0.5).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    normalize = Normalizer(tiny.PREPROCESSING, torch.device("cpu"), channels_last=True)
    accuracy = measure_accuracy(net, data, normalize, create_accelerator(tiny.config()), batch_size=batch_size)
    assert not net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    images = torch.from_numpy(tiny.PREPROCESSING.normalize(data.images.numpy()))
    right = [int(net(image[None]).argmax()) == int(label) for image, label in zip(images, data.labels, strict=True)]
    assert accuracy == sum(right) / 40
