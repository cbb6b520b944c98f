"""The device's process cannot see torch or the cloud, and its failures are told."""

import sys

import pytest

from groupnl.cli import device_process
from groupnl.cli.device_process import run_device


def test_a_failure_carries_what_the_device_said(tmp_path):
    (tmp_path / "net.gnl").write_text("no bundle")
    with pytest.raises(RuntimeError, match=r"groupnl-device run exited with 2: groupnl-device: .*net.gnl"):
        run_device(["run", str(tmp_path / "net.gnl"), "x.png"])


@pytest.mark.parametrize("module", ["torch", "groupnl"])
def test_the_process_cannot_import(module, monkeypatch):
    code = device_process._WITHOUT_TORCH.replace("from groupnl_device.cli import main", f"import {module}")
    monkeypatch.setattr(device_process, "_WITHOUT_TORCH", code)
    with pytest.raises(RuntimeError, match=f"import of {module} halted"):
        run_device(["run"])
    assert module in sys.modules
