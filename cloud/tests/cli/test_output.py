"""Words and JSON never mix, and a JSON file is there whole or not at all."""

import json
import subprocess
import sys

import pytest

from groupnl.cli.output import Output, progress_bar


def test_json_to_stdout_sends_all_words_to_stderr(capsys):
    with Output("-").words() as output:
        output.say("words")
        print("a library's words")
        output.finish({"a": 1})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"a": 1}
    assert "words" in captured.err
    assert "a library's words" in captured.err


def test_json_to_stdout_is_alone_there_even_when_a_library_writes_to_the_descriptor():
    code = (
        "import os\nfrom groupnl.cli.output import Output\n"
        "with Output('-').words() as output:\n"
        "    os.write(1, b'[Gloo] connected')\n    output.finish({'a': 1})\n    raise ValueError('too late to matter')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert json.loads(run.stdout) == {"a": 1}
    assert "[Gloo] connected" in run.stderr
    assert run.returncode == 1


def test_without_json_words_go_to_stdout(capsys):
    with Output(None).words() as output:
        output.say("[words]")
        output.finish({"a": 1})
    assert capsys.readouterr().out == "[words]\n"


def test_a_file_is_written_as_utf8(tmp_path):
    Output(str(tmp_path / "result.json")).finish({"name": "é"})
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == {"name": "é"}


def test_not_a_number_is_refused_rather_than_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        Output(str(tmp_path / "result.json")).finish({"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_the_bar_is_silent_where_nobody_looks(capsys):
    with progress_bar("net") as show:
        show("fog 3", 1, 2)
    assert capsys.readouterr().err == ""
