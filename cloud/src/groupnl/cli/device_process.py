"""Run ``groupnl-device`` as a device would: in a process of its own in which torch cannot be imported."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

# A module that is None in sys.modules fails to import: the device's code cannot lean on what the cloud has installed.
_WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = sys.modules['groupnl'] = None; "
    "from groupnl_device.cli import main; sys.exit(main(sys.argv[1:]))"
)


def run_device(arguments: Sequence[str], *, may_fail: bool = False) -> dict[str, Any]:
    """One command of ``groupnl-device`` with ``--json -``.

    Args:
        arguments: Of the command line.
        may_fail: Whether a result that failed (exit code 1) is a result.

    Returns:
        What it printed.

    Raises:
        RuntimeError: Another exit code; holds what it wrote to stderr.
    """
    command = [sys.executable, "-c", _WITHOUT_TORCH, *arguments, "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in ((0, 1) if may_fail else (0,)):
        raise RuntimeError(f"groupnl-device {arguments[0]} exited with {done.returncode}: {done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
