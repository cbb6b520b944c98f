"""What is kept for backward: against a real backward pass, whose memory is counted by address."""

import pytest
import timm
import torch
from torch.autograd.graph import saved_tensors_hooks

import groupnl


@pytest.mark.parametrize("name", ["resnet8", "groupnl_resnet8", "mobilenetv3_small_050"])
def test_equals_what_a_real_training_step_keeps(name):
    model = timm.create_model(name)
    size = model.pretrained_cfg["input_size"]
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}

    def kept(batch):
        found, alive = {}, []

        def pack(tensor):
            alive.append(tensor)
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                found[storage.data_ptr()] = storage.nbytes()
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            model.train()(torch.randn(batch, *size))
        return sum(found.values())

    assert groupnl.complexity(model, size).activation_bytes == pytest.approx((kept(6) - kept(3)) / 3, rel=0.01)


def test_frozen_layers_keep_less():
    model = timm.create_model("resnet8")
    before = groupnl.complexity(model, (3, 32, 32)).activation_bytes
    for parameter in model.layer1.parameters():
        parameter.requires_grad_(False)
    model.conv1.requires_grad_(False)
    model.bn1.requires_grad_(False)
    assert groupnl.complexity(model, (3, 32, 32)).activation_bytes < before
