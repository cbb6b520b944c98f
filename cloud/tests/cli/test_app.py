"""The command as a whole: help, exit codes, and errors in one line."""

import re
import subprocess
import sys

import pytest

from groupnl.cli import main

COMMANDS = [["demo"], ["data", "list"], ["data", "show"], ["train"], ["evaluate"], ["profile"], ["export"], ["report"]]
COMMANDS += [
    ["publish"],
    *(["repo", act] for act in ("init", "list", "renew", "rotate", "retire", "rollout", "recover")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command, capsys):
    assert main([*command, "--help"]) == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "Example: groupnl " + " ".join(command) in " ".join(text.split())
    assert "--json" in text


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["train"], ["demo", "--epochs", "0"], ["profile", "--what"]]
)
def test_bad_usage_exits_with_two(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err


def test_bad_input_is_one_message_without_a_traceback(capsys):
    assert main(["profile", "resnet19"]) == 2
    captured = capsys.readouterr()
    assert "no net 'resnet19'" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_brackets_in_a_message_are_shown_as_they_are(capsys):
    assert main(["profile", "resnet8", "--policy", "[bold]"]) == 2
    assert "policy='[bold]'" in capsys.readouterr().err


def test_a_traceback_on_request(monkeypatch):
    monkeypatch.setenv("GROUPNL_DEBUG", "1")
    with pytest.raises(ValueError, match="resnet19"):
        main(["profile", "resnet19"])


def test_the_console_script_is_installed():
    run = subprocess.run(
        [sys.executable, "-m", "groupnl", "profile", "nothing"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert "no net 'nothing'" in run.stderr


def test_importing_the_package_loads_only_the_devices_nlf():
    code = "import sys, groupnl; print(sorted(m for m in sys.modules if m.startswith(('groupnl_device', 'onnx'))))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['groupnl_device', 'groupnl_device.nlf']"
