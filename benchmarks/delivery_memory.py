"""How much memory the device client takes beside the runtime: its process, without that of the self-test.

    python -m benchmarks.delivery_memory --json results/delivery-memory.json

Each figure is the largest resident set of a fresh process that runs one command, and how far that is above that of an
interpreter that does nothing. Files are read, patched and hashed piece by piece, so a larger net takes more only where
a patch is applied: zstd holds up to 8 MiB of what it unpacks.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.delivery_faults import PACKAGES, resnets
from benchmarks.fault_rig import SCENARIOS, Rig, Scenario, rig
from groupnl_device.atomic import write_atomically
from groupnl_device.hardware import hardware

NETS = ("groupnl_resnet8", "groupnl_mobilenetv2_100", "groupnl_resnet18")
REPEATS = 3
ALLOWED_BYTES = 60 * 10**6  # beside the runtime
_PEAK = """
with open("/proc/self/status", encoding="ascii") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""
_CLIENT = f"""
import sys
from groupnl_device.cli import main
code = main(sys.argv[1:])
{_PEAK}
sys.exit(code)
"""


def peak_bytes(code: str, *arguments: str) -> int:
    """The largest resident set of a process that runs this code and prints it last.

    Raises:
        subprocess.CalledProcessError: It fails.
    """
    command = [sys.executable, "-P", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) * 1024


def measure(made: Rig, scenarios: Sequence[Scenario] = SCENARIOS, repeats: int = REPEATS) -> dict[str, dict[str, Any]]:
    """Each scenario's command, and a pull that finds nothing new.

    Args:
        made: The rig.
        scenarios: Which.
        repeats: Processes of each; the median counts.
    """
    bare = median(peak_bytes(_PEAK) for _ in range(repeats))
    peaks: dict[str, list[int]] = {}
    for _ in range(repeats):
        for scenario in scenarios:
            device = made.device(scenario)
            peaks.setdefault(scenario.name, []).append(peak_bytes(_CLIENT, *made.arguments(scenario, device)))
            if scenario.name == "full file":
                peaks.setdefault("nothing new", []).append(peak_bytes(_CLIENT, *made.arguments(scenario, device)))
    return {
        name: {"peak_bytes": int(median(values)), "above_bare_bytes": int(median(values) - bare)}
        for name, values in peaks.items()
    }


def memory_block(results: Mapping[str, Any]) -> str:
    """The page's part: a row for each command, a column for each net."""
    nets = results["nets"]
    heads = [f"{name}, {net['bundle_bytes'] / 1e6:.1f} MB" for name, net in nets.items()]
    lines = [f"| | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for command in next(iter(nets.values()))["commands"]:
        cells = [f"{net['commands'][command]['above_bare_bytes'] / 1e6:.1f}" for net in nets.values()]
        lines.append(f"| {command} | {' | '.join(cells)} |")
    told = (
        "Memory of the client's process, MB above a Python interpreter that does nothing; at most "
        f"{results['most_above_bare_bytes'] / 1e6:.1f}, allowed are {results['allowed_bytes'] / 1e6:.0f}. The process "
        "of the self-test, which loads the runtime as your program does, is not counted."
    )
    return "\n".join([*lines, "", told])


def main() -> int:
    """Measure, show, write the JSON; 1 where more is taken than is allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    arguments = parser.parse_args()
    nets: dict[str, Any] = {}
    for name in NETS:
        with tempfile.TemporaryDirectory() as folder:
            bundles = list(resnets(Path(folder), 0, name))
            with rig(Path(folder) / "rig", bundles) as made:
                nets[name] = {"bundle_bytes": len(bundles[-1]), "commands": measure(made)}
        for command, figures in nets[name]["commands"].items():
            above, peak = figures["above_bare_bytes"] / 1e6, figures["peak_bytes"] / 1e6
            print(f"{name} ({len(bundles[-1]) / 1e6:.1f} MB), {command}: {above:.1f} MB above bare, {peak:.1f} in all")
    most = max(figures["above_bare_bytes"] for net in nets.values() for figures in net["commands"].values())
    result = {
        "command": "python -m benchmarks.delivery_memory",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "allowed_bytes": ALLOWED_BYTES,
        "most_above_bare_bytes": most,
        "nets": nets,
    }
    if arguments.json:
        text = json.dumps(result, indent=2) + "\n"
        write_atomically(arguments.json, lambda file: file.write(text.encode()))
    return 0 if most <= ALLOWED_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
