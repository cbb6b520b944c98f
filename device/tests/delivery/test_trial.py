"""A model's test in a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from device.tests.delivery.tiny_channel import good, wrong_answers

from groupnl_device.delivery import trial
from groupnl_device.delivery.errors import DeliveryError, SelfTestError
from groupnl_device.delivery.trial import try_model


def child(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Another program in place of the test."""
    monkeypatch.setattr(trial, "_command", lambda path: [sys.executable, "-P", "-c", code])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "0123.part"
    path.write_bytes(good(1))
    return path


def test_a_good_model_passes_and_is_measured(model: Path) -> None:
    figures = try_model(model, most_latency_ms=60_000)
    assert figures["form"] == "onnxruntime/plain/float32"
    assert figures["runtime"].startswith("onnxruntime ")
    assert 0 <= figures["max_relative_difference"] < 1e-3
    assert figures["latency_ms_median"] > 0
    assert figures["load_ms"] > 0
    assert figures["runs"] >= 3


def test_other_answers_than_the_sample_fail(model: Path) -> None:
    model.write_bytes(wrong_answers(1))
    with pytest.raises(SelfTestError, match="the self-test failed: self-test: the logits are off by"):
        try_model(model)


def test_a_slow_model_fails(model: Path) -> None:
    with pytest.raises(SelfTestError, match=r"ms a picture \(median\); allowed are 1e-09"):
        try_model(model, most_latency_ms=1e-9)


def test_a_damaged_bundle_fails(model: Path) -> None:
    model.write_bytes(good(1)[:-1])
    with pytest.raises(SelfTestError, match="was it copied whole"):
        try_model(model)


def test_no_torch_is_loaded(model: Path) -> None:
    code = """
import sys
sys.modules["torch"] = None
from groupnl_device.delivery.trial import _figures
_figures(sys.argv[1])
"""
    subprocess.run([sys.executable, "-P", "-c", code, str(model)], check=True)


def test_a_file_that_cannot_be_read_is_no_fault_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"could not read the model: .*absent.gnl: No such file") as error:
        try_model(tmp_path / "absent.gnl")
    assert not isinstance(error.value, SelfTestError)


def test_a_crash_fails(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(SelfTestError, match="the self-test's process ended by SIGKILL"):
        try_model(model)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_stops_the_update_does_not_condemn_the_model(
    model: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    restored = f"signal.signal({int(number)}, signal.SIG_DFL)"  # what nohup starts ignores SIGHUP
    child(monkeypatch, f"import os, signal; {restored}; os.kill(os.getpid(), {int(number)})")
    with pytest.raises(DeliveryError, match=f"stopped by {number.name}; the next pull repeats it") as error:
        try_model(model)
    assert not isinstance(error.value, SelfTestError)


def test_a_test_that_does_not_end_fails(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(monkeypatch, "import time; time.sleep(3600)")
    with pytest.raises(SelfTestError, match=r"was not done after 0.2 s"):
        try_model(model, seconds=0.2)


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"latency_ms_median": null}', "no json"])
def test_a_test_that_gives_no_figures_fails(model: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    child(monkeypatch, f"print({said!r})")
    with pytest.raises(SelfTestError, match="gave no figures"):
        try_model(model)


def test_a_failure_without_a_word_gives_the_exit_code(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(monkeypatch, "raise SystemExit(7)")
    with pytest.raises(SelfTestError, match="the self-test failed: exit code 7"):
        try_model(model)


def test_what_does_not_start_is_no_fault_of_the_model(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_command", lambda path: [str(tmp_path / "absent")])
    with pytest.raises(DeliveryError, match="process does not start: No such file") as error:
        try_model(model)
    assert not isinstance(error.value, SelfTestError)
