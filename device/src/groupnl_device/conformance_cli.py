"""The command ``groupnl-device tuf-conformance``, by which the public TUF conformance suite drives the client."""

import argparse
import sys
from pathlib import Path
from typing import Any

_EXAMPLE = """example, with the suite of github.com/theupdateframework/tuf-conformance:
  pytest tuf_conformance --entrypoint "$(command -v groupnl-device) tuf-conformance"

by hand:
  groupnl-device tuf-conformance --metadata-dir m init root.json
  groupnl-device tuf-conformance --metadata-dir m --metadata-url http://host/metadata refresh
  groupnl-device tuf-conformance --metadata-dir m --metadata-url http://host/metadata \\
      --target-name a/b.bin --target-base-url http://host/targets --target-dir t download"""


def add_conformance(commands: Any) -> None:
    """Add the command.

    Args:
        commands: What ``ArgumentParser.add_subparsers`` returned.
    """
    parser = commands.add_parser(
        "tuf-conformance",
        help="the client in the form that the public TUF conformance suite calls",
        description="The client in the form that the public TUF conformance suite calls (its CLIENT-CLI.md).\n"
        "Exit codes: 0 done, 1 refused or failed, 2 bad usage.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=_conformance)
    parser.add_argument("--metadata-dir", metavar="DIR", type=Path, required=True, help="folder of trusted metadata")
    parser.add_argument("--metadata-url", metavar="URL", help="where the repository has its metadata")
    parser.add_argument("--target-name", metavar="PATH", help="of the target to download")
    parser.add_argument("--target-base-url", metavar="URL", help="where the repository has its targets")
    parser.add_argument("--target-dir", metavar="DIR", type=Path, help="where downloaded targets go")
    parser.add_argument("act", choices=_NEEDED, help="what to do")
    parser.add_argument("root", metavar="ROOT", type=Path, nargs="?", help="the trusted root metadata; for init")


_NEEDED = {
    "init": ("root",),
    "refresh": ("metadata_url",),
    "download": ("metadata_url", "target_name", "target_base_url", "target_dir"),
}


def _conformance(arguments: argparse.Namespace) -> int:
    from groupnl_device.delivery import conformance
    from groupnl_device.delivery.errors import DeliveryError

    missing = [name for name in _NEEDED[arguments.act] if getattr(arguments, name) is None]
    if missing:
        names = ", ".join("ROOT" if name == "root" else f"--{name.replace('_', '-')}" for name in missing)
        raise ValueError(f"tuf-conformance {arguments.act}: {names} is missing; see --help")
    try:
        if arguments.act == "init":
            conformance.provision(arguments.metadata_dir, arguments.root)
        elif arguments.act == "refresh":
            conformance.refresh(arguments.metadata_dir, arguments.metadata_url)
        else:
            conformance.fetch_target(
                arguments.metadata_dir,
                arguments.metadata_url,
                arguments.target_name,
                arguments.target_base_url,
                arguments.target_dir,
            )
    except (DeliveryError, OSError) as error:
        kind = error.kind if isinstance(error, DeliveryError) else "storage"
        print(f"groupnl-device: {kind}: {error}", file=sys.stderr)
        return 1
    return 0
