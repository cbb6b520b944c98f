"""Write the README's table from committed figures, so that none is typed by hand.

make demo && python -m benchmarks.readme --take demo     # take a new run's figures and pictures, then write
python -m benchmarks.readme                              # write from results/demo.json
python -m benchmarks.readme --check                      # exit 1 where README and results differ
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.marks import put_between
from groupnl.report import check_results, draw_severity_curves, verdicts

ROOT = Path(__file__).parents[1]
README, RESULTS, IMAGES = ROOT / "README.md", ROOT / "results" / "demo.json", ROOT / "docs" / "images"
BEGIN, END = "<!-- demo: begin, written by python -m benchmarks.readme -->", "<!-- demo: end -->"
ROWS = (
    ("parameters", "params", "{:,}"),
    ("multiply-adds", "macs", "{:,}"),
    ("clean accuracy", "clean_accuracy", "{:.1%}"),
    ("mean error under 7 corruptions x 5 severities", "mean_error", "{:.1%}"),
    ("training, seconds", "train_seconds", "{:.0f}"),
    ("bundle, bytes", "bundle_bytes", "{:,}"),
    ("device latency, ms (median, 1 thread)", "latency_ms_median", "{:.3f}"),
    ("device's answers equal PyTorch's", "agreement", "{:.1%}"),
)


def block(results: Mapping[str, Any]) -> str:
    """The part of the README between the marks."""
    check_results(results)
    nets = results["nets"]
    hardware = results["hardware"]
    lines = ["| | " + " | ".join(f"`{name}`" for name in nets) + " |", "|---|" + "---:|" * len(nets)]
    lines += [
        f"| {label} | " + " | ".join(form.format(net[key]) for net in nets.values()) + " |" for label, key, form in ROWS
    ]
    if results.get("forms"):
        lines += ["", "The forms of both nets on the device, ms (and ratio to the first):", ""]
        lines += [
            f"- `{row['net']}`, {row['form']}: {row['latency_ms_median']:.3f} ({row['ratio']:.2f})"
            for row in results["forms"]
        ]
        lines += [f"- not run: {form} ({reason})" for form, reason in results["forms_left_out"].items()]
    if results.get("delivery"):
        lines += ["", "Delivered to a device from a signed repository over HTTP:", ""]
        lines += [_delivered(row) for row in results["delivery"]]
    lines += ["", "In words, also written by the program:", ""]
    lines += [f"- {sentence}" for sentence in verdicts(results)]
    lines += [
        "",
        f"`{results['command']}`, {results['seconds']:.0f} seconds on {hardware['usable_cores']} cores of "
        f"{hardware['processor']}, {results['date']}, torch {results['versions']['torch']}; figures: "
        "[results/demo.json](results/demo.json).",
    ]
    return "\n".join(lines)


def _delivered(row: Mapping[str, Any]) -> str:
    """One step of the delivery."""
    received = f" ({row['received_bytes']:,} of {row['full_bytes']:,} bytes)" if row["received_bytes"] else ""
    return f"- {row['step']}: {row['outcome']}{received}; version {row['version']} in use"


def written(readme: str, results: Mapping[str, Any]) -> str:
    """The README with its block made anew.

    Raises:
        ValueError: The marks are missing.
    """
    return put_between(readme, BEGIN, END, block(results))


def main() -> int:
    """Take, write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--take", type=Path, metavar="DIR", help="a finished demo's folder: its figures become results/demo.json"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something differs")
    arguments = parser.parse_args()
    if arguments.take:
        RESULTS.write_bytes((arguments.take / "results.json").read_bytes())
        IMAGES.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(arguments.take / "maps.png", IMAGES / "maps.png")
        (IMAGES / "severity.png").write_bytes(draw_severity_curves(json.loads(RESULTS.read_text())["nets"]))
    readme = README.read_text(encoding="utf-8")
    new = written(readme, json.loads(RESULTS.read_text(encoding="utf-8")))
    if arguments.check:
        print(
            "README.md follows from results/demo.json"
            if new == readme
            else "README.md differs: run python -m benchmarks.readme"
        )
        return int(new != readme)
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
