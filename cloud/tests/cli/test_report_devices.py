"""``groupnl report`` of devices: a page from what the device's own benchmark writes, and what is refused."""

import json

import pytest

from groupnl.cli import main
from groupnl_device.cold_start import ColdStart
from groupnl_device.latency import summarize
from groupnl_device.measurement import Measurement, Row, Settings

START = ColdStart(cold_start_ms=200.0, load_ms=80.0, peak_memory_bytes=None)


def measured(processor, model="resnet8", ms=4.0):
    """As the device makes it."""
    rows = tuple(
        Row(
            artifact="onnxruntime/plain/float32",
            runtime="onnxruntime 1.22.0",
            threads=threads,
            latency=summarize([[ms / threads] * 20] * 5),
            ratio_to_first=1.0,
            start=START,
            energy=None,
            energy_reason="no counters",
        )
        for threads in (1, 2)
    )
    return Measurement(
        model=model,
        model_bytes=1234,
        manifest_sha256=model.encode().hex().ljust(64, "0"),
        settings=Settings(threads=(1, 2), runs=100),
        rows=rows,
        left_out={},
        at_rest=None,
        notes=(),
        hardware={"processor": processor, "machine": "arm", "usable_cores": 4, "system": "Linux"},
        versions={"runtime": "onnxruntime 1.22.0"},
        date="2026-11-23",
    ).to_dict()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, record in {
        "pi": measured("Pi 4"),
        "second": measured("Pi 4", ms=5.0),
        "orin": measured("Orin"),
        "light": measured("Orin", model="light"),
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    return tmp_path


def refused(capsys, *arguments):
    """What a command says that exits with 2."""
    capsys.readouterr()
    assert main(["report", *map(str, arguments)]) == 2
    return capsys.readouterr().err.replace("\n", " ")


def test_several_devices_make_one_page(run_json, folder):
    said = run_json("report", "pi.json", "orin.json", "--out", "page.html")
    assert said == {"page": "page.html", "devices": ["Pi 4", "Orin"], "notes": []}
    words = (folder / "page.html").read_text()
    assert "resnet8 on 2 devices" in words
    assert "<td>4.00</td>" in words
    assert "<td>2.00</td>" in words


def test_names_are_given_or_told_apart(run_json, folder):
    assert run_json("report", "pi.json", "second.json")["devices"] == ["Pi 4 (pi)", "Pi 4 (second)"]
    assert (folder / "report.html").exists()
    assert run_json("report", "pi.json", "second.json", "--name", "A", "--name", "B")["devices"] == ["A", "B"]


def test_two_nets_on_one_device(run_json, folder):
    said = run_json("report", "orin.json", "light.json", "--title", "Both")
    assert said["devices"] == ["Orin, resnet8", "Orin, light"]
    assert said["notes"][0].startswith("Not all ran the same bundle.")
    assert "<h1>Both</h1>" in (folder / "report.html").read_text()


def test_the_table_is_for_people_too(folder, capsys):
    assert main(["report", "pi.json", "orin.json"]) == 0
    said = capsys.readouterr().out
    for words in ("Pi 4", "2 threads", "median, ms", "4.00", "wrote report.html"):
        assert words in said


def test_refusals(folder, capsys):
    (folder / "net.json").write_text(json.dumps({"name": "vanilla", "clean_accuracy": 0.5}))
    (folder / "demo.json").write_text(json.dumps({"nets": {}}))
    old = {"model": "resnet8", "artifact": "a", "latency_ms_median": 1.0, "cold_start_ms": 1.0}
    (folder / "old.json").write_text(json.dumps(old))
    for arguments, message in (
        (
            ("pi.json", "net.json"),
            "pi.json is of groupnl-device bench and net.json is not: a page shows devices or nets",
        ),
        (("demo.json", "pi.json"), "pi.json is of groupnl-device bench and demo.json is not"),
        (("pi.json", "--radar", "radar.png"), "--answers, --radar and --curves are for nets"),
        (("pi.json", "--answers", "x"), "are for nets"),
        (("pi.json", "orin.json", "--name", "A"), "1 --name for 2 devices"),
        (("pi.json", "orin.json", "--name", "A", "--name", "A"), "two devices are called 'A'"),
        (("old.json",), "old.json: no model_bytes, manifest_sha256, rows"),
    ):
        assert message in refused(capsys, *arguments)
    assert not (folder / "report.html").exists()
