"""Cold start and peak memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from groupnl_device.cold_start import measure
from groupnl_device.errors import BundleError


def test_a_cold_start_is_measured_in_another_process(bundle_bytes: bytes, tmp_path: Path) -> None:
    (tmp_path / "tiny.gnl").write_bytes(bundle_bytes)
    start = measure(tmp_path / "tiny.gnl", repeats=1)
    assert 0 < start["load_ms"] < start["cold_start_ms"] < 60_000
    if sys.platform == "linux":
        memory = start["peak_memory_bytes"]
        assert memory is not None
        assert 10 * 2**20 < memory < 500 * 2**20


def test_the_form_can_be_chosen(two_forms: bytes, tmp_path: Path) -> None:
    (tmp_path / "forms.gnl").write_bytes(two_forms)
    assert measure(tmp_path / "forms.gnl", artifact=2, repeats=1)["load_ms"] > 0
    with pytest.raises(BundleError, match="toaster/plain/float32: this runtime is unknown here"):
        measure(tmp_path / "forms.gnl", artifact=1, repeats=1)


def test_failures_say_why(tmp_path: Path) -> None:
    (tmp_path / "cut.gnl").write_bytes(b"PK\3\4" + bytes(50))
    with pytest.raises(BundleError, match=r"cold start failed: .*end of the archive is missing"):
        measure(tmp_path / "cut.gnl", repeats=1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_in_bytes_and_grows() -> None:
    code = """
from groupnl_device.cold_start import peak_memory_bytes
before = peak_memory_bytes()
block = b"x" * 100_000_000
print(peak_memory_bytes() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 95e6 < int(done.stdout) < 110e6
