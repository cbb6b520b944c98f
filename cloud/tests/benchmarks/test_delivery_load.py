"""The load test on three devices, where nginx is installed; its table anywhere."""

import shutil

import pytest

from benchmarks import delivery_load

ROW = {
    "phase": "first pull",
    "devices": 4,
    "updated": 3,
    "failed": ["network: no answer"],
    "requests": 18,
    "sent_bytes": 4_444_400,
    "seconds": 2.6,
    "server_cpu_seconds": 0.05,
    "pull_seconds_median": 0.125,
    "pull_seconds_p99": 1.5,
}


def test_table():
    assert delivery_load.table([ROW]).splitlines()[-1] == (
        "| first pull | 3 | 1 | 4.5 | 1,111,100 | 3 | 12.50 | 0.12 | 1.50 |"
    )


@pytest.mark.long
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_every_device_is_updated(tmp_path):
    rows = delivery_load.measure(devices=3, in_flight=2, folder=tmp_path)
    assert [(row["updated"], row["failed"]) for row in rows[:3]] == [(3, []), (0, []), (3, [])]
    assert rows[3]["updated"] + rows[4]["updated"] == 3
    assert rows[4]["versions"] == {"3": 3}
    first, quiet, patched = (row["sent_bytes"] for row in rows[:3])
    assert quiet < patched < first
    assert all(row["requests"] >= 6 for row in rows)


def test_without_nginx(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery_load.shutil, "which", lambda _: None)
    with pytest.raises(RuntimeError, match="nginx is not found: install it"), delivery_load.nginx(tmp_path, tmp_path):
        pass
