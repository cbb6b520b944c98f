"""What a command takes as a net, and what it refuses."""

import pytest
import torch

from groupnl.cli.nets import parse_options, resolve_net, timm_preprocessing
from groupnl.models import create_model


def test_a_name_with_options():
    net = resolve_net("groupnl_resnet8", {"num_classes": 5, "reduction": 4})
    assert net.name == "groupnl_resnet8"
    assert net.model(torch.zeros(1, 3, 32, 32)).shape == (1, 5)
    assert net.module is net.model


def test_a_timm_net_brings_its_preprocessing():
    preprocessing = timm_preprocessing(create_model("mobilenetv3_small_050"))
    assert preprocessing.input_size == (3, 224, 224)
    assert (preprocessing.interpolation, preprocessing.crop_mode, preprocessing.crop_pct) == (
        "bicubic",
        "center",
        0.875,
    )
    assert timm_preprocessing(torch.nn.Identity()) is None


def test_a_function_of_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "my_nets_for_test.py").write_text(
        "import torch\ndef small(width=4): return torch.nn.Conv2d(3, width, 1)\ndef wrong(): return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    assert resolve_net("my_nets_for_test:small", {"width": 8}).module.out_channels == 8
    with pytest.raises(ValueError, match=r"gave a int, expected a torch\.nn\.Module"):
        resolve_net("my_nets_for_test:wrong")
    with pytest.raises(ValueError, match="cannot find 'absent'"):
        resolve_net("my_nets_for_test:absent")
    with pytest.raises(ValueError, match="cannot find 'f' in module 'no_such_module'"):
        resolve_net("no_such_module:f")


def test_a_checkpoint(checkpoint):
    net = resolve_net(str(checkpoint))
    assert net.name == "groupnl_resnet8"
    assert net.class_names == ("blue", "green", "red")
    assert net.preprocessing.input_size == (3, 16, 16)
    with pytest.raises(ValueError, match=r"options \['reduction'\] with the file"):
        resolve_net(str(checkpoint), {"reduction": 2})


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="no net 'nothing': expected one of the zoo"):
        resolve_net("nothing")
    with pytest.raises(FileNotFoundError, match="no file"):
        resolve_net(str(tmp_path / "absent.gnl"))
    with pytest.raises(ValueError, match=r"with options {'colour': 1}"):
        resolve_net("resnet8", {"colour": 1})
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="no safetensors file"):
        resolve_net(str(tmp_path / "text"))


def test_options_are_json_or_text():
    given = ["reduction=4", "nlf=sine", "cifar_stem=true", "period_range=[1, 1.5]", "key=a=b"]
    assert parse_options(given) == {
        "reduction": 4,
        "nlf": "sine",
        "cifar_stem": True,
        "period_range": (1, 1.5),
        "key": "a=b",
    }
    assert parse_options(None) == {}
    with pytest.raises(ValueError, match="option 'reduction': expected NAME=VALUE"):
        parse_options(["reduction"])
