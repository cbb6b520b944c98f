"""What a norm does in evaluation, against hand-worked numbers and the norms of three libraries."""

import pytest
import torch
from timm.layers import BatchNormAct2d, FrozenBatchNormAct2d
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from groupnl.nn.channel_norm import evaluation_affine, is_channel_norm


def filled(norm):
    """Statistics and weights that are none of the fresh ones."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, low, high in (("running_mean", -1, 1), ("running_var", 0.3, 2), ("weight", -1, 2), ("bias", -1, 1)):
            tensor = getattr(norm, name, None)
            if tensor is not None:
                tensor.uniform_(low, high, generator=generator)
    return norm.eval()


def test_numbers_worked_by_hand():
    norm = nn.BatchNorm2d(2, eps=0.0625).eval()
    with torch.no_grad():
        norm.running_mean.copy_(torch.tensor([3.0, -1.0]))
        norm.running_var.copy_(torch.tensor([0.1875, 3.9375]))  # 0.25 and 4 with eps: divided by 1/2 and by 2
        norm.weight.copy_(torch.tensor([5.0, -1.0]))
        norm.bias.copy_(torch.tensor([1.0, 0.5]))
    scale, bias = evaluation_affine(norm)
    torch.testing.assert_close(scale, torch.tensor([10.0, -0.5], dtype=torch.double))
    torch.testing.assert_close(bias, torch.tensor([1 - 3 * 10.0, 0.5 - 0.5], dtype=torch.double))


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(5),
        nn.BatchNorm2d(5, affine=False),
        nn.BatchNorm2d(5, eps=0.3, momentum=None),
        nn.SyncBatchNorm(5),
        FrozenBatchNorm2d(5),
        BatchNormAct2d(5, apply_act=False),
        FrozenBatchNormAct2d(5, apply_act=False),
        nn.InstanceNorm2d(5, affine=True, track_running_stats=True),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_norms_of_all_libraries(norm):
    assert is_channel_norm(norm)
    scale, bias = evaluation_affine(filled(norm))
    x = torch.randn(2, 5, 3, 4)
    expected = norm(x)
    found = x.double() * scale.reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)
    torch.testing.assert_close(found.float(), expected, rtol=1e-5, atol=1e-6)


def test_an_activation_inside_comes_afterwards():
    norm = filled(BatchNormAct2d(4, act_layer=nn.SiLU))
    scale, bias = evaluation_affine(norm)
    x = torch.randn(2, 4, 3, 3)
    affine = x * scale.float().reshape(-1, 1, 1) + bias.float().reshape(-1, 1, 1)
    torch.testing.assert_close(norm(x), nn.functional.silu(affine))


def test_the_norm_is_not_changed():
    norm = filled(BatchNormAct2d(4)).half()
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    scale, _ = evaluation_affine(norm)
    assert scale.dtype == torch.double
    assert norm.weight.dtype == torch.half
    assert all(torch.equal(tensor, before[name]) for name, tensor in norm.state_dict().items())


class HiddenActivation(nn.BatchNorm2d):
    """As inplace_abn has it: its ReLU is no module."""

    def forward(self, x):
        return torch.relu(super().forward(x))


class Twice(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(super().forward(x))


@pytest.mark.parametrize(
    ("norm", "reason"),
    [
        (nn.BatchNorm2d(3, track_running_stats=False).eval(), "no running statistics"),
        (nn.BatchNorm2d(3).train(), "training mode"),
        (HiddenActivation(3).eval(), "HiddenActivation, a norm with an arithmetic of its own"),
        (filled(Twice(3)), "Twice, a norm with an arithmetic of its own"),
        (nn.BatchNorm3d(3).eval(), "BatchNorm3d, a norm with an arithmetic of its own"),
    ],
    ids=["no statistics", "training", "hidden activation", "twice", "3d"],
)
def test_refusals(norm, reason):
    with pytest.raises(ValueError, match=reason):
        evaluation_affine(norm)


def test_other_norms_are_none():
    assert not is_channel_norm(nn.GroupNorm(2, 4))
    assert not is_channel_norm(nn.LayerNorm(4))
