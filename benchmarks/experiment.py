"""What every experiment's JSON has in common: where and with what it was measured, and a file that is never half."""

import json
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from groupnl_device.atomic import write_atomically
from groupnl_device.hardware import hardware

PACKAGES = ("groupnl", "torch", "timm")

# What mean_error is over in the first experiments: the corruptions there were then, named so that they can be repeated.
FIRST_CORRUPTIONS = (
    "gaussian_noise",
    "shot_noise",
    "defocus_blur",
    "brightness",
    "contrast",
    "jpeg_compression",
    "pixelate",
)


def header(command: str, **facts: Any) -> dict[str, Any]:
    """The head of an experiment's result.

    Args:
        command: What a stranger types to repeat it.
        **facts: What else holds for every figure: data, epochs, base net.

    Returns:
        The command and the facts, then date (UTC), hardware and versions.
    """
    return {
        "command": command,
        **facts,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
    }


def write_result(to: str | None, result: dict[str, Any], table: str) -> None:
    """Give a benchmark's figures to programs or to people.

    Args:
        to: A file for the JSON, while the table is printed; ``-``: the JSON is printed, alone; None: no JSON.
        result: The figures.
        table: The same in Markdown.
    """
    if to == "-":
        print(json.dumps(result, indent=1, allow_nan=False))
        return
    print(table)
    if to is not None:
        write_json(Path(to), result)


def write_json(path: Path, result: dict[str, Any]) -> None:
    """Write the figures, whole or not at all.

    Raises:
        ValueError: A figure is infinite or no number, which JSON cannot hold.
    """
    text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))
