"""Checkpoints: exactly what was saved comes back, or a clear error; never half a file."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import groupnl
from groupnl.models import Edit, convert_, load_checkpoint, read_checkpoint, save_checkpoint
from groupnl.nn import GroupNLConv2d, fuse_for_inference_
from groupnl_device.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(input_size=(3, 32, 32), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
CLASSES = tuple("abcdefghij")


def save(model, path):
    save_checkpoint(model, path, preprocessing=PREPROCESSING, class_names=CLASSES, extra={"note": "é"})


def test_a_zoo_net_comes_back_bit_for_bit(tmp_path):
    model = timm.create_model("groupnl_resnet8", num_classes=10, reduction=4, seed=3, period_range=(1, 1.5))
    model(torch.randn(4, 3, 32, 32))  # moves the running statistics
    path = tmp_path / "net.safetensors"
    save(model.eval(), path)
    loaded = groupnl.load(path)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(loaded(x), model(x), rtol=0, atol=0)
    assert not loaded.training
    for name, layer in model.named_modules():
        if isinstance(layer, GroupNLConv2d):
            assert torch.equal(layer.period, loaded.get_submodule(name).period)


def test_a_net_converted_by_a_named_policy_comes_back(tmp_path):
    model = groupnl.create_model("resnet18", num_classes=4, cifar_stem=True)
    convert_(model, "standard", reduction=8, shift_range=(0, 1), seed=2)
    save(model.eval(), tmp_path / "net.safetensors")
    loaded = load_checkpoint(tmp_path / "net.safetensors")
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(loaded(x), model(x), rtol=0, atol=0)


def test_half_precision_and_channels_last_come_back(tmp_path):
    model = timm.create_model("groupnl_resnet8").to(torch.bfloat16).to(memory_format=torch.channels_last)
    save(model, tmp_path / "net.safetensors")
    loaded = load_checkpoint(tmp_path / "net.safetensors")
    assert loaded.fc.weight.dtype == torch.bfloat16
    assert torch.equal(loaded.layer1.conv1.seed_conv.weight, model.layer1.conv1.seed_conv.weight)


def test_info_without_weights(tmp_path):
    save(timm.create_model("groupnl_resnet8", seed=5), tmp_path / "net.safetensors")
    info = read_checkpoint(tmp_path / "net.safetensors")
    assert info.architecture == "groupnl_resnet8"
    assert info.arguments == {"seed": 5}
    assert info.class_names == CLASSES
    assert info.extra == {"note": "é"}
    assert Preprocessing.from_dict(info.preprocessing) == PREPROCESSING
    layer = info.layers["layer1.conv1"]
    assert (layer["nlf"], layer["seed"], layer["key"], layer["scheme"]) == ("sine", 5, "layer1.conv1", "philox-v1")
    assert len(layer["constants_hash"]) == 32
    assert layer["type"] == "GroupNLConv2d"


def test_a_net_of_the_users_own_needs_its_code(tmp_path):
    def build(seed=0):
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
        convert_(model, seed=seed)
        return model

    path, model = tmp_path / "net.safetensors", build()
    save(model, path)
    with pytest.raises(ValueError, match="does not say how its net is made"):
        load_checkpoint(path)
    loaded = load_checkpoint(path, model=build())
    assert torch.equal(loaded[1].seed_conv.weight, model[1].seed_conv.weight)
    with pytest.raises(ValueError, match="layer '1' was saved with seed=0 against the net's 1"):
        load_checkpoint(path, model=build(seed=1))


def test_a_selector_or_a_policy_object_is_not_forgotten(tmp_path):
    class Stem:
        def plan(self, model):
            return [Edit(target="conv1", modules={"conv1": GroupNLConv2d(3, 16, 3, padding=1)})]

    for convert in (
        lambda model: convert_(model, select=lambda name, _: name != "layer1.conv1"),
        lambda model: convert_(model, Stem()),
    ):
        model = groupnl.create_model("resnet8")
        convert(model)
        save(model, tmp_path / "net.safetensors")
        with pytest.raises(ValueError, match="does not say how its net is made"):
            load_checkpoint(tmp_path / "net.safetensors")


def test_other_layers_are_named(tmp_path):
    save(timm.create_model("groupnl_resnet8"), tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"only in the checkpoint: \['layer1.conv1'"):
        load_checkpoint(tmp_path / "net.safetensors", model=timm.create_model("resnet8"))


def test_refusals(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        read_checkpoint(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="no safetensors file, or damaged"):
        read_checkpoint(tmp_path / "text")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(ValueError, match="no groupnl checkpoint"):
        read_checkpoint(tmp_path / "foreign")
    save_file({"a": torch.zeros(1)}, tmp_path / "newer", {"format": "groupnl-checkpoint", "format_version": "99"})
    with pytest.raises(ValueError, match="update groupnl"):
        read_checkpoint(tmp_path / "newer")
    save_file(
        {"a": torch.zeros(1)}, tmp_path / "bad", {"format": "groupnl-checkpoint", "format_version": "1", "content": "{"}
    )
    with pytest.raises(ValueError, match="damaged checkpoint metadata"):
        read_checkpoint(tmp_path / "bad")


def test_a_fused_net_is_refused(tmp_path):
    model = groupnl.create_model("groupnl_resnet8").eval()
    fuse_for_inference_(model)
    with pytest.raises(ValueError, match="fused for inference, and no checkpoint can make it again: save it before"):
        save(model, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    save(timm.create_model("groupnl_resnet8"), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged"):
        load_checkpoint(path)


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    save(timm.create_model("resnet8"), path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("groupnl_device.atomic.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(timm.create_model("groupnl_resnet8"), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]
