"""``groupnl profile``."""

import json

import pytest

from groupnl.cli import main
from groupnl.export import ExportError
from groupnl.nn import backend, using_backend


def test_several_nets_side_by_side(run_json):
    vanilla, groupnl_net = run_json("profile", "resnet8", "groupnl_resnet8")["nets"]
    assert (vanilla["name"], vanilla["params"], vanilla["macs"]) == ("resnet8", 78_186, 12_501_632)
    assert (groupnl_net["name"], groupnl_net["params"]) == ("groupnl_resnet8", 52_778)
    for net in (vanilla, groupnl_net):
        assert net["gradient_bytes"] == 4 * net["params"]
        for key in ("params", "macs", "elementwise", "activation_bytes", "gradient_bytes"):
            assert net[key] == sum(layer[key] for layer in net["layers"]) > 0
        assert "bundle_bytes" not in net
    # a sine for each generated value: 8 of 16 channels of 32x32 twice, 16 of 32 of 16x16, 32 of 64 of 8x8
    assert (vanilla["transcendentals"], groupnl_net["transcendentals"]) == (0, 2 * 8 * 1024 + 16 * 256 + 32 * 64)


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


def test_the_bundle_beside_the_plain_weights(run_json):
    (net,) = run_json("profile", "groupnl_resnet8", "--bundle")["nets"]
    assert 4 * net["params"] < net["state_dict_bytes"] < 4 * net["params"] + 20_000
    assert 4 * net["params"] < net["bundle_bytes"] < 4 * net["params"] + 100_000
    assert 2 * net["params"] < net["float16_bundle_bytes"] < 2 * net["params"] + 100_000
    assert net["params"] < net["int8_bundle_bytes"] < net["float16_bundle_bytes"]
    for precision in ("", "float16_", "int8_"):
        assert net["params"] < net[f"{precision}published_bytes"] < net[f"{precision}bundle_bytes"]
    assert not any("bundle_error" in key for key in net)


def test_one_precision_alone_can_be_missing(monkeypatch, capsys, tmp_path):
    def no_int8(source):
        raise ExportError("no 8 bits today")

    monkeypatch.setattr("groupnl.export.quantization.int8_forms", no_int8)
    out = tmp_path / "out.json"
    assert main(["profile", "resnet8", "--image-size", "16", "--bundle", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "resnet8 has no bundle in int8: no 8 bits today" in said
    assert "bundle in float16, bytes" in said
    (net,) = json.loads(out.read_text())["nets"]
    assert net["int8_bundle_bytes"] is net["int8_published_bytes"] is None
    assert net["int8_bundle_error"] == "no 8 bits today"
    assert net["float16_bundle_bytes"] < net["bundle_bytes"]


def test_a_net_without_a_bundle_says_why(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_net_for_bundles.py").write_text("import torch\ndef net(): return torch.nn.Conv2d(3, 4, 1)\n")
    monkeypatch.chdir(tmp_path)
    arguments = ["own_net_for_bundles:net", "--image-size", "8", "--bundle", "--json", "out.json"]
    assert main(["profile", *arguments]) == 0
    said = capsys.readouterr().out
    assert said.count("net has no bundle: the net returns shape (1, 4, 8, 8)") == said.count("has no bundle") == 1
    (net,) = json.loads((tmp_path / "out.json").read_text())["nets"]
    assert net["bundle_bytes"] is net["float16_bundle_bytes"] is net["int8_published_bytes"] is None
    assert "expected one tensor of logits" in net["bundle_error"]


def test_a_chart(tmp_path):
    chart = tmp_path / "costs.png"
    assert main(["profile", "resnet8", "groupnl_resnet8", "--chart", str(chart)]) == 0
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [chart]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet8", "--chart", "costs.jpg"], "expected a file name that ends in .png"),
        (["resnet8", "--chart", "absent/costs.png"], "the folder absent does not exist"),
        (["resnet8", "-p", "reduction=2"], "without --policy"),
        (["resnet8", "--policy", "sparse_depthwise"], "nothing in ResNet8 can be replaced"),
    ],
)
def test_refusals(arguments, message, capsys):
    assert main(["profile", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_shows_how_layers_run_here(run_json, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert run_json("profile", "groupnl_resnet8", "--backend")["backend"] == {
        "asked_for": "auto",
        "cpu": "eager",
        "cuda": None,
        "why_no_triton": "no CUDA device was found",
    }
    with using_backend("reference"):
        assert main(["profile", "groupnl_resnet8", "--backend"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "reference on the CPU (asked for: reference); composite under torch.compile and export" in shown
    assert "backend" not in run_json("profile", "groupnl_resnet8")


def test_an_unknown_backend_in_the_environment_is_refused(capsys, monkeypatch):
    monkeypatch.setattr(backend, "_backend", None)
    monkeypatch.setenv("GROUPNL_BACKEND", "quick")
    assert main(["profile", "groupnl_resnet8"]) == 2
    assert "GROUPNL_BACKEND='quick': expected one of auto, reference" in " ".join(capsys.readouterr().err.split())
