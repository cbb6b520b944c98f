"""What a machine says about itself, from trees of files made by hand."""

import json
from pathlib import Path

import pytest

from groupnl_device.hardware import hardware


def write(root: Path, file: str, text: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)


def test_this_machine_says_what_a_table_needs() -> None:
    found = hardware()
    assert {"processor", "machine", "usable_cores", "system"} <= set(found)
    assert found["usable_cores"] >= 1
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/cpuinfo": "model\t\t: 6\nmodel name\t: A Processor @ 2 GHz\n"}, "A Processor @ 2 GHz"),
        ({"proc/cpuinfo": "model name\t: ARMv7\nModel\t\t: Raspberry Pi 3 Model B\n"}, "Raspberry Pi 3 Model B"),
        ({"proc/device-tree/model": "Board 4\0", "proc/cpuinfo": "model name : ARMv8\n"}, "Board 4"),
    ],
)
def test_a_board_is_named_before_its_cores(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    for file, text in files.items():
        write(tmp_path, file, text)
    assert hardware(tmp_path)["processor"] == expected


def test_the_governor_where_there_is_one(tmp_path: Path) -> None:
    assert "governor" not in hardware(tmp_path)
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
    assert hardware(tmp_path)["governor"] == "powersave"
