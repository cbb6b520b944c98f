"""``groupnl profile``: what nets cost, side by side."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from groupnl.cli.nets import ModelOptions, Net, PolicyOptions, parse_options, resolve_net
from groupnl.cli.output import JsonOption, Output

if TYPE_CHECKING:
    from groupnl.analysis import Complexity

_FIGURES = (
    ("trainable parameters", "params"),
    ("multiply-adds", "macs"),
    ("elementwise operations", "elementwise"),
    ("activations kept for backward, bytes", "activation_bytes"),
    ("gradients exchanged in a training step, bytes", "gradient_bytes"),
)


def profile(
    nets: Annotated[
        list[str], typer.Argument(metavar="NET...", help="Zoo or timm names, checkpoints, or module:function.")
    ],
    model_option: ModelOptions = None,
    policy: Annotated[
        str | None, typer.Option(help="Beside each net, itself converted: standard, sparse_bottleneck, ...")
    ] = None,
    policy_option: PolicyOptions = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, metavar="PIXELS", help="Default: what each net's configuration says.")
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Show every layer.")] = False,
    json: JsonOption = None,
) -> None:
    """Show what nets cost for one image: parameters, multiply-adds, elementwise work, activations, gradient traffic.

    Example: [bold]groupnl profile resnet50 --policy sparse_bottleneck[/bold]
    """
    from groupnl.analysis import complexity
    from groupnl.models import convert_

    if policy_option and policy is None:
        raise ValueError("--policy-option without --policy")
    with Output(json).words() as output:
        rows: list[dict[str, Any]] = []
        costs: dict[str, Complexity] = {}
        for spec in nets:
            found = resolve_net(spec, parse_options(model_option))
            if found.module is None:
                raise ValueError(f"{spec} is a bundle: profile takes a name, a checkpoint or module:function")
            size = _size(found, image_size)
            costs[found.name] = complexity(found.module, size)
            rows.append({"name": found.name, "input_size": size, **costs[found.name].to_dict()})
            if policy is not None:
                report = convert_(found.module, policy, input_size=size, **parse_options(policy_option))
                output.say(f"{found.name}, {report}")
                name = f"{found.name}+{policy}"
                costs[name] = complexity(found.module, size)
                conversion = report.to_dict()
                rows.append({"name": name, "input_size": size, "conversion": conversion, **costs[name].to_dict()})
        output.say(_side_by_side(rows))
        if layers:
            for name, cost in costs.items():
                output.say(_layer_table(name, cost))
        output.finish({"nets": rows})


def _size(net: Net, image_size: int | None) -> tuple[int, int, int]:
    configured = net.preprocessing.input_size if net.preprocessing else None
    if configured is None:
        configured = (getattr(net.module, "pretrained_cfg", None) or {}).get("input_size")
    if image_size is not None:
        return (configured[0] if configured else 3), image_size, image_size
    if configured is None:
        raise ValueError(f"{net.name} does not say its input size: give --image-size, such as 32")
    channels, height, width = configured
    return channels, height, width


def _side_by_side(rows: list[dict[str, Any]]) -> Table:
    table = Table("for one image", *(f"{row['name']}\n{'x'.join(map(str, row['input_size']))}" for row in rows))
    for column in table.columns[1:]:
        column.justify = "right"
    for label, key in _FIGURES:
        first = rows[0][key]
        cells = [f"{first:,}"]
        for row in rows[1:]:
            change = f" ({(row[key] - first) / first:+.1%})" if first else ""
            cells.append(f"{row[key]:,}{change}")
        table.add_row(label, *cells)
    return table


def _layer_table(name: str, cost: "Complexity") -> Table:
    heads = ("layer", "type", "output", "parameters", "multiply-adds", "elementwise", "kept, bytes")
    table = Table(*heads, title=name, title_justify="left")
    for column in table.columns[3:]:
        column.justify = "right"
    for layer in cost.layers:
        shape = "x".join(map(str, layer.output_shape))
        figures = (layer.params, layer.macs, layer.elementwise, layer.activation_bytes)
        table.add_row(layer.name or "(the net itself)", layer.type, shape, *(f"{figure:,}" for figure in figures))
    return table
