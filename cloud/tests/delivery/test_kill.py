"""A publisher that is killed by the kernel at each system call that changes the disk: devices see one whole state."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cloud.tests.delivery.simulated import Device, bundle_file, device_of, new_repository, secret

import groupnl
from groupnl.delivery import Repository, UnfinishedError, publish, recover

CALLS = ("fsync", "link", "linkat", "rename", "unlink", "mkdir")
# The package's own __init__ brings torch, which publishing does not use: without it a child starts in a second.
CHILD = """
import sys, types
from pathlib import Path
package = types.ModuleType("groupnl")
package.__path__ = [sys.argv[2]]
sys.modules["groupnl"] = package
import groupnl
from groupnl.delivery import Repository, publish
folder = Path(sys.argv[1])
repository = Repository.open(str(folder / "site"), folder / "keys", lambda kind, name: "")
publish(repository, folder.parent / "2.gnl", "stable")
"""


def killed_at(call: str, count: int, folder: Path) -> int:
    """Publish in a process that gets SIGKILL on entering such a call for the k-th time; its status, from strace."""
    strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}"]
    inject = ["-e", f"inject={call}:signal=KILL:when={count}"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [*strace, *inject, sys.executable, "-c", CHILD, str(folder), str(Path(groupnl.__file__).parent)]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.long
def test_killed_at_every_system_call(tmp_path: Path) -> None:
    if not can_trace():
        pytest.skip("strace is not installed, or may not trace here")
    (tmp_path / "begun").mkdir()
    publish(new_repository(tmp_path / "begun"), bundle_file(tmp_path / "1.gnl", 1), "stable")
    bundle_file(tmp_path / "2.gnl", 2)
    ends: list[str] = []
    for call in CALLS:
        for count in range(1, 100):
            folder = tmp_path / f"{call}-{count}"
            shutil.copytree(tmp_path / "begun", folder)
            device = device_of(folder)
            old = device.sees()
            status = killed_at(call, count, folder)
            if status == 0:
                break
            assert status in (-9, 137)
            ends.append(after_the_kill(folder, device, old))
    assert set(ends) == {"published again", "recovered", "was there"}
    assert len(ends) > 30
    print(f"killed {len(ends)} times:", {end: ends.count(end) for end in set(ends)})


def after_the_kill(folder: Path, device: Device, old: dict[str, str]) -> str:
    """Devices see the old state or the new one; whoever comes next can go on."""
    repository = Repository.open(str(folder / "site"), folder / "keys", secret)
    now = device.sees()
    end = "was there"
    if now == old:
        try:
            publish(repository, folder.parent / "2.gnl", "stable")
            end = "published again"
        except UnfinishedError:
            assert recover(repository) == 3
            end = "recovered"
    new = device.sees()
    assert len(new) == 3
    assert {**new, **old} == new
    return end
