"""``groupnl-device pull``, ``status`` and ``rollback`` as a user meets them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from device.tests.delivery.tiny_channel import World, good, tiny_world, wrong_answers

from groupnl_device import delivery_cli
from groupnl_device.cli import main

ONE, TWO = good(1), good(2)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with tiny_world(tmp_path, tested_apart=True) as world:
        yield world


def arguments(world: World, *more: str) -> list[str]:
    given = ["--repo", world.server.url, "--root", str(world.root), "--channel", "stable", "--dir", str(world.folder)]
    return ["pull", *given, *more]


def test_pull_status_rollback(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.publish(1, ONE)
    assert main(arguments(world)) == 0
    assert capsys.readouterr().out.splitlines()[0] == "updated: stable 1 is in use"
    world.publish(2, TWO)
    assert main(arguments(world, "--json", "-")) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["result"], told["active"]["version"], told["kept"]["version"]) == ("updated", 2, 1)
    assert main(["status", "--dir", str(world.folder)]) == 0
    assert capsys.readouterr().out.startswith("in use: stable 2 (tiny)")
    assert main(["rollback", "--dir", str(world.folder), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["result"] == "rolled back"
    assert main(["status", "--dir", str(world.folder), "--json", "-"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["active"]["version"] == 1
    assert status["state"]["skipped"][0]["version"] == 2


def test_a_refused_update_is_exit_code_1_and_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.publish(1, wrong_answers(1))
    assert main(arguments(world, "--json", "-")) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"]["kind"] == "self-test"
    (line,) = captured.err.splitlines()
    assert line.startswith("groupnl-device: self-test: the self-test failed: ")
    assert main(["status", "--dir", str(world.folder)]) == 1
    assert capsys.readouterr().out.startswith("problem: no model is in use")
    assert main(["rollback", "--dir", str(world.folder)]) == 1


def test_options_reach_the_device(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.publish(1, ONE, rollout={"percent": 100, "groups": ["lab"]})
    assert main(arguments(world, "--group", "field")) == 1
    assert main(arguments(world, "--group", "field", "--group", "lab", "--input-size", "3", "8", "6")) == 1
    assert "takes pictures of 3x6x8, this device has 3x8x6" in capsys.readouterr().err
    assert main(arguments(world, "--group", "lab", "--input-size", "3", "6", "8", "--device-id", "a")) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--repo": "models.example.org"}, "models.example.org"),
        ({"--root": "/absent/root.json"}, "/absent/root.json: No such file"),
        ({"--channel": "Stable"}, "channel 'Stable'"),
        ({"--device-id": ""}, "the device's id is empty"),
        ({"--test-seconds": "0"}, "test_seconds=0.0"),
    ],
)
def test_bad_usage_is_exit_code_2(
    world: World, capsys: pytest.CaptureFixture[str], change: dict[str, str], message: str
) -> None:
    more = [text for pair in change.items() for text in pair]  # the last one counts
    assert main(arguments(world, *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    "given", [["pull"], ["status"], ["rollback"], ["pull", "--repo", "http://x", "--dir", "d", "--channel", "c"]]
)
def test_the_root_and_the_folder_are_not_guessed(given: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(given)
    assert error.value.code == 2


def test_an_absent_folder_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "rollback"):
        assert main([command, "--dir", str(tmp_path / "absent")]) == 2
        assert "no such folder; expected the one that was given to pull as --dir" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["pull", "status", "rollback"])
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main([command, "--help"])
    assert error.value.code == 0
    assert f"  groupnl-device {command} " in capsys.readouterr().out


def test_without_the_extra_it_says_what_to_install(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groupnl_device.requirements.installed_version", lambda package: None)
    assert main(arguments(world)) == 2
    assert 'the package tuf is not installed; pip install "groupnl-device[delivery]"' in capsys.readouterr().err


def test_a_pull_needs_neither_torch_nor_the_cloud(world: World) -> None:
    world.publish(1, ONE)
    code = """
import sys
for name in ("torch", "groupnl", "timm", "onnx", "safetensors"):
    sys.modules[name] = None
from groupnl_device.cli import main
code = main(sys.argv[1:])
assert "onnxruntime" not in sys.modules  # the test ran in a process of its own
raise SystemExit(code)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", code, *arguments(world)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert world.current == ONE


def test_the_default_of_the_self_test_is_told_as_it_is() -> None:
    from groupnl_device.delivery.trial import DEFAULT_SECONDS

    assert delivery_cli.TEST_SECONDS == DEFAULT_SECONDS
