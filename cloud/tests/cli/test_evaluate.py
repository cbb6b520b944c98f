"""``groupnl evaluate``."""

import json

import pytest

from groupnl.cli import main

SMALL = ["--corruptions", "brightness,contrast", "--severities", "1,5"]


def test_a_checkpoint_is_measured(run_json, data, checkpoint):
    result = run_json("evaluate", checkpoint, *data, *SMALL)
    assert result["name"] == "groupnl_resnet8"
    assert result["images"] == 18
    errors = [error for found in result["corruptions"].values() for error in found["severities"].values()]
    assert len(errors) == 4
    assert result["mean_error"] == pytest.approx(sum(errors) / 4)


def test_ce_against_a_baseline(run_json, data, checkpoint, tmp_path):
    base = run_json("evaluate", "resnet8", "-m", "num_classes=3", *data, *SMALL)
    (tmp_path / "base.json").write_text(json.dumps(base))
    result = run_json("evaluate", checkpoint, *data, *SMALL, "--baseline", tmp_path / "base.json")
    assert result["baseline"] == "resnet8"
    ours, theirs = result["corruptions"]["contrast"], base["corruptions"]["contrast"]
    expected = sum(ours["severities"].values()) / sum(theirs["severities"].values())
    assert ours["ce"] == pytest.approx(expected)


def test_a_bundle_gives_what_its_checkpoint_gives(run_json, data, checkpoint, tmp_path):
    run_json("export", checkpoint, "--out", tmp_path / "net.gnl")
    bundle = run_json("evaluate", tmp_path / "net.gnl", *data, *SMALL)
    assert bundle["corruptions"] == run_json("evaluate", checkpoint, *data, *SMALL)["corruptions"]


def test_clean_only(run_json, data, checkpoint):
    result = run_json("evaluate", checkpoint, *data, "--corruptions", "none")
    assert result["mean_error"] is None
    assert result["corruptions"] == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corruptions", "rain"], "rain"),
        (["--severities", "6"], "6"),
        (["--severities", "one"], "'one' is no integer"),
        (["--variant", "mnist"], "mnist"),
    ],
)
def test_refusals(arguments, message, data, checkpoint, capsys):
    assert main(["evaluate", str(checkpoint), *data, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_other_classes_are_refused(checkpoint, capsys):
    assert main(["evaluate", str(checkpoint), "--data", "openicons"]) == 2
    assert "knows the classes blue, green, red" in capsys.readouterr().err
