"""The memory of the device client, at the size of a tiny net, and the table."""

import sys
from pathlib import Path
from unittest import mock

import pytest
from benchmarks.delivery_memory import ALLOWED_BYTES, measure, memory_block, peak_bytes
from benchmarks.fault_rig import SCENARIOS, rig
from device.tests.delivery.tiny_channel import good, quick_trial

from groupnl_device.delivery import update


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's largest resident set")
def test_the_client_takes_less_than_60_mb_beside_the_runtime(tmp_path: Path) -> None:
    quick = mock.patch.object(update, "try_model", quick_trial)  # for the pulls of the rig itself
    with quick, rig(tmp_path, [good(1), good(2), good(3)]) as made:
        figures = measure(made, [one for one in SCENARIOS if one.name == "patch"], repeats=1)
    assert set(figures) == {"patch"}
    for command, figure in figures.items():
        assert 0 < figure["above_bare_bytes"] <= ALLOWED_BYTES, command
        assert figure["above_bare_bytes"] < figure["peak_bytes"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's largest resident set")
def test_the_peak_counts_what_was_given_back() -> None:
    took = "kept = bytearray(50_000_000); del kept\n"
    show = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM:')))"
    assert 45e6 < peak_bytes(took + show) - peak_bytes(show) < 55e6


def test_the_table_by_hand() -> None:
    nets = {
        "small": {"bundle_bytes": 300_000, "commands": {"patch": {"above_bare_bytes": 25_040_000}}},
        "large": {"bundle_bytes": 9_000_000, "commands": {"patch": {"above_bare_bytes": 26_000_000}}},
    }
    block = memory_block({"nets": nets, "most_above_bare_bytes": 26_000_000, "allowed_bytes": 60_000_000})
    assert block.splitlines()[:3] == [
        "| | small, 0.3 MB | large, 9.0 MB |",
        "|---|---:|---:|",
        "| patch | 25.0 | 26.0 |",
    ]
    assert "at most 26.0, allowed are 60." in block
