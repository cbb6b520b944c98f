"""``groupnl profile``."""

import pytest

from groupnl.cli import main


def test_several_nets_side_by_side(run_json):
    vanilla, groupnl_net = run_json("profile", "resnet8", "groupnl_resnet8")["nets"]
    assert (vanilla["name"], vanilla["params"], vanilla["macs"]) == ("resnet8", 78_186, 12_501_632)
    assert (groupnl_net["name"], groupnl_net["params"]) == ("groupnl_resnet8", 52_778)
    for net in (vanilla, groupnl_net):
        assert net["gradient_bytes"] == 4 * net["params"]
        for key in ("params", "macs", "elementwise", "activation_bytes"):
            assert net[key] == sum(layer[key] for layer in net["layers"]) > 0


def test_a_net_beside_its_conversion(run_json, capsys):
    before, after = run_json("profile", "resnet8", "--policy", "standard", "-p", "reduction=4")["nets"]
    assert (before["name"], after["name"]) == ("resnet8", "resnet8+standard")
    assert after["params"] == after["conversion"]["params_after"] < before["params"] == 78_186
    assert len(after["conversion"]["replaced"]) == 4
    assert main(["profile", "resnet8", "--policy", "standard"]) == 0
    text = capsys.readouterr().out
    assert "resnet8, standard: replaced 4 convolutions, left 5" in text
    assert "52,778 (-32.5%)" in text


def test_layers_and_size(run_json, capsys):
    assert main(["profile", "groupnl_resnet8", "--layers", "--image-size", "16"]) == 0
    text = capsys.readouterr().out
    assert "GroupNLConv2d" in text
    assert "3x16x16" in text
    small, large = (run_json("profile", "resnet8", "--image-size", size)["nets"][0]["macs"] for size in (16, 32))
    assert small < large


def test_a_net_of_ones_own_needs_a_size(tmp_path, monkeypatch, capsys, run_json):
    (tmp_path / "own_net_for_profile.py").write_text("import torch\ndef net(): return torch.nn.Conv2d(3, 4, 1)\n")
    monkeypatch.chdir(tmp_path)
    assert main(["profile", "own_net_for_profile:net"]) == 2
    assert "does not say its input size: give --image-size" in capsys.readouterr().err
    assert run_json("profile", "own_net_for_profile:net", "--image-size", 8)["nets"][0]["macs"] == 12 * 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet8", "-p", "reduction=2"], "without --policy"),
        (["resnet8", "--policy", "sparse_depthwise"], "nothing in ResNet8 can be replaced"),
    ],
)
def test_refusals(arguments, message, capsys):
    assert main(["profile", *arguments]) == 2
    assert message in capsys.readouterr().err
