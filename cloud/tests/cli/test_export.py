"""``groupnl export``: from checkpoint to bundle to device."""

import json

from groupnl.cli import main
from groupnl.cli.device_process import run_device


def test_a_checkpoint_becomes_a_bundle_that_a_device_runs(run_json, data, checkpoint, folder, tmp_path):
    measured = tmp_path / "evaluation.json"
    measured.write_text(json.dumps(run_json("evaluate", checkpoint, *data, "--corruptions", "contrast")))
    bundle = tmp_path / "net.gnl"
    result = run_json("export", checkpoint, *data, "--measured", measured, "--out", bundle)
    assert result["bundle_bytes"] == bundle.stat().st_size
    assert result["agreement"]["images"] == result["agreement"]["same_top1"] == 18
    assert result["agreement"]["max_relative_difference"] <= 1e-4
    answers = run_device(["run", str(bundle), str(folder / "test" / "red")])["pictures"]
    assert len(answers) == 6
    assert {top["class"] for top in answers[0]["top"]} == {"blue", "green", "red"}


def test_explain_says_what_was_done_and_what_it_is_worth(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("groupnl.export.latency.BUDGET", 0.0)
    bundle, result = tmp_path / "net.gnl", tmp_path / "result.json"
    assert main(["export", str(checkpoint), "--explain", "--out", str(bundle), "--json", str(result)]) == 0
    said = capsys.readouterr().out
    assert "the graph as it was traced:" in said
    assert "l2-norm: " in said
    found = json.loads(result.read_text())
    label = "onnxruntime/plain/float32"
    assert f"{label}: {found['latency_ms'][label]:.2f} ms" in said
    native = {"onnxruntime/native/float32"} & set(found["latency_ms"])
    assert native or "native/float32: does not run here, checked in standard operators" in said
    assert set(found["latency_ms"]) - native == {label, "none", *found["passes"]} - {"native"}
    assert found["forms"] == ["onnxruntime/native/float32", label]
    assert found["passes"]["l2-norm"]["changed"] > 0
    assert f"{found['latency_ms']['l2-norm']:.2f} ms" in said


def test_refusals(checkpoint, tmp_path, capsys):
    assert main(["export", "resnet8", "--out", str(tmp_path / "net.gnl")]) == 2
    assert "does not say how pictures become its input" in capsys.readouterr().err
    assert main(["export", str(checkpoint), "--out", str(tmp_path / "net.onnx")]) == 2
    assert ".gnl" in capsys.readouterr().err
    assert main(["export", str(checkpoint), "--out", str(tmp_path / "absent" / "net.gnl")]) == 2
    assert main(["export", str(checkpoint), "--for", "toaster", "--out", str(tmp_path / "net.gnl")]) == 2
    assert "no bundle for 'toaster': expected some of onnxruntime" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
