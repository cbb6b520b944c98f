"""The arguments of ``groupnl-device tuf-conformance``; what it does is tested in delivery/test_conformance.py."""

import pytest

from groupnl_device.cli import main


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["init"], "ROOT"),
        (["refresh"], "--metadata-url"),
        (["--metadata-url", "http://h", "download"], "--target-name, --target-base-url, --target-dir"),
    ],
)
def test_says_what_is_missing(arguments: list[str], missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    act = arguments[-1]
    assert main(["tuf-conformance", "--metadata-dir", "m", *arguments]) == 2
    assert capsys.readouterr().err == f"groupnl-device: tuf-conformance {act}: {missing} is missing; see --help\n"


@pytest.mark.parametrize("arguments", [[], ["--metadata-dir", "m"], ["--metadata-dir", "m", "pull"], ["refresh"]])
def test_refuses_other_forms(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["tuf-conformance", *arguments])
    assert caught.value.code == 2
    assert "usage: groupnl-device tuf-conformance" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["tuf-conformance", "--help"])
    assert caught.value.code == 0
    assert "groupnl-device tuf-conformance --metadata-dir m init root.json" in capsys.readouterr().out


def test_a_root_that_is_not_there(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tuf-conformance", "--metadata-dir", str(tmp_path), "init", str(tmp_path / "absent")]) == 1
    assert "storage" in capsys.readouterr().err
