import sys

import psutil
import pytest
import torch
from torch import Tensor, nn

from groupnl.evaluation import batch_size
from groupnl.evaluation.batch_size import fitting_batch_size

MIB = 2**20


class Swelling(nn.Module):
    """Holds ``copies`` float32 copies of its input at a time."""

    def __init__(self, copies: int) -> None:
        super().__init__()
        self.copies = copies

    def forward(self, images: Tensor) -> Tensor:
        held = [images.clone() for _ in range(self.copies)]
        first = sum(one.mean((1, 2, 3)) for one in held)
        del held
        again = [images.clone() for _ in range(self.copies)]  # after the first were given back
        assert isinstance(first, Tensor)
        return first + again[0].mean((1, 2, 3))


@pytest.fixture
def available(monkeypatch: pytest.MonkeyPatch):
    """Set the memory that seems to be free, in MiB."""

    def set_to(mib: float) -> None:
        found = psutil.virtual_memory()._replace(available=int(mib * MIB))
        monkeypatch.setattr(batch_size.psutil, "virtual_memory", lambda: found)

    return set_to


def fitting(net: nn.Module, images: Tensor, processes: int = 1) -> int:
    with torch.no_grad():
        return fitting_batch_size(lambda: net(images), images, processes)


def test_it_is_what_a_quarter_of_the_memory_holds(available) -> None:
    images = torch.rand(8, 3, 128, 128)  # 0.1875 MiB an image, 100 copies: 18.75 MiB
    available(4 * 18.75 * 20)
    assert fitting(Swelling(100), images) == 16
    available(4 * 18.75 * 15)
    assert fitting(Swelling(100), images) == 8
    available(4 * 18.75 * 20)
    assert fitting(Swelling(100), images, processes=2) == 8


def test_its_ends(available) -> None:
    images = torch.rand(8, 3, 128, 128)
    available(1)
    assert fitting(Swelling(100), images) == 1
    available(10**6)
    assert fitting(Swelling(100), images) == 256


def test_a_net_whose_work_torch_does_not_see_gets_a_careful_size(available) -> None:
    images = torch.rand(2, 3, 128, 128)
    available(4 * 3 * 128 * 128 * 64 / MIB * 33)  # at 64 bytes a value
    assert fitting(nn.Identity(), images) == 32


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="torch.jit.script ends with Python 3.13")
def test_scripted_nets_are_seen(available) -> None:
    net = nn.Sequential(nn.Conv2d(3, 400, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    images = torch.rand(4, 3, 32, 32)
    available(4 * 2 * 400 * 32 * 32 * 4 / MIB * 10)  # the convolution's output and the ReLU's
    with torch.no_grad():
        scripted = torch.jit.freeze(torch.jit.script(net))
    assert fitting(net, images) == fitting(scripted, images) == 8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu() -> None:
    images = torch.rand(8, 3, 64, 64, device="cuda")
    free = torch.cuda.mem_get_info()[0]
    copies = free // (images[0].numel() * 4) // 200
    assert fitting(Swelling(copies), images) in (32, 64, 128)
