"""``groupnl demo`` on a part of its data and one epoch: everything but the accuracy."""

import json

import pytest

from groupnl import data
from groupnl.cli import demo_run, main


@pytest.fixture
def small(monkeypatch):
    def load(name, *, split):
        return data.load(name, split=split).subset(
            range(0, 3000 if split == "train" else 800, 12 if split == "train" else 20)
        )

    monkeypatch.setattr(demo_run, "load", load)
    monkeypatch.setattr(demo_run, "CORRUPTIONS", ("contrast", "jpeg_compression"))
    monkeypatch.setattr(demo_run, "BENCH_ROUNDS", 1)


@pytest.mark.usefixtures("small")
def test_the_demo_measures_everything_and_fails_when_accuracy_is_low(tmp_path, capsys):
    out = tmp_path / "demo"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    assert main(["demo", "--out", str(out), "--epochs", "1", "--seed", "4"]) == 1  # one epoch cannot reach 70 %
    assert "clean accuracy" in capsys.readouterr().err
    results = json.loads((out / "results.json").read_text())
    assert set(results["nets"]) == {"resnet8", "groupnl_resnet8"}
    for name, net in results["nets"].items():
        assert {
            "params",
            "macs",
            "clean_accuracy",
            "mean_error",
            "corruptions",
            "train_seconds",
            "bundle_bytes",
            "latency_ms_median",
            "agreement",
        } <= set(net)
        assert net["agreement"] == 1.0
        assert net["bundle_bytes"] == (out / f"{name}.gnl").stat().st_size
    forms = results["forms"]
    assert {row["form"].rpartition("/")[2] for row in forms} == {"float32", "int8"}
    for name, net in results["nets"].items():
        assert net["int8"]["bundle_bytes"] == (out / f"{name}-int8.gnl").stat().st_size < net["bundle_bytes"]
        assert net["int8"]["float32_accuracy_clean"] == net["clean_accuracy"]
    assert forms[0] == {**forms[0], "net": "resnet8", "form": "onnxruntime/plain/float32", "ratio": 1.0}
    assert ("groupnl_resnet8", "onnxruntime/plain/float32") in [(row["net"], row["form"]) for row in forms]
    native = "onnxruntime/native/float32"
    assert (native in results["forms_left_out"]) != (native in [row["form"] for row in forms])
    for row in forms:
        assert row["ratio"] == row["latency_ms_median"] / results["nets"]["resnet8"]["latency_ms_median"]
    assert results["seed"] == 4
    assert results["nets"]["groupnl_resnet8"]["params"] < results["nets"]["resnet8"]["params"]
    steps = results["delivery"]
    assert [(row["outcome"], row["version"]) for row in steps] == [
        ("updated, by the whole file", 1),
        ("updated, by a patch", 2),
        ("refused, content", 2),
        ("refused, self-test", 2),
        ("up to date", 2),
        ("rolled back", 1),
    ]
    assert steps[0]["received_bytes"] == steps[0]["full_bytes"] < results["nets"]["groupnl_resnet8"]["bundle_bytes"]
    assert 0 < steps[1]["received_bytes"] < steps[1]["full_bytes"]
    assert "the signed metadata say" in steps[2]["why"]
    page = (out / "report.html").read_text()
    assert "updated, by a patch" in page
    assert "groupnl_resnet8, onnxruntime/plain/float32" in page
    assert "groupnl_resnet8 in 8 bits:" in page
    assert "groupnl_resnet8" in page
    assert (out / "maps.png").read_bytes().startswith(b"\x89PNG")
    assert not (out / "pictures").exists()
    assert (out / "mine.txt").read_text() == "kept"


def test_a_file_in_the_way_is_refused(tmp_path, capsys):
    (tmp_path / "demo").write_text("")
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 2
    assert "is a file; expected a folder" in capsys.readouterr().err
