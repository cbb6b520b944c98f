"""A net of the zoo through the engine: averaged, saved as a checkpoint, loaded; other hyperparameters are refused."""

import functools
from pathlib import Path
from types import ModuleType

import pytest
import torch

from groupnl.models import create_model, load_checkpoint, save_checkpoint
from groupnl.training import TrainResult, train


def train_zoo_net(net: torch.nn.Module, tiny: ModuleType, run_dir: Path, *, resume: bool = False) -> TrainResult:
    data, preprocessing = tiny.image_set(), tiny.PREPROCESSING
    save = functools.partial(save_checkpoint, preprocessing=preprocessing, class_names=data.class_names)
    config = tiny.config(epochs=2, ema_decay=0.9, batch_size=20)
    return train(net, data, None, config, run_dir, preprocessing=preprocessing, save=save, resume=resume)


def test_a_zoo_net_trains_and_loads(tiny: ModuleType, tmp_path: Path) -> None:
    net = create_model("groupnl_resnet8", num_classes=tiny.CLASSES)
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    result = train_zoo_net(net, tiny, tmp_path / "run")
    assert result.checkpoint is not None
    loaded = load_checkpoint(result.checkpoint)
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in net.state_dict().items())
    images = torch.randn(3, 3, tiny.HEIGHT, tiny.WIDTH, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded(images), net(images))  # not bit-equal: the loaded weights lie in another order
    assert all(not torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())


def test_other_seeded_hyperparameters_are_refused(tiny: ModuleType, tmp_path: Path) -> None:
    train_zoo_net(create_model("groupnl_resnet8", num_classes=tiny.CLASSES), tiny, tmp_path / "run")
    other = create_model("groupnl_resnet8", num_classes=tiny.CLASSES, seed=1)
    with pytest.raises(ValueError, match="the run's state does not fit the net that was given"):
        train_zoo_net(other, tiny, tmp_path / "run", resume=True)
