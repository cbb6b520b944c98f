"""``groupnl compare``: two nets, picture by picture."""

from pathlib import Path
from typing import Annotated

import typer

from groupnl.cli.evaluation_table import table_of_comparison
from groupnl.cli.output import JsonOption, Output


def compare(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="What groupnl evaluate --answers FIRST left.")],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="The same of another net, on the same pictures.")],
    json: JsonOption = None,
) -> None:
    """Tell whether one of two nets is better, or lucky: paired tests on the same pictures.

    Example: [bold]groupnl compare answers/groupnl answers/vanilla[/bold]
    """
    from groupnl.evaluation import Answers
    from groupnl.evaluation import compare as paired

    with Output(json).words() as output:
        found = paired(Answers.load(first), Answers.load(second))
        output.say(table_of_comparison(found))
        output.finish(found.to_dict())
