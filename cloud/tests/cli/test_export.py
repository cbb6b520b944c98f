"""``groupnl export``: from checkpoint to bundle to device."""

import json

from groupnl.cli import main
from groupnl.cli.device_process import run_device
from groupnl_device.bundle import Bundle


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


def test_float16_has_half_the_weights_and_tells_its_accuracy(
    data, checkpoint, folder, tmp_path, capsys, run_json, monkeypatch
):
    monkeypatch.setattr("groupnl.cli.quantization_gate.CORRUPTIONS", ("contrast",))
    whole = run_json("export", checkpoint, *data, "--out", tmp_path / "whole.gnl")
    bundle, out = tmp_path / "half.gnl", tmp_path / "half.json"
    options = ["--precision", "float16", "--out", str(bundle), "--json", str(out)]
    assert main(["export", str(checkpoint), *data, *options]) == 0
    assert "accuracy in float32 and float16: clean" in capsys.readouterr().out
    half = json.loads(out.read_text())
    weights = "weights.safetensors"
    assert half["entry_bytes"][weights] < 0.55 * whole["entry_bytes"][weights]
    assert half["forms"] == [form.replace("float32", "float16") for form in whole["forms"]]
    told = Bundle.open(bundle).manifest.measured["quantization"]
    assert told["images"] == 18
    assert abs(told["float16_accuracy_clean"] - told["float32_accuracy_clean"]) <= 0.01
    answers = run_device(["run", str(bundle), str(folder / "test" / "red")])["pictures"]
    assert {top["class"] for top in answers[0]["top"]} == {"blue", "green", "red"}


def test_float16_needs_no_data(checkpoint, tmp_path, run_json):
    result = run_json("export", checkpoint, "--precision", "float16", "--out", tmp_path / "net.gnl")
    assert result["agreement"]["max_relative_difference"] < 0.01
    assert "quantization" not in Bundle.open(tmp_path / "net.gnl").manifest.measured


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
    assert main(["export", str(checkpoint), "--precision", "float8", "--out", str(tmp_path / "net.gnl")]) == 2
    assert "precision 'float8': expected float32, float16 or int8" in capsys.readouterr().err
    for precision in ("float16", "int8"):
        options = ["--for", "pytorch", "--precision", precision, "--out", str(tmp_path / "net.gnl")]
        assert main(["export", str(checkpoint), *options]) == 2
    assert list(tmp_path.iterdir()) == []
