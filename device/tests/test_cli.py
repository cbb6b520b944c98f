"""``groupnl-device`` as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groupnl_device.bundle import Bundle
from groupnl_device.cli import main
from groupnl_device.runtime import Session


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


def test_bench(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", str(folder / "tiny.gnl"), "--runs", "5", "--warmup", "0"]
    assert main([*arguments, "--json", str(folder / "bench.json")]) == 0
    result = json.loads((folder / "bench.json").read_text())
    assert (result["runs"], result["threads"]) == (5, 1)
    assert "not timed" in capsys.readouterr().out


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


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["run", "x.gnl"], ["bench", "x.gnl", "--runs", "0"]])
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
