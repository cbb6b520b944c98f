"""Opens a bundle, reads every entry, and says what memory that took: what ``test_memory.py`` starts.

python memory_child.py BUNDLE
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

import zstandard  # noqa: F401  # what it takes itself is no bundle's doing

from groupnl_device.bundle import Bundle
from groupnl_device.errors import BundleError
from groupnl_device.tensors import read_tensors


def peak_kib() -> int | None:
    """The most memory that this process has held, where the system says so."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


def forget_peak() -> None:
    """Let the peak begin anew from what is held now, where the system allows it (proc(5), clear_refs)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


if __name__ == "__main__":
    forget_peak()
    before, outcome = peak_kib(), "read"
    try:
        bundle = Bundle.open(sys.argv[1])
        for name in bundle.manifest.entries:
            bundle.read(name)
            if "safetensors" in name:
                read_tensors(bundle, name)
    except BundleError as error:
        outcome = f"{type(error).__name__}: {error}"[:300]
    after = peak_kib()
    print(json.dumps({"grown_kib": None if before is None or after is None else after - before, "outcome": outcome}))
