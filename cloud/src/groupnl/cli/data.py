"""``groupnl data``: what data sets there are, a look at one, and corrupted copies."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from groupnl.cli.data_corrupt import corrupt
from groupnl.cli.data_sheet import sheet as corruption_sheet
from groupnl.cli.datasets import DataDirOption, ImageSizeOption, ProtocolOption, load_split
from groupnl.cli.output import JsonOption, Output

app = typer.Typer(no_args_is_help=True, help="List, look at and corrupt data sets.", rich_markup_mode="rich")


@app.command("list")
def list_(json: JsonOption = None) -> None:
    """List the data sets and the ways in which each can be split.

    Example: [bold]groupnl data list[/bold]
    """
    from groupnl.data import names, protocols

    with Output(json).words() as output:
        table = Table("data set", "protocols")
        for name in names():
            table.add_row(name, ", ".join(protocols(name)))
        output.say(table)
        output.finish({name: list(protocols(name)) for name in names()})


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of [bold]groupnl data list[/bold].")],
    data_dir: DataDirOption = None,
    protocol: ProtocolOption = "random",
    image_size: ImageSizeOption = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Write a contact sheet of the training set.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Count a data set's pictures by class, and draw some of them.

    Example: [bold]groupnl data show openicons --sheet openicons.png[/bold]
    """
    from groupnl.data import contact_sheet
    from groupnl_device.atomic import write_atomically

    with Output(json).words() as output:
        train = load_split(name, "train", data_dir, protocol, image_size)
        test = load_split(name, "test", data_dir, protocol, image_size)
        counts = [split.labels.bincount(minlength=len(train.class_names)).tolist() for split in (train, test)]
        table = Table("class", "train", "test", title=f"{name}, {'x'.join(map(str, train.images.shape[1:]))}")
        for row in zip(train.class_names, *counts, strict=True):
            table.add_row(*map(str, row))
        table.add_section()
        table.add_row("all", f"{len(train):,}", f"{len(test):,}")
        output.say(table)
        if sheet is not None:
            picture = contact_sheet(train)
            write_atomically(sheet, lambda file: picture.save(file, format="PNG"))
            output.say(f"wrote {sheet}")
        output.finish(
            {
                "name": name,
                "protocol": protocol,
                "image_shape": list(train.images.shape[1:]),
                "class_names": list(train.class_names),
                "train": dict(zip(train.class_names, counts[0], strict=True)),
                "test": dict(zip(train.class_names, counts[1], strict=True)),
            }
        )


app.command("corrupt")(corrupt)
app.command("sheet")(corruption_sheet)
