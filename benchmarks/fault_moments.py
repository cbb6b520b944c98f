"""Ends the client at a moment: SIGKILL to it and to its self-test together, as when the power fails."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter


class Clients:
    """Runs ``groupnl-device``; use :func:`clients`.

    Args:
        process: Of ``fault_process.py``, its streams without buffers.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(self, arguments: Sequence[str], kill_after: float | None = None) -> tuple[float, int]:
        """Run one command.

        Args:
            arguments: Of the command.
            kill_after: Seconds until SIGKILL; None: never.

        Returns:
            How long it ran, seconds, and its exit code: -9 where it was killed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        begin = perf_counter()
        self._process.stdin.write(json.dumps(list(arguments)).encode() + b"\n")
        client = int(self._process.stdout.readline())
        ended, _, _ = select.select([self._process.stdout], [], [], kill_after)
        if not ended:
            for kill in (os.killpg, os.kill):  # it may not have made its group yet
                with suppress(ProcessLookupError):
                    kill(client, signal.SIGKILL)
        code = int(self._process.stdout.readline())
        return perf_counter() - begin, code


@contextmanager
def clients() -> Iterator[Clients]:
    """With all modules of the client loaded, so that most moments fall into the update and not into Python's start."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("fault_process.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        yield Clients(process)
