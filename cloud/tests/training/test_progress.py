"""The bar: on a terminal only, on standard error only."""

import pytest

from groupnl.training.progress import TrainingProgress


def use(*, enabled: bool) -> None:
    with TrainingProgress(enabled=enabled, steps=40, done=10, epochs=4) as bar:
        bar.show(epoch=2, step=15, loss=1.25, accuracy=0.5)
        bar.measured(0.75)
        bar.show(epoch=2, step=20, loss=1.25, accuracy=0.5)
        bar.say("a line")


def test_shows_epoch_figures_and_time_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "150")
    use(enabled=True)
    output = capsys.readouterr()
    for text in ("epoch 2/4", "20/40", "loss 1.250", "train 50.0%", "test 75.0%", "left", "a line"):
        assert text in output.err
    assert output.out == ""


def test_only_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    use(enabled=True)
    assert capsys.readouterr().err == "a line\n"


def test_silent_when_switched_off(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    use(enabled=False)
    assert capsys.readouterr() == ("", "")
