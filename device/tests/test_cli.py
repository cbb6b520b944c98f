"""``groupnl-device`` as a user meets it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groupnl_device.bundle import Bundle
from groupnl_device.cli import main
from groupnl_device.cold_start import ColdStart
from groupnl_device.power import MeterError
from groupnl_device.runtime import Session

START = ColdStart(cold_start_ms=2.0, load_ms=1.0, peak_memory_bytes=None)


def stopped(*_: object) -> None:
    raise MeterError("the meter stopped")


@pytest.fixture
def folder(bundle_bytes: bytes, tmp_path: Path) -> Path:
    (tmp_path / "tiny.gnl").write_bytes(bundle_bytes)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("b.png", "a.JPG", "more/c.webp"):
        Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path


def test_run_shows_classes_and_probabilities(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(folder / "tiny.gnl"), str(folder / "photos"), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0].removeprefix(f"{folder}/photos/") for line in lines] == [
        "a.JPG",
        "b.png",
        "more/c.webp",
    ]
    assert all(line.count("%") == 2 for line in lines)


def test_the_package_is_a_command_too(folder: Path) -> None:
    command = [sys.executable, "-m", "groupnl_device", "run", str(folder / "tiny.gnl"), str(folder / "nothing.png")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == main(command[3:]) != 0
    assert ended.stderr.startswith("groupnl-device: ")
    assert "nothing.png" in ended.stderr


def test_json_on_stdout_is_all_there_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = folder / "photos" / "b.png"
    assert main(["run", str(folder / "tiny.gnl"), str(picture), "--json", "-", "--top", "9"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    (answer,) = json.loads(captured.out)["pictures"]
    session = Session(Bundle.open(folder / "tiny.gnl"))
    pixels = session.bundle.manifest.preprocessing.load(picture).transpose(2, 0, 1)[None]
    expected = session.predict(pixels)[0]
    assert answer["file"] == str(picture)
    assert [top["index"] for top in answer["top"]] == list(np.argsort(-expected))
    assert {top["class"]: top["probability"] for top in answer["top"]} == pytest.approx(
        dict(zip(["ant", "bee", "cat", "dog"], expected.tolist(), strict=True))
    )


def test_json_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = folder / "answers.json"
    assert main(["run", str(folder / "tiny.gnl"), str(folder / "photos"), "--json", str(target)]) == 0
    assert len(json.loads(target.read_text())["pictures"]) == 3
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert not list(folder.glob("*.tmp"))


QUICK = ["--runs", "5", "--warmup", "0", "--energy-seconds", "0"]


def test_bench(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", str(folder / "tiny.gnl"), *QUICK]
    assert main([*arguments, "--threads", "1", "2", "--json", str(folder / "bench.json")]) == 0
    result = json.loads((folder / "bench.json").read_text())
    assert (result["runs"], result["threads"]) == (5, 1)
    assert [row["threads"] for row in result["rows"]] == [1, 2]
    assert 0 < result["load_ms"] < result["cold_start_ms"]
    assert "not timed" in capsys.readouterr().out


def test_bench_json_on_stdout_is_all_there_is(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groupnl_device.hardware.usable_cores", lambda: 2)
    monkeypatch.setattr("groupnl_device.bench.measure", lambda *_, **__: START)
    arguments = ["bench", str(folder / "tiny.gnl"), *QUICK, "--threads", "all", "--compare", "--json", "-"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert [row["threads"] for row in json.loads(captured.out)["rows"]] == [1, 2]


def test_bench_with_a_meter(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupnl_device.bench.measure", lambda *_, **__: START)
    begin = time.time() - 5
    samples = [f"{begin + t / 50},{2.0}" for t in range(3000)]  # a minute: also of what is to come
    (folder / "power.csv").write_text("\n".join(["time,power_w", *samples]) + "\n")
    arguments = ["bench", str(folder / "tiny.gnl"), "--runs", "5", "--energy-seconds", "0.3"]
    assert main([*arguments, "--meter", str(folder / "power.csv"), "--json", str(folder / "bench.json")]) == 0
    result = json.loads((folder / "bench.json").read_text())
    assert result["idle_w"] == pytest.approx(2.0, rel=1e-3)
    assert result["energy_mj"] == pytest.approx(0.0, abs=1e-3 * result["energy_with_idle_mj"])
    assert result["power_w"] == pytest.approx(2.0, rel=1e-3)
    assert "what the external meter is wired to (power.csv); idle power, 2.00 W" in capsys.readouterr().out


def test_a_meter_that_stops_is_a_result_that_failed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groupnl_device.bench.measure", lambda *_, **__: START)
    monkeypatch.setattr("groupnl_device.bench.measure_energy", stopped)
    begin = time.time() - 5
    samples = [f"{begin + t / 50},{2.0}" for t in range(3000)]
    (folder / "power.csv").write_text("\n".join(["time,power_w", *samples]) + "\n")
    arguments = ["bench", str(folder / "tiny.gnl"), "--runs", "5", "--energy-seconds", "0.3"]
    assert main([*arguments, "--meter", str(folder / "power.csv"), "--json", str(folder / "bench.json")]) == 1
    result = json.loads((folder / "bench.json").read_text())
    assert (result["energy_mj"], result["energy_reason"]) == (None, "the meter stopped")
    assert result["latency_ms_median"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "{}/cut.gnl", "{}/photos"], "cut.gnl: the end of the archive is missing"),
        (["run", "{}/flip.gnl", "{}/photos"], "flip.gnl: entry"),
        (["run", "{}/photos/b.png", "{}/photos"], "b.png: not a bundle"),
        (["run", "{}/absent.gnl", "{}/photos"], "absent.gnl: No such file"),
        (["run", "{}/tiny.gnl", "{}/photos/notes.txt"], "notes.txt: not a picture"),
        (["run", "{}/tiny.gnl", "{}/photos/absent.png"], "absent.png: No such file"),
        (["run", "{}/tiny.gnl", "{}/empty"], "empty: no pictures in this folder"),
        (["run", "{}/tiny.gnl", "{}/photos", "--json", "{}/absent/x.json"], "No such file"),
        (["run", "{}/tiny.gnl", "{}/photos", "--threads", "5000"], "threads=5000"),
        (["bench", "{}/cut.gnl"], "cut.gnl: the end of the archive is missing"),
        (["bench", "{}/tiny.gnl", "--warmup", "-1"], "warmup=-1"),
        (["bench", "{}/tiny.gnl", "--threads", "1", "5000"], "threads=5000"),
        (["bench", "{}/tiny.gnl", "--energy-seconds", "-2"], "energy_seconds=-2"),
        (["bench", "{}/tiny.gnl", "--meter", "{}/absent.csv"], "absent.csv: No such file"),
        (["bench", "{}/tiny.gnl", "--meter", "{}/photos/notes.txt"], "notes.txt: no column time"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    folder: Path, bundle_bytes: bytes, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (folder / "empty").mkdir()
    (folder / "cut.gnl").write_bytes(bundle_bytes[:-100])
    flipped = bytearray(bundle_bytes)
    flipped[len(flipped) // 2] ^= 1
    (folder / "flip.gnl").write_bytes(flipped)
    assert main([argument.format(folder) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("groupnl-device: ")
    assert message in line


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "x.gnl"],
        ["bench", "x.gnl", "--runs", "0"],
        ["bench", "x.gnl", "--threads", "0"],
        ["bench", "x.gnl", "--threads", "some"],
        ["bench", "--threads", "2", "x.gnl"],
    ],
)
def test_bad_usage_is_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["bench", "--help"]])
def test_help_shows_an_example(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 0
    assert "  groupnl-device " in capsys.readouterr().out


def test_a_closed_pipe_is_no_error(folder: Path) -> None:
    pictures = [str(folder / "photos" / "b.png")] * 3000
    command = [sys.executable, "-m", "groupnl_device.cli", "run", str(folder / "tiny.gnl"), *pictures]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
