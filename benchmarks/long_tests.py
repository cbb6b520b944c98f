"""Run the long tests (wide sweeps, long fuzzing) and write down what came of it.

make test-long      # which is: python -m benchmarks.long_tests --json results/test-long.json
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from groupnl_device.atomic import write_atomically
from groupnl_device.hardware import hardware

PACKAGES = ("torch", "timm", "accelerate", "onnx", "onnxruntime", "numpy", "hypothesis")


def main() -> int:
    """Run pytest, write the JSON, return pytest's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the result")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "junit.xml"
        begin = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-n", "2", "-m", "long", f"--junit-xml={junit}", "--durations=15"]
        code = subprocess.run(command, check=False).returncode
        seconds = time.monotonic() - begin
        cases = list(ElementTree.parse(junit).iter("testcase"))  # pytest wrote it a moment ago
    outcomes = {case.get("classname", "") + "::" + case.get("name", ""): _outcome(case) for case in cases}
    result = {
        "command": "make test-long",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "exit_code": code,
        "seconds": round(seconds),
        "passed": sum(outcome == "passed" for outcome in outcomes.values()),
        "failed": sum(outcome == "failed" for outcome in outcomes.values()),
        "skipped": sum(outcome == "skipped" for outcome in outcomes.values()),
        "tests": outcomes,
    }
    if arguments.json:
        text = json.dumps(result, indent=2) + "\n"
        write_atomically(arguments.json, lambda file: file.write(text.encode()))
    return code


def _outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


if __name__ == "__main__":
    sys.exit(main())
