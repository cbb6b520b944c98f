"""Ends the client at a system call: strace kills it there, or makes the call fail.

A first run under strace lists the calls that change the device folder; each of them is then a place for a fault. Only
the client itself is traced, not the process of its self-test.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    *("openat", "open", "creat", "write", "pwrite64", "writev", "sendfile", "copy_file_range", "fallocate"),
    *("fsync", "fdatasync", "ftruncate", "truncate", "flock"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "chmod", "fchmod", "fchmodat", "utimensat"),
)
_OPENING = ("openat", "open")
_CHANGES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")
_LINE = re.compile(r"(\w+)\(")
_FIXED = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}  # the same calls in every run


@dataclass(frozen=True)
class Place:
    """One call of a run.

    Attributes:
        call: Its name.
        count: How many of that name come before it, itself included.
        what: As strace shows it, for the report.
    """

    call: str
    count: int
    what: str


@dataclass(frozen=True)
class Struck:
    """What a run with a fault came to.

    Attributes:
        hit: Whether the fault happened, at a call on the device folder.
        code: The exit code of the client, negative where a signal ended it.
        complaint: The end of its standard error.
    """

    hit: bool
    code: int
    complaint: str


def why_not() -> str | None:
    """Why strace cannot be used here, or None where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    command = ["strace", "-o", os.devnull, "-e", "inject=?getppid:error=EPERM", sys.executable, "-c", ""]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"strace may not trace here: {done.stderr.strip()[-200:]}"


def places(arguments: Sequence[str], device: Path, log: Path) -> list[Place]:
    """Where a run of ``groupnl-device`` changes the device folder, in order.

    Args:
        arguments: Of the command.
        device: The device folder.
        log: A file for strace.

    Raises:
        RuntimeError: The run fails.
    """
    done = _strace(arguments, log, [])
    if done.returncode != 0:
        raise RuntimeError(f"the run that is to be studied fails: {done.stderr[-500:]}")
    counts: Counter[str] = Counter()
    found = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if (named := _LINE.match(line)) is None:
            continue
        call = named[1]
        counts[call] += 1
        if _is_change(line, call, device):
            found.append(Place(call, counts[call], line.replace(str(device), "DIR")))
    return found


def strike(arguments: Sequence[str], device: Path, log: Path, place: Place, fault: str) -> Struck:
    """Run ``groupnl-device`` with a fault.

    Args:
        arguments: Of the command.
        device: The device folder.
        log: A file for strace.
        place: Where.
        fault: As strace writes it: ``signal=KILL``, or ``error=ENOSPC``.
    """
    done = _strace(arguments, log, ["-e", f"inject={place.call}:{fault}:when={place.count}"])
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if fault.startswith("signal="):
        calls = [line for line in lines if _LINE.match(line)]
        struck = calls[-1:] if done.returncode < 0 else []
    else:
        struck = [line for line in lines if line.endswith("(INJECTED)")]
    hit = any(_is_change(line, place.call, device) for line in struck)
    return Struck(hit, done.returncode, done.stderr[-2000:])


def _is_change(line: str, call: str, device: Path) -> bool:
    """Whether a call changes the device folder."""
    return str(device) in line and (call not in _OPENING or _CHANGES.search(line) is not None)


def _strace(arguments: Sequence[str], log: Path, more: Sequence[str]) -> subprocess.CompletedProcess[str]:
    calls = ",".join(f"?{call}" for call in CALLS)  # ?: not every machine has every call
    client = [sys.executable, "-P", "-m", "groupnl_device.cli", *arguments]
    command = ["strace", "-y", "-s", "0", "-o", str(log), "-e", f"trace={calls}", *more, *client]
    environment = {**os.environ, **_FIXED}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
