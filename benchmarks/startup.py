"""How long it takes until something happens: imports, the device's cold start and memory, the whole demo.

    python -m benchmarks.startup --json results/startup.json

Imports are timed in fresh processes that take turns, each beside what a user would have to import anyway. The demo
runs in a temporary folder (``--no-demo`` leaves it out, and with it the cold start of its bundles).
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from groupnl_device.atomic import write_atomically
from groupnl_device.hardware import hardware

IMPORTS = {
    "groupnl_device": "import groupnl_device",
    "groupnl_device.runtime": "import groupnl_device.runtime",
    "numpy": "import numpy",
    "onnxruntime": "import onnxruntime",
    "groupnl": "import groupnl",
    "torch": "import torch",
    "torch and timm": "import torch, timm",
}
ROUNDS = 7
PACKAGES = ("groupnl", "groupnl-device", "torch", "timm", "numpy", "onnxruntime")


def import_seconds() -> dict[str, dict[str, float]]:
    """Median and fastest time of each import statement, the interpreter's own start taken off."""
    times: dict[str, list[float]] = {name: [] for name in ("nothing", *IMPORTS)}
    for _ in range(ROUNDS):
        for name in times:
            statement = IMPORTS.get(name, "pass")
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            times[name].append(time.perf_counter() - begin)
    bare = statistics.median(times.pop("nothing"))
    return {name: {"median": statistics.median(t) - bare, "min": min(t) - bare} for name, t in times.items()}


def demo_figures() -> dict[str, Any]:
    """Wall time of ``groupnl demo`` and what its bundles cost a device."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        command = [sys.executable, "-c", "from groupnl.cli import main; raise SystemExit(main())"]
        subprocess.run([*command, "demo", "--out", folder], check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - begin
        nets = json.loads((Path(folder) / "results.json").read_text())["nets"]
    keys = ("cold_start_ms", "peak_memory_bytes", "latency_ms_median", "bundle_bytes", "train_seconds")
    return {"wall_seconds": wall, "nets": {name: {key: net[key] for key in keys} for name, net in nets.items()}}


def main() -> None:
    """Measure, show, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("--no-demo", action="store_true", help="imports only")
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "command": "python -m benchmarks.startup",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "import_seconds": import_seconds(),
    }
    for name, figures in result["import_seconds"].items():
        print(f"import {name:24} {figures['median']:6.2f} s (fastest {figures['min']:.2f})")
    if not arguments.no_demo:
        result["demo"] = demo_figures()
        print(f"demo {result['demo']['wall_seconds']:.0f} s")
        for name, net in result["demo"]["nets"].items():
            memory = net["peak_memory_bytes"] / 2**20
            print(f"  {name}: cold start {net['cold_start_ms']:.0f} ms, peak memory {memory:.0f} MiB")
    if arguments.json:
        text = json.dumps(result, indent=2) + "\n"
        write_atomically(arguments.json, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    main()
