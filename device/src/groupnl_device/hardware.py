"""What a measurement ran on; nothing in it identifies the machine or its owner."""

import os
import platform
from pathlib import Path


def hardware(root: Path = Path("/")) -> dict[str, str | int]:
    """Board or processor, its kind, the cores that this process may use, memory, frequency governor, system.

    Args:
        root: Where ``proc`` and ``sys`` lie.

    Returns:
        ``processor``, ``machine``, ``usable_cores`` and ``system``; ``memory_bytes`` and ``governor`` (what decides on
        the clock rate of the cores) where the system tells.
    """
    found: dict[str, str | int] = {
        "processor": _processor(root),
        "machine": platform.machine(),
        "usable_cores": usable_cores(),
        "system": platform.system(),
    }
    names = getattr(os, "sysconf_names", {})  # not on Windows
    if {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= set(names):
        found["memory_bytes"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if governor := _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"):
        found["governor"] = governor
    return found


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor(root: Path) -> str:
    """The board where there is one, which says more than its cores (a Raspberry Pi, a Jetson); else the processor."""
    if board := _text(root / "proc/device-tree/model"):
        return board
    lines = _text(root / "proc/cpuinfo").splitlines()
    for wanted in ("Model", "model name"):
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == wanted and value.strip():
                return value.strip()
    return platform.processor() or "unknown"


def _text(file: Path) -> str:
    """Content of a small system file, empty where there is none."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip(" \t\n\0")
    except OSError:
        return ""
