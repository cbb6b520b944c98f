"""``groupnl demo``: the whole way of a net on real pictures, from design to device, in minutes."""

from pathlib import Path
from typing import Annotated

import typer

from groupnl.cli.output import JsonOption, Output, ResultFailedError


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where everything is written.")] = Path("demo"),
    epochs: Annotated[int, typer.Option(min=1, help="Of each net.")] = 20,
    seed: Annotated[int, typer.Option(help="Of everything.")] = 0,
    json: JsonOption = None,
) -> None:
    """Train ResNet-8 and its GroupNL twin, corrupt, export, run on a device without PyTorch, and report.

    Example: [bold]groupnl demo --out demo[/bold]
    """
    from groupnl.cli.demo_run import run_demo

    with Output(json).words() as output:
        results, failures = run_demo(out, epochs=epochs, seed=seed, say=output.say)
        output.finish(results)
        if failures:
            raise ResultFailedError("; ".join(failures))
