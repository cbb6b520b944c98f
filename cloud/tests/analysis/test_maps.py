"""The maps of one picture are those of the layer."""

import pytest
import torch

import groupnl
from groupnl.analysis import group_maps
from groupnl.report import draw_maps


def test_maps_of_the_picture_whose_seed_maps_vary_most():
    model = groupnl.create_model("groupnl_resnet8", num_classes=4, reduction=4)
    pictures = torch.full((3, 3, 32, 32), 7, dtype=torch.uint8)
    pictures[1] = torch.randint(256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    maps = group_maps(model, pictures.float() / 255, pictures, layer="layer1.conv1")
    assert model.training
    assert not model.layer1.conv1._forward_hooks
    assert (maps.picture == pictures[1].permute(1, 2, 0).numpy()).all()
    assert maps.seed_maps.shape == (4, 32, 32)
    assert maps.generated.shape == (12, 32, 32)
    y, w, p = (torch.from_numpy(v) for v in (maps.seed_maps[maps.source], maps.period, maps.shift))
    expected = torch.sin(w[:, None, None] * (y - p[:, None, None]))
    torch.testing.assert_close(torch.from_numpy(maps.generated), expected, atol=1e-5, rtol=0)
    assert draw_maps(maps).startswith(b"\x89PNG")


def test_refusals():
    model = groupnl.create_model("groupnl_resnet8", num_classes=4)
    pictures = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    with pytest.raises(ValueError, match="1 images and 2 pictures"):
        group_maps(model, pictures[:1].float(), pictures, layer="layer1.conv1")
    with pytest.raises(ValueError, match=r"layer='fc': expected .* one of layer1\.conv1"):
        group_maps(model, pictures.float(), pictures, layer="fc")
