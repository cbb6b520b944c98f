"""Real nets and what becomes of them when they are trained on: for benchmarks of updates between versions of a net."""

import copy
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

import groupnl
from groupnl.data import ImageSet, load
from groupnl.training import TrainConfig, train
from groupnl_device.preprocessing import Preprocessing

CHANGES = ("one more epoch", "head only")
_BATCH = 64
_MORE_LR = 0.01  # a tenth of where the base begins, as is usual when a net is trained on
_HEAD_LR = 0.01


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """OpenIcons at 32 x 32, and how they become input."""

    train: ImageSet
    test: ImageSet
    preprocessing: Preprocessing

    @classmethod
    def of_openicons(cls) -> "Pictures":
        """The embedded set."""
        train_set, test_set = load("openicons", split="train"), load("openicons", split="test")
        mean, std = train_set.channel_stats()
        return cls(
            train=train_set, test=test_set, preprocessing=Preprocessing(input_size=(3, 32, 32), mean=mean, std=std)
        )


def versions(name: str, pictures: Pictures, *, epochs: int, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """A trained net under the name ``base``, then what each of ``CHANGES`` makes of it.

    Args:
        name: Of a net that ``groupnl.create_model`` knows.
        pictures: What it is trained on.
        epochs: Of the base.
        seed: Of weights, pairs and order.
    """
    torch.manual_seed(seed)
    options = {"seed": seed} if name.startswith("groupnl") else {}
    base = groupnl.create_model(name, num_classes=len(pictures.train.class_names), **options)
    _train(base, pictures, epochs=epochs, lr=0.1, seed=seed)
    yield "base", base.eval()
    more = copy.deepcopy(base)
    _train(more, pictures, epochs=1, lr=_MORE_LR, seed=seed + 1)
    yield CHANGES[0], more.eval()
    head = copy.deepcopy(base)
    train_head(head, pictures, seed=seed)
    yield CHANGES[1], head.eval()


def train_head(model: nn.Module, pictures: Pictures, *, seed: int) -> None:
    """One epoch for the last linear layer; all else, the running statistics included, stays as it is."""
    head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    optimizer = torch.optim.SGD(head.parameters(), lr=_HEAD_LR, momentum=0.9)
    order = torch.randperm(len(pictures.train), generator=torch.Generator().manual_seed(seed))
    model.eval()
    for chosen in torch.split(order, _BATCH):
        normalised = pictures.preprocessing.normalize(pictures.train.images[chosen].numpy())
        loss = functional.cross_entropy(model(torch.from_numpy(normalised)), pictures.train.labels[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _train(model: nn.Module, pictures: Pictures, *, epochs: int, lr: float, seed: int) -> None:
    config = TrainConfig(epochs=epochs, batch_size=_BATCH, lr=lr, seed=seed, test_every=epochs)
    with tempfile.TemporaryDirectory() as folder:
        train(
            model,
            pictures.train,
            pictures.test,
            config,
            folder,
            preprocessing=pictures.preprocessing,
            progress=False,
        )
