"""The commands ``groupnl-device pull``, ``status`` and ``rollback``: their arguments, and what they print.

Exit codes: 0 fine, 1 the update was refused or failed (the old model stays in use), 2 bad usage.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groupnl_device.delivery.outcome import Outcome

_PULL_EXAMPLE = """example:
  groupnl-device pull --repo https://models.example.org/repo --root /etc/groupnl/root.json \\
      --channel stable --dir /var/lib/groupnl
  groupnl-device pull --repo http://localhost:8000 --root root.json --channel beta --dir models --group lab --json -"""
_STATUS_EXAMPLE = """example:
  groupnl-device status --dir /var/lib/groupnl"""
_ROLLBACK_EXAMPLE = """example:
  groupnl-device rollback --dir /var/lib/groupnl"""
TEST_SECONDS = 120.0


WriteJson = Callable[[str | None, dict[str, Any]], None]  # to the place that --json names


def add_delivery(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", write_json: WriteJson) -> None:
    """Add the commands.

    Args:
        commands: Of ``groupnl-device``.
        write_json: Writes a result.
    """
    raw = argparse.RawDescriptionHelpFormatter

    pull = commands.add_parser(
        "pull",
        help="take the next model from a signed repository",
        description="Take the next version of a channel: verify it, test it on this device, switch to it. Whatever\n"
        "happens, DIR/current/model.gnl is the whole old model or the whole new one.",
        epilog=_PULL_EXAMPLE,
        formatter_class=raw,
    )
    pull.set_defaults(command=lambda arguments: _pull(arguments, write_json))
    pull.add_argument("--repo", metavar="URL", required=True, help="of the repository, http or https")
    pull.add_argument(
        "--root", metavar="FILE", type=Path, required=True, help="the trusted root metadata that came with the device"
    )
    pull.add_argument("--channel", metavar="NAME", required=True, help="of the models")
    pull.add_argument(
        "--device-id",
        metavar="ID",
        help="decides when this device takes part in a staged rollout (default: the machine's id); it is not sent",
    )
    pull.add_argument(
        "--group", metavar="NAME", action="append", default=[], help="that this device belongs to; may be repeated"
    )
    pull.add_argument(
        "--input-size",
        metavar=("C", "H", "W"),
        type=int,
        nargs=3,
        help="take only models for pictures of this size (default: any)",
    )
    pull.add_argument(
        "--test-seconds",
        metavar="S",
        type=float,
        default=TEST_SECONDS,
        help=f"that a self-test may take (default: {TEST_SECONDS:g})",
    )

    status = commands.add_parser(
        "status",
        help="what model is in use, what is kept, how the last pull ended",
        description="What model is in use, what is kept, how the last pull ended. Nothing is changed.",
        epilog=_STATUS_EXAMPLE,
        formatter_class=raw,
    )
    status.set_defaults(command=lambda arguments: _status(arguments, write_json))

    rollback = commands.add_parser(
        "rollback",
        help="take the model before into use again",
        description="Take the kept model into use again. The version that is left is not taken any more.",
        epilog=_ROLLBACK_EXAMPLE,
        formatter_class=raw,
    )
    rollback.set_defaults(command=lambda arguments: _rollback(arguments, write_json))

    for command in (pull, status, rollback):
        command.add_argument("--dir", metavar="DIR", type=Path, required=True, help="the device folder")
        command.add_argument(
            "--json",
            metavar="FILE",
            help="write the result as JSON to FILE; - is stdout, which then holds nothing else",
        )


def _pull(arguments: argparse.Namespace, write_json: WriteJson) -> int:
    _check_extra()
    from groupnl_device.delivery.client import Settings, pull
    from groupnl_device.delivery.device import Device

    size = arguments.input_size
    settings = Settings(
        repo=arguments.repo,
        root=arguments.root,
        channel=arguments.channel,
        folder=arguments.dir,
        device=Device.here(
            device_id=arguments.device_id,
            groups=arguments.group,
            input_size=None if size is None else (size[0], size[1], size[2]),
        ),
        test_seconds=arguments.test_seconds,
    )
    return _tell(pull(settings), arguments, write_json)


def _rollback(arguments: argparse.Namespace, write_json: WriteJson) -> int:
    _check_extra()
    from groupnl_device.delivery.client import rollback

    return _tell(rollback(arguments.dir), arguments, write_json)


def _status(arguments: argparse.Namespace, write_json: WriteJson) -> int:
    _check_extra()
    from groupnl_device.delivery.status import status

    found = status(arguments.dir)
    if arguments.json != "-":
        print("\n".join(found.lines()))
    write_json(arguments.json, found.to_dict())
    return 0 if found.problem is None else 1


def _tell(outcome: "Outcome", arguments: argparse.Namespace, write_json: WriteJson) -> int:
    if arguments.json != "-":
        print("\n".join(outcome.lines()))
    write_json(arguments.json, outcome.to_dict())
    if outcome.error is None:
        return 0
    sys.stdout.flush()
    print(f"groupnl-device: {outcome.error.kind}: {' '.join(str(outcome.error).split())}", file=sys.stderr)
    return 1


def _check_extra() -> None:
    from groupnl_device.requirements import installed_version

    for package in ("tuf", "urllib3", "zstandard"):
        if installed_version(package) is None:
            raise ValueError(f'the package {package} is not installed; pip install "groupnl-device[delivery]"')
