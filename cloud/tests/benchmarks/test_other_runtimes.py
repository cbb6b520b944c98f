"""The benchmark of other runtimes: rows that can be compared, processes of their own, absent runtimes named."""

import json

import pytest
import torch

from benchmarks import other_runtimes


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_rows_of_a_runtime() -> None:
    rows = other_runtimes.measure("pytorch", ["resnet8@32"], [1], 0.01)  # refuses forms that answer otherwise
    assert [row["form"] for row in rows] == ["vanilla", "ghost", "published", "pure"]
    assert {(row["net"], row["runtime"], row["threads"]) for row in rows} == {("resnet8@32", "pytorch", 1)}
    assert rows[0]["ratio_to_vanilla"] == 1
    assert all(row["median_ms"] > 0 for row in rows)


def test_each_runtime_has_a_process_of_its_own(monkeypatch) -> None:
    commands = []

    def run(command, **options):
        commands.append(command)
        return type("Ended", (), {"stdout": b'a library says hello\n{"rows": [{"net": "resnet8@32"}]}'})

    monkeypatch.setattr("subprocess.run", run)
    assert other_runtimes.measure_apart("ncnn", ["resnet8@32"], quick=True) == [{"net": "resnet8@32"}]
    assert commands[0][2:] == ["benchmarks.other_runtimes", "--only", "ncnn", "--nets", "resnet8@32", "--quick",
                               "--json", "-", "--here"]  # fmt: skip


def test_absent_runtimes_are_named(monkeypatch, capsys) -> None:
    monkeypatch.setattr(other_runtimes, "installed_version", lambda package: None)
    monkeypatch.setattr("sys.argv", ["x", "--only", "openvino", "ncnn", "--json", "-"])
    other_runtimes.main()
    result = json.loads(capsys.readouterr().out)
    assert result["absent"] == ["openvino", "ncnn"]
    assert result["rows"] == []
