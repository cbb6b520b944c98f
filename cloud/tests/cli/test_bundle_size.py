"""What is measured of a net's files; the files themselves are in ``test_profile.py``."""

import torch
from safetensors.torch import load, save
from torch import nn

from groupnl.cli.bundle_size import _without_zero_norms, bundle_sizes, state_dict_bytes


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False))


def test_norms_that_begin_at_zero_are_one_in_the_copy_alone() -> None:
    model = net()
    nn.init.zeros_(model[1].weight)
    nn.init.normal_(model[2].weight)
    copied = _without_zero_norms(model)
    assert not model[1].weight.any()
    assert torch.equal(copied[1].weight, torch.ones(4))
    assert torch.equal(copied[2].weight, model[2].weight)


def test_the_state_dict_is_counted_as_it_would_be_saved() -> None:
    model = net()
    written = save(model.state_dict())
    assert state_dict_bytes(model) == len(written)
    assert len(load(written)) == len(model.state_dict())


def test_what_refuses_float32_is_told_for_all() -> None:
    found = bundle_sizes(net(), (3, 8, 8), None)
    assert list(found) == ["float32", "float16", "int8"]
    assert len({size.reason for size in found.values()}) == 1
    assert "expected one tensor of logits" in found["int8"].reason
    assert found["int8"].exported_bytes is found["int8"].published_bytes is None
