"""The training-step benchmark on a small net."""

import json
import sys

import pytest
import timm
import torch

from benchmarks import train
from groupnl.models import create_model


def test_every_variant_has_a_zoo_name_and_a_size_it_takes():
    for case in train.CASES:
        assert next(iter(case.variants)) == "vanilla"
        for name in case.variants.values():
            assert timm.is_model(name), name


def test_a_step_trains():
    torch.manual_seed(0)
    net = create_model("resnet8", num_classes=train.CLASSES)
    case = train.Case(name="resnet8@32", side=32, variants={}, cpu_batch=2, gpu_batch=2)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    step = train.step_of(net, net, case, 2, torch.device("cpu"))
    step()
    assert not any(torch.equal(*pair) for pair in zip(net.parameters(), before, strict=True))


def test_the_command_compares_with_vanilla_in_one_run(monkeypatch, capsys, tmp_path):
    names = {"vanilla": "resnet8", "groupnl": "groupnl_resnet8"}
    case = train.Case(name="resnet8@32", side=32, variants=names, cpu_batch=2, gpu_batch=2)
    monkeypatch.setattr(train, "CASES", (case,))
    monkeypatch.setattr(sys, "argv", ["train", "--quick", "--threads", "1", "--json", str(tmp_path / "train.json")])
    train.main()
    shown = capsys.readouterr().out
    rows = json.loads((tmp_path / "train.json").read_text())["rows"]
    vanilla, ours = rows
    assert [row["variant"] for row in rows] == ["vanilla", "groupnl"]
    assert vanilla["speed"] == 1
    assert ours["speed"] == pytest.approx(vanilla["step_ms"] / ours["step_ms"])
    assert ours["images_per_second"] == pytest.approx(2000 / ours["step_ms"])
    assert all(row["peak_bytes"] > 0 for row in rows)
    assert "| resnet8@32 | groupnl | eager |" in shown
