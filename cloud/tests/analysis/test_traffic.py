"""traffic(): against hand-worked buckets and those of DistributedDataParallel itself."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import groupnl
from groupnl.analysis import traffic
from groupnl.models import zoo_names

MIB = 2**20


@pytest.fixture(scope="module")
def _process_group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    store = tmp_path_factory.mktemp("group") / "store"
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def ddp_buckets(model: nn.Module, **options: Any) -> list[int]:
    """The sizes that DDP itself reports after it has seen the order of the gradients."""
    parallel = nn.parallel.DistributedDataParallel(model.train(), **options)
    for _ in range(3):
        parallel(torch.randn(2, 3, 32, 32)).sum().backward()
    return [int(size) for size in parallel._get_ddp_logging_data()["rebuilt_bucket_sizes"].split(",")]


def sizes(model: nn.Module, **options: Any) -> list[int]:
    return [bucket.size_bytes for bucket in traffic(model, (3, 32, 32), **options).buckets]


def test_buckets_by_hand():
    """Gradients arrive from the last layer to the first. The first bucket closes at 1 MiB, the others at 25."""
    layers = [nn.Linear(256, 512, bias=False), nn.Linear(512, 8192, bias=False), nn.Linear(8192, 10, bias=False)]
    model = nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(3, 256, bias=False), *layers)
    found = traffic(model, (3, 4, 4))
    small, large, half, last = 4 * 8192 * 10, 4 * 512 * 8192, 4 * 256 * 512, 4 * 3 * 256
    assert [bucket.size_bytes for bucket in found.buckets] == [small + large, half + last]
    assert [bucket.parameters for bucket in found.buckets] == [2, 2]
    assert found.gradient_bytes == small + large + half + last
    # backward, a layer has two products of its size, to weights and to input; the first layer needs only one
    whole = 2 * (small + large + half) + last
    assert found.buckets[0].ready == pytest.approx(2 * (small + large) / whole)
    assert found.buckets[1].ready == 1.0
    assert found.broadcast_bytes == ()


def test_batch_norms_statistics_are_broadcast_one_message_a_dtype():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = traffic(model, (3, 8, 9))
    assert found.broadcast_bytes == (4 * 2 * 8, 8)  # mean and variance in float32, a counter in int64
    assert found.buffer_bytes == 72
    assert found.gradient_bytes == 4 * (3 * 8 * 9 + 16)
    assert traffic(model, (3, 8, 9), broadcast_buffers=False).broadcast_bytes == ()


def test_what_a_worker_sends_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8))
    found = traffic(model, (3, 8, 9))
    assert found.sent_bytes(1) == 0
    assert found.sent_bytes(2) == 928 + 72 / 2
    assert found.sent_bytes(8) == pytest.approx(2 * 7 / 8 * 928 + 7 / 8 * 72)
    with pytest.raises(ValueError, match="workers=0: expected at least 1"):
        found.sent_bytes(0)


def test_a_compressing_hook_halves_the_bytes_and_keeps_the_buckets():
    model = groupnl.create_model("groupnl_resnet18", num_classes=10)
    plain, half = traffic(model, (3, 32, 32)), traffic(model, (3, 32, 32), wire_dtype=torch.bfloat16)
    assert [2 * bucket.size_bytes for bucket in half.buckets] == [bucket.size_bytes for bucket in plain.buckets]
    assert half.broadcast_bytes == plain.broadcast_bytes


def test_frozen_parameters_have_no_gradient_and_unreached_ones_come_last():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused, self.frozen, self.used = (nn.Conv2d(3, 3, 1, bias=False) for _ in range(3))
            self.frozen.requires_grad_(False)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(self.frozen(x))

    model = Net()
    found = traffic(model, (3, 5, 4), bucket_cap_mb=1e-5)
    assert [bucket.size_bytes for bucket in found.buckets] == [36, 36]
    assert found.buckets[1].ready == 1.0
    model.used.requires_grad_(False)
    model.unused.requires_grad_(False)
    assert traffic(model, (3, 5, 4)).buckets == ()


def test_the_net_is_left_as_it_was():
    model = groupnl.create_model("groupnl_resnet8", num_classes=10)
    model.layer1.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    traffic(model, (3, 32, 32))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and not parameter.is_meta for parameter in model.parameters())


@pytest.mark.usefixtures("_process_group")
@pytest.mark.parametrize(
    "name", ["resnet18", "groupnl_resnet18", "groupnl_resnet50", "mono_resnet8", "groupnl_mobilenetv3_large_100"]
)
def test_the_buckets_are_ddps_own(name: str):
    model = groupnl.create_model(name, num_classes=10)
    assert sizes(model) == ddp_buckets(model)


@pytest.mark.usefixtures("_process_group")
def test_the_buckets_are_ddps_own_with_another_size_and_two_dtypes():
    model = groupnl.create_model("groupnl_resnet18", num_classes=10)
    assert sizes(model, bucket_cap_mb=4) == ddp_buckets(model, bucket_cap_mb=4)

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3 * 32 * 32, 300), nn.Linear(300, 300).to(torch.bfloat16)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x.flatten(1)).to(torch.bfloat16))

    assert sorted(sizes(Mixed())) == sorted(ddp_buckets(Mixed()))  # each dtype by itself


@pytest.mark.parametrize("name", ["resnet8", "groupnl_resnet34", "ghost_resnet18", "sinefm_resnet8", "mono_resnet8"])
def test_gradient_bytes_are_those_of_complexity(name: str):
    with torch.device("meta"):
        model = groupnl.create_model(name, num_classes=10)
    assert traffic(model, (3, 32, 32)).gradient_bytes == groupnl.complexity(model, (3, 32, 32)).gradient_bytes


@pytest.mark.long
@pytest.mark.usefixtures("_process_group")
@pytest.mark.parametrize("name", zoo_names())
def test_every_zoo_net_against_ddp_and_complexity(name: str):
    model = groupnl.create_model(name, num_classes=10)
    assert sizes(model) == ddp_buckets(model)
    assert traffic(model, (3, 32, 32)).gradient_bytes == groupnl.complexity(model, (3, 32, 32)).gradient_bytes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bucket_cap_mb": 0}, "bucket_cap_mb=0: expected a positive number of MiB"),
        ({"wire_dtype": torch.int8}, "wire_dtype=torch.int8: expected a floating-point type"),
        ({"input_size": (3, 32)}, "expected \\(channels, height, width\\)"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], message: str):
    arguments = {"input_size": (3, 32, 32), **options}
    with pytest.raises(ValueError, match=message):
        traffic(nn.Conv2d(3, 8, 1), **arguments)
