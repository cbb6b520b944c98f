"""The layer benchmark: its peer computes the same maps, and its figures are read right."""

import json
import sys

import pytest
import torch
from benchmarks.published_layer import PublishedLayer
from benchmarks.rounds import kept_bytes, median_ms, peak_bytes

from benchmarks import layer
from groupnl.nn import GroupNLConv2d, using_backend

CPU = torch.device("cpu")


@pytest.mark.parametrize(("channels", "options"), [(16, {}), (24, {"reduction": 4}), (16, {"sparse": True})])
def test_the_published_arithmetic_gives_the_same_maps(channels, options):
    ours = GroupNLConv2d(channels, channels, 3, padding=1, **options)
    images = torch.randn(2, channels, 6, 5)
    with using_backend("reference"):
        torch.testing.assert_close(PublishedLayer(ours)(images), ours(images))


def test_every_peer_is_a_drop_in():
    x = torch.randn(1, 32, 5, 5)
    for form, reduction in layer.FORMS:
        nets = layer.implementations(32, form, reduction)
        assert {tuple(nets[name](x).shape) for name in nets if name not in ("seed_conv", "grouped_conv")} == {x.shape}
        assert nets["seed_conv"](x).shape[1] == 32 // reduction
        if form == "sparse":
            torch.testing.assert_close(nets["seed_conv"](x), nets["grouped_conv"](x))


def test_kept_bytes_of_a_layer_by_hand():
    net, x = GroupNLConv2d(8, 16, 3, padding=1), torch.randn(2, 8, 4, 4, requires_grad=True)
    maps = 4 * 2 * 8 * 4 * 4
    tables = 2 * 4 * 4 + 2 * 8 * 8  # the layer's (period, shift) pairs and its two indices
    assert kept_bytes(lambda: net(x), net) == maps + maps + tables


def test_peak_bytes_of_a_chain_by_hand():
    x = torch.randn(1000)
    assert 8000 <= peak_bytes(lambda: (x.sin()).cos().tan(), CPU) < 8100  # two results live at a time
    assert 12000 <= peak_bytes(lambda: torch.stack([x.sin(), x.cos()]), CPU) < 16200


def test_medians_are_of_the_named_calls():
    count = {"one": 0, "two": 0}

    def call(name):
        count[name] += 1
        torch.randn(200_000 if name == "two" else 10)

    found = median_ms({name: lambda name=name: call(name) for name in count}, rounds=3, device=CPU)
    assert set(found) == {"one", "two"}
    assert found["two"] > found["one"] > 0
    assert count["one"] > count["two"] >= 3 + 1 + 3


def test_ratios_take_the_better_of_eager_and_compiled():
    def row(side, name, forward, both):
        times = {"forward_ms": forward, "forward_backward_ms": both}
        return {"case": f"standard-r2-c64-hw{side}", "implementation": name, **times}

    rows = []
    for side, eager in ((56, 3.0), (28, 2.4)):
        rows += [row(side, "seed_conv", 2.0, 4.0), row(side, "conv2d", 4.0, 8.0)]
        rows += [row(side, "published_eager", 6.0, 9.0), row(side, "published_compiled", 3.0, 6.0)]
        rows += [row(side, "groupnl", eager, 5.0), row(side, "groupnl_compiled", 2.5, 6.0)]
    found = layer.summary(rows)["standard-r2"]
    assert found["forward_to_seed_conv"] == pytest.approx((2.5 / 2 + 2.4 / 2) / 2)
    assert found["forward_backward_to_conv2d"] == pytest.approx(5 / 8)
    assert found["forward_to_published_compiled"] == pytest.approx((2.5 / 3 + 2.4 / 3) / 2)


def test_the_command_prints_json_alone(monkeypatch, capsys):
    monkeypatch.setattr(layer, "SIZES", ((16, 4),))
    monkeypatch.setattr(layer, "implementations", lambda *_: {name: torch.nn.Conv2d(16, 16, 3) for name in PEERS})
    monkeypatch.setattr(sys, "argv", ["layer", "--quick", "--batch", "2", "--json", "-", "--threads", "1"])
    layer.main()
    found = json.loads(capsys.readouterr().out)
    assert [row["implementation"] for row in found["rows"]] == list(PEERS)
    assert {row["case"] for row in found["rows"]} == {"standard-r2-c16-hw4"}
    assert found["hardware"]
    assert found["backend"] == "eager"
    assert all(row["forward_ms"] > 0 and row["forward_backward_ms"] > 0 for row in found["rows"])


PEERS = ("seed_conv", "conv2d", "published_eager", "published_compiled", "groupnl", "groupnl_compiled")
