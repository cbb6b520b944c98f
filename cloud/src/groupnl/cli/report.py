"""``groupnl report``: pages and pictures that compare nets, or devices, made from what other commands measured."""

import json as json_format
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from groupnl.cli.output import JsonOption, Output
from groupnl.cli.report_devices import report_devices
from groupnl.cli.told_apart import told_apart

if TYPE_CHECKING:
    from groupnl.report import NetFigures

_PICTURE = "Its name ends in .png, .svg or .pdf."


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT.json...",
            help="What groupnl evaluate --json wrote for each net, the one to compare with first; also what groupnl "
            "train --json wrote. Or alone the results.json of groupnl demo. Or what groupnl-device bench --json wrote "
            "on each device.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The page. Default: report.html, if no picture is asked."),
    ] = None,
    answers: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="What groupnl evaluate --answers wrote, once for each net in their order: compares image by image.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="What to call each net or device, in their order. Default: as they are called."
        ),
    ] = None,
    radar: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"Draw the accuracy under each corruption. {_PICTURE}")
    ] = None,
    curves: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"Draw the accuracy by severity. {_PICTURE}")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the page.")] = None,
    json: JsonOption = None,
) -> None:
    """Compare nets, or devices, on a self-contained HTML page, or nets in pictures for use elsewhere.

    Example: [bold]groupnl report vanilla.json groupnl.json --out report.html --radar radar.png[/bold]

    Devices: [bold]groupnl report pi.json jetson.json --name "Pi 4" --name Orin --out devices.html[/bold]
    """
    with Output(json).words() as output:
        for option, picture in (("--radar", radar), ("--curves", curves)):
            _check_picture(option, picture)
        records = [(path, _read(path)) for path in results]
        if _are_of_devices(records):
            if answers or radar or curves:
                raise ValueError("--answers, --radar and --curves are for nets; a page of devices takes --name only")
            report_devices(records, name or [], out or Path("report.html"), title, output)
            return
        if "nets" in records[0][1]:
            if len(records) > 1 or answers or name or radar or curves:
                raise ValueError(f"{results[0]} is of groupnl demo: it makes a page alone, with --out and --title only")
            page = out or Path("report.html")
            write_page(records[0][1], results[0].parent, page, title or "GroupNL report")
            output.say(f"wrote {page}")
            output.finish({"page": str(page)})
            return
        _compare(records, out, answers or [], name or [], {"radar": radar, "curves": curves}, title, output)


def _compare(
    records: Sequence[tuple[Path, Mapping[str, Any]]],
    out: Path | None,
    answers: Sequence[Path],
    names: Sequence[str],
    pictures: Mapping[str, Path | None],
    title: str | None,
    output: Output,
) -> None:
    from groupnl.report import draw_radar, draw_severity_curves, render_comparison, unlike
    from groupnl_device.atomic import write_atomically

    training = [{"net": path.parent.name, **record} for path, record in records if _is_training(record)]
    nets = _named([(path, _net(path, record)) for path, record in records if not _is_training(record)], names)
    if not nets:
        raise ValueError("no net to show: give at least one file that groupnl evaluate --json wrote")
    comparisons = _compare_answers(nets, answers) if answers else {}
    # everything is made before anything is written: a refusal leaves no file behind
    page = render_comparison(nets, title=title, comparisons=comparisons, training=training).encode()
    made: dict[str, tuple[Path, bytes]] = {}
    drawn = {net.name: net.drawn() for net in nets}
    for name, draw in (("radar", draw_radar), ("curves", draw_severity_curves)):
        path = pictures[name]
        if path is not None:
            made[name] = path, draw(drawn, form=path.suffix[1:])  # type: ignore[arg-type]  # checked
    if out is not None or not made:
        made["page"] = out or Path("report.html"), page
    output.say(_table(nets))
    for warning in unlike(nets):
        output.say(f"note: {warning}")
    for path, content in made.values():
        write_atomically(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
        output.say(f"wrote {path}")
    output.finish(
        {
            **{name: str(path) for name, (path, _) in made.items()},
            "nets": [net.name for net in nets],
            "notes": unlike(nets),
            "comparisons": comparisons,
        }
    )


def _compare_answers(nets: Sequence["NetFigures"], folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Net -> its comparison with the first net."""
    from groupnl.evaluation import Answers, compare

    if len(folders) != len(nets):
        raise ValueError(
            f"{len(folders)} --answers for {len(nets)} nets: give one for each net, in the order of the files"
        )
    if several := [net.name for net in nets if net.training_seeds > 1]:
        raise ValueError(
            f"--answers: {', '.join(several)} has several training runs; only single trained nets are compared image "
            "by image, so leave --answers out: the page compares means over the runs"
        )
    first, *others = [Answers.load(folder) for folder in folders]
    return {net.name: compare(other, first).to_dict() for net, other in zip(nets[1:], others, strict=True)}


def _net(path: Path, record: Mapping[str, Any]) -> "NetFigures":
    """The figures of one file, checked."""
    from groupnl.evaluation import Evaluation
    from groupnl.report import read_net

    try:
        net = read_net(record)
        for one in record.get("evaluations", [record.get("evaluation", record)]):
            Evaluation.from_dict(one)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return net


def _named(nets: Sequence[tuple[Path, "NetFigures"]], names: Sequence[str]) -> list["NetFigures"]:
    """Nets by the names given; without any, those that share a name get what tells their files apart as well."""
    from dataclasses import replace

    if not names:
        names = told_apart([(path, net.name) for path, net in nets])
    elif len(names) != len(nets):
        raise ValueError(f"{len(names)} --name for {len(nets)} nets: give one for each net, in the order of the files")
    return [replace(net, name=name) for name, (_, net) in zip(names, nets, strict=True)]


def _table(nets: Sequence["NetFigures"]) -> Table:
    """The first table of the page, for people at a terminal."""
    from groupnl.report import overview

    found = overview(nets)
    table = Table("net", *found.heads)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in found.rows:
        table.add_row(row.label, *("\n".join(filter(None, (cell.text, cell.note))) for cell in row.cells))
    return table


def _are_of_devices(records: Sequence[tuple[Path, Mapping[str, Any]]]) -> bool:
    """Whether all are of ``groupnl-device bench``; none is the other possibility."""
    from groupnl.report import is_bench

    devices = [path for path, record in records if is_bench(record)]
    others = [path for path, record in records if not is_bench(record)]
    if devices and others:
        raise ValueError(
            f"{devices[0]} is of groupnl-device bench and {others[0]} is not: a page shows devices or nets, so make two"
        )
    return bool(devices)


def _is_training(record: Mapping[str, Any]) -> bool:
    return "train_accuracy" in record and "history" in record


def _check_picture(option: str, path: Path | None) -> None:
    """Before the work, not after it."""
    from groupnl.report import FORMS

    if path is None:
        return
    if path.suffix[1:] not in FORMS:
        raise ValueError(f"{option} {path}: expected a file name that ends in .{', .'.join(FORMS)}")
    if not path.parent.is_dir():
        raise ValueError(f"{option} {path}: the folder {path.parent} does not exist; create it first")


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json_format.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(
            f"{path}: expected an object as groupnl evaluate, train, demo or groupnl-device bench writes it"
        )
    return record


def write_page(figures: dict[str, Any], folder: Path, out: Path, title: str) -> None:
    """Write the page of the demo's ``figures``; pictures that they name lie in ``folder``.

    Raises:
        ValueError: The figures are incomplete.
        OSError: A picture cannot be read or the page not be written.
    """
    from groupnl.report import check_results, draw_severity_curves, render_page
    from groupnl_device.atomic import write_atomically

    check_results(figures)
    pictures = {"Accuracy by severity of each corruption": draw_severity_curves(figures["nets"])}
    named = figures.get("pictures") or {}
    for caption, file in named.items() if isinstance(named, dict) else ():
        if Path(file).name != file:
            raise ValueError(f"picture {file!r}: expected the name of a file beside the results")
        pictures[caption] = (folder / file).read_bytes()
    page = render_page(figures, pictures, title=title)
    write_atomically(out, lambda stream: stream.write(page.encode()))
