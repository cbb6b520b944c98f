"""Runs ``groupnl-device`` in processes that are forked from one in which all its modules are loaded.

Read from standard input: the arguments of one command a line, as JSON. Written: the number of the process that runs it,
then its exit code. ``fault_moments.py`` starts this.
"""

import json
import os
import sys

import groupnl_device.delivery.client
import groupnl_device.delivery.status  # noqa: F401
from groupnl_device.cli import main


def serve() -> None:
    """Until the input ends."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(arguments: list[str]) -> None:
    """The command, in a group of its own, without a word."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    try:
        os._exit(main(arguments))
    except BaseException:
        os._exit(70)  # EX_SOFTWARE of sysexits.h


if __name__ == "__main__":
    serve()
