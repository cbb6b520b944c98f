"""``groupnl profile``."""

import pytest

from groupnl.cli import main


def test_a_net_and_its_conversion(run_json):
    vanilla = run_json("profile", "resnet8")
    assert (vanilla["params"], vanilla["macs"], vanilla["conversion"]) == (78_186, 12_501_632, None)
    converted = run_json("profile", "resnet8", "--policy", "standard", "-p", "reduction=4")
    assert converted["conversion"]["params_before"] == 78_186
    assert converted["params"] == converted["conversion"]["params_after"] < 60_000
    assert len(converted["conversion"]["replaced"]) == 4


def test_layers_and_size(run_json, capsys):
    assert main(["profile", "groupnl_resnet8", "--layers", "--input-size", "3x16x24"]) == 0
    text = capsys.readouterr().out
    assert "GroupNLConv2d" in text
    assert "3x16x24" in text
    small, large = (run_json("profile", "resnet8", "--input-size", size)["macs"] for size in ("3x16x16", "3x32x32"))
    assert small < large


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet8", "--input-size", "32"], "expected CxHxW"),
        (["resnet8", "-p", "reduction=2"], "without --policy"),
        (["resnet8", "--policy", "sparse_depthwise"], "nothing in ResNet8 can be replaced"),
    ],
)
def test_refusals(arguments, message, capsys):
    assert main(["profile", *arguments]) == 2
    assert message in capsys.readouterr().err
