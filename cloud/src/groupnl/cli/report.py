"""``groupnl report``: make the page of a results.json again."""

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from groupnl.cli.output import JsonOption, Output


def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS.json", help="What groupnl demo wrote.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page.")] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Of the page.")] = "GroupNL report",
    json: JsonOption = None,
) -> None:
    """Make a self-contained HTML page from measured results.

    Example: [bold]groupnl report demo/results.json --out report.html[/bold]
    """
    with Output(json).words() as output:
        try:
            figures = json_format.loads(results.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{results} is no JSON: {error}") from error
        if not isinstance(figures, dict):
            raise ValueError(f"{results}: expected an object as groupnl demo writes it")
        write_page(figures, results.parent, out, title)
        output.say(f"wrote {out}")
        output.finish({"page": str(out)})


def write_page(figures: dict[str, object], folder: Path, out: Path, title: str) -> None:
    """Write the page of ``figures``; pictures that they name lie in ``folder``.

    Raises:
        ValueError: The figures are incomplete.
        OSError: A picture cannot be read or the page not be written.
    """
    from groupnl.report import check_results, draw_severity_curves, render_page
    from groupnl_device.atomic import write_atomically

    check_results(figures)
    pictures = {"Accuracy by severity of each corruption": draw_severity_curves(figures["nets"])}  # type: ignore[arg-type]  # checked above
    named = figures.get("pictures") or {}
    for caption, file in named.items() if isinstance(named, dict) else ():
        if Path(file).name != file:
            raise ValueError(f"picture {file!r}: expected the name of a file beside the results")
        pictures[caption] = (folder / file).read_bytes()
    page = render_page(figures, pictures, title=title)
    write_atomically(out, lambda stream: stream.write(page.encode()))
