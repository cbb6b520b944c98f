"""The command ``groupnl``: its subcommands, and how errors become exit codes."""

import os
import sys
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.text import Text

from groupnl.cli.compare import compare
from groupnl.cli.data import app as data_app
from groupnl.cli.demo import demo
from groupnl.cli.evaluate import evaluate
from groupnl.cli.export import export
from groupnl.cli.output import ResultFailedError
from groupnl.cli.profile import profile
from groupnl.cli.publish import publish
from groupnl.cli.repo import app as repo_app
from groupnl.cli.report import report
from groupnl.cli.train import train

app = typer.Typer(
    name="groupnl",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Light, robust CNNs: convert, train, measure on corrupted images, export to small devices.",
)
app.command()(demo)
app.add_typer(data_app, name="data")
app.command()(train)
app.command()(evaluate)
app.command()(compare)
app.command()(profile)
app.command()(export)
app.command()(publish)
app.add_typer(repo_app, name="repo")
app.command()(report)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. ``GROUPNL_DEBUG=1`` shows the traceback of a refused input."""
    console = Console(stderr=True)
    try:
        # standalone: typer itself prints usage errors and exits with 2
        app(args=list(sys.argv[1:] if argv is None else argv))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except ResultFailedError as failure:
        console.print(Text.assemble(("failed: ", "red"), str(failure)), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    except (ValueError, OSError) as error:
        if os.environ.get("GROUPNL_DEBUG"):
            raise
        console.print(Text.assemble(("error: ", "red"), str(error)), soft_wrap=True)
        return 2
    return 0
