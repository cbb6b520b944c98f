"""``groupnl profile``: what a net costs."""

from typing import Annotated

import typer
from rich.table import Table

from groupnl.cli.nets import ModelOptions, NetArgument, parse_options, resolve_net
from groupnl.cli.output import JsonOption, Output


def profile(
    net: NetArgument,
    model_option: ModelOptions = None,
    policy: Annotated[
        str | None, typer.Option(help="Convert the net first: standard, sparse_bottleneck or sparse_depthwise.")
    ] = None,
    policy_option: Annotated[
        list[str] | None,
        typer.Option("--policy-option", "-p", metavar="NAME=VALUE", help="Repeatable: reduction=4, ..."),
    ] = None,
    input_size: Annotated[
        str | None, typer.Option(metavar="CxHxW", help="Default: what the net's configuration says.")
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Show every layer.")] = False,
    json: JsonOption = None,
) -> None:
    """Show a net's parameters, multiply-adds, elementwise work, activations and gradient traffic.

    Example: [bold]groupnl profile resnet50 --policy sparse_bottleneck[/bold]
    """
    from groupnl.analysis import complexity
    from groupnl.models import convert_

    with Output(json).words() as output:
        found = resolve_net(net, parse_options(model_option))
        if found.module is None:
            raise ValueError(f"{net} is a bundle: profile takes a name, a checkpoint or module:function")
        size = _size(input_size) if input_size else found.preprocessing.input_size if found.preprocessing else None
        if size is None:
            size = (getattr(found.module, "pretrained_cfg", None) or {}).get("input_size")
        if size is None:
            raise ValueError(f"{net} does not say its input size: give --input-size, such as 3x32x32")
        report = None
        if policy is not None:
            report = convert_(found.module, policy, input_size=size, **parse_options(policy_option))
            output.say(str(report))
        elif policy_option:
            raise ValueError("--policy-option without --policy")
        cost = complexity(found.module, size)
        table = Table("for one image", "", title=f"{found.name} at {'x'.join(map(str, size))}", title_justify="left")
        table.columns[1].justify = "right"
        for label, value in (
            ("trainable parameters", cost.params),
            ("multiply-adds", cost.macs),
            ("elementwise operations", cost.elementwise),
            ("activations, bytes", cost.activation_bytes),
            ("gradients exchanged in a training step, bytes", cost.gradient_bytes),
        ):
            table.add_row(label, f"{value:,}")
        output.say(table)
        if layers:
            rows = Table("layer", "type", "output", "parameters", "multiply-adds", "elementwise")
            for layer in cost.layers:
                shape = "x".join(map(str, layer.output_shape))
                figures = (f"{layer.params:,}", f"{layer.macs:,}", f"{layer.elementwise:,}")
                rows.add_row(layer.name or "(the net itself)", layer.type, shape, *figures)
            output.say(rows)
        conversion = report.to_dict() if report else None
        output.finish({"net": found.name, "input_size": list(size), "conversion": conversion, **cost.to_dict()})


def _size(text: str) -> tuple[int, int, int]:
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ValueError(f"--input-size {text}: expected CxHxW, such as 3x32x32")
    return int(parts[0]), int(parts[1]), int(parts[2])
