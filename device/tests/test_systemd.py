"""The examples in ``device/systemd`` call the command as it is."""

import configparser
import shlex
from pathlib import Path

from groupnl_device.cli import _parser

FOLDER = Path(__file__).parents[1] / "systemd"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parser.read_string((FOLDER / name).read_text(encoding="utf-8"))
    return parser


def test_the_service_calls_the_command_as_it_is() -> None:
    service = unit("groupnl-pull.service")["Service"]
    program, *given = shlex.split(service["ExecStart"])
    assert Path(program).name == "groupnl-device"
    arguments = _parser().parse_args(given)
    assert arguments.root == Path("/etc/groupnl/root.json")
    assert arguments.dir == Path("/var/lib") / service["StateDirectory"]


def test_the_timer_starts_the_service_at_a_time_of_each_devices_own() -> None:
    timer = unit("groupnl-pull.timer")
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert timer["Timer"]["FixedRandomDelay"] == "yes"
    assert (FOLDER / "groupnl-pull.timer").stem == (FOLDER / "groupnl-pull.service").stem
