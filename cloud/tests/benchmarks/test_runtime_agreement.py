"""The comparison of runtimes with PyTorch: one row for each form, from the manifest of the bundle."""

import json

from benchmarks.runtime_agreement import Case

from benchmarks import runtime_agreement
from groupnl_device.requirements import installed_version


def test_rows_and_table() -> None:
    case = Case(net="groupnl_resnet8", data="openicons", side=32)
    rows = runtime_agreement.rows_of(case, ["onnxruntime"], 5, None)
    native = installed_version("groupnl-device-native") is not None
    assert {row["form"] for row in rows} == ({"native", "plain"} if native else {"plain"})
    for row in rows:
        assert (row["net"], row["data"], row["runtime"], row["images"]) == (case.net, "openicons", "onnxruntime", 5)
        assert 0 < row["max_relative_difference"] < 1e-4
        assert row["same_top1"] == 5
    text = runtime_agreement.table(rows)
    assert "| groupnl_resnet8 | openicons, 32 x 32 | onnxruntime | plain |" in text
    assert "5 of 5" in text


def test_the_command_names_no_folder_of_this_machine(monkeypatch, capsys) -> None:
    monkeypatch.setattr(runtime_agreement, "rows_of", lambda *given: [])
    monkeypatch.setattr(runtime_agreement, "CASES", ())
    monkeypatch.setattr("sys.argv", ["x", "--data-dir", "/somewhere/else", "--json", "-"])
    runtime_agreement.main()
    assert json.loads(capsys.readouterr().out)["command"].endswith("--data-dir DIR --json -")
