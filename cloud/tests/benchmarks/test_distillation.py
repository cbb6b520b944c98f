"""The distillation experiment: its summary by hand, and a tiny run of the whole command."""

import json
import sys

import pytest
from benchmarks.distillation import STUDENT, TEACHER, summary, table

from benchmarks import distillation
from groupnl.data import load


def net(name, teacher, seed, clean, error):
    return {"net": name, "teacher": teacher, "seed": seed, "clean_accuracy": clean, "mean_error": error}


def test_summary_by_hand():
    nets = [
        *(net(TEACHER, None, 0, 0.8, 0.3), net(STUDENT, None, 0, 0.70, 0.40), net(STUDENT, TEACHER, 0, 0.74, 0.39)),
        *(net(TEACHER, None, 1, 0.9, 0.3), net(STUDENT, None, 1, 0.72, 0.40), net(STUDENT, TEACHER, 1, 0.74, 0.39)),
        net(TEACHER, None, 2, 0.7, 0.3),  # stopped before its students
    ]
    teacher, alone, taught, difference = summary(nets)
    assert (teacher["what"], teacher["seeds"], alone["seeds"]) == ("resnet8", 3, 2)
    assert teacher["clean_accuracy"] == {
        "mean": pytest.approx(0.8),
        "standard_error": pytest.approx(0.1 / 3**0.5),
    }
    assert taught["clean_accuracy"]["mean"] == pytest.approx(0.74)
    # differences 0.04 and 0.02: standard error 0.01, t = 12.7062
    assert difference["clean_accuracy"] == {"mean": pytest.approx(0.03), "margin": pytest.approx(0.127062)}
    assert difference["mean_error"]["mean"] == pytest.approx(-0.01)
    assert "| taught - alone | 2 | 3.0 ± 12.7 | -1.0 ± 0.0 |" in table(summary(nets))
    assert table(summary(nets[:2])).endswith("| groupnl_resnet8 | 1 | 70.0 | 40.0 |")


def test_the_command(monkeypatch, tmp_path, capsys):
    def few(name, *, split):
        return load(name, split=split).subset(range(0, 640, 10))

    path = tmp_path / "distillation.json"
    monkeypatch.setattr(distillation, "load", few)
    monkeypatch.setattr(distillation, "SEVERITIES", (1,))
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(sys, "argv", ["distillation", "--epochs", "1", "--seeds", "5", "--json", str(path)])
    distillation.main()
    assert "| groupnl_resnet8, taught | 1 |" in capsys.readouterr().out
    result = json.loads(path.read_text())
    assert [(one["net"], one["teacher"], one["seed"]) for one in result["nets"]] == [
        *((TEACHER, None, 5), (STUDENT, None, 5), (STUDENT, TEACHER, 5)),
    ]
    assert result["command"].startswith("python -m benchmarks.distillation --epochs 1 --seeds 5 --task-loss-weight 0.1")
    assert len(result["summary"]) == 3
