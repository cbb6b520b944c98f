"""One update at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from groupnl_device.delivery import lock
from groupnl_device.delivery.errors import BusyError
from groupnl_device.delivery.lock import only_one

HOLDER = """
import sys
from pathlib import Path
from groupnl_device.delivery.lock import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_WAIT_SECONDS", 0.0)


@pytest.mark.usefixtures("impatient")
def test_the_lock_excludes_and_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        only_one(path),
        pytest.raises(BusyError, match="another process updates this folder; try again"),
        only_one(path),
    ):
        pass
    with only_one(path):
        pass


@pytest.mark.usefixtures("impatient")
def test_a_process_that_is_killed_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-P", "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(BusyError), only_one(path):
            pass
        process.kill()
        process.wait()
        with only_one(path):
            pass


def test_a_child_that_a_killed_update_left_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    waits: list[float] = []
    with path.open("ab") as held:
        assert lock._take(held)
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[held.fileno()])

    def end_child(seconds: float) -> None:
        waits.append(seconds)
        child.kill()
        child.wait()

    monkeypatch.setattr(lock, "sleep", end_child)
    with child, only_one(path):
        assert len(waits) == 1
