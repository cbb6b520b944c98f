"""The head of an experiment's JSON, and a file that is whole."""

import json

import pytest
from benchmarks.experiment import header, write_json


def test_header_and_file(tmp_path):
    head = header("python -m benchmarks.x", epochs=3)
    assert list(head) == ["command", "epochs", "date", "hardware", "versions"]
    assert {"python", "groupnl", "torch", "timm"} == set(head["versions"])
    write_json(tmp_path / "x.json", {**head, "nets": [1]})
    assert json.loads((tmp_path / "x.json").read_text())["nets"] == [1]
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"error": float("nan")})
    assert json.loads((tmp_path / "x.json").read_text())["epochs"] == 3
