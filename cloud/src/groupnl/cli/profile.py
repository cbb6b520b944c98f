"""``groupnl profile``: what nets cost, side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from torch import nn

from groupnl.cli.nets import ModelOptions, Net, PolicyOptions, parse_options, resolve_net
from groupnl.cli.output import JsonOption, Output

_FIGURES = (  # key, in the table, in the chart
    ("params", "trainable parameters", "trainable parameters"),
    ("macs", "multiply-adds", "multiply-adds"),
    ("elementwise", "elementwise operations", "elementwise operations"),
    ("transcendentals", "  of them sin, exp, tanh, ...", "calls of sin, exp, tanh, ..."),
    ("activation_bytes", "activations kept for backward, bytes", "activations kept for backward"),
    ("gradient_bytes", "gradients exchanged in a training step, bytes", "gradients of a training step"),
)
_FILES = (  # likewise; those without a title are not in the chart
    ("state_dict_bytes", "state dict as safetensors, bytes", "state dict as safetensors"),
    ("bundle_bytes", "bundle, bytes", "bundle"),
    ("published_bytes", "  as published", ""),
    ("float16_bundle_bytes", "bundle in float16, bytes", "bundle in float16"),
    ("float16_published_bytes", "  as published", ""),
    ("int8_bundle_bytes", "bundle in int8, bytes", "bundle in int8"),
    ("int8_published_bytes", "  as published", ""),
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
    bundle: Annotated[
        bool,
        typer.Option(
            "--bundle", help="Export each net in each precision and show the files' sizes; a minute or so a net."
        ),
    ] = False,
    backend: Annotated[
        bool, typer.Option("--backend", help="Show how GroupNL layers run here; GROUPNL_BACKEND forces a way.")
    ] = False,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the figures as bars, beside the first net's.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Show what nets cost for one image: parameters, multiply-adds, elementwise work, activations, gradient traffic.

    Example: [bold]groupnl profile resnet50 --policy sparse_bottleneck[/bold]
    """
    from groupnl.models import convert_

    if policy_option and policy is None:
        raise ValueError("--policy-option without --policy")
    _check_chart(chart)
    with Output(json).words() as output:
        rows: list[dict[str, Any]] = []
        for spec in nets:
            found = resolve_net(spec, parse_options(model_option))
            if found.module is None:
                raise ValueError(f"{spec} is a bundle: profile takes a name, a checkpoint or module:function")
            size = _size(found, image_size)
            rows.append({"name": found.name, "input_size": size, **_figures(found, found.module, size, bundle)})
            if policy is not None:
                report = convert_(found.module, policy, input_size=size, **parse_options(policy_option))
                output.say(f"{found.name}, {report}")
                after = {"name": f"{found.name}+{policy}", "input_size": size, "conversion": report.to_dict()}
                rows.append({**after, **_figures(found, found.module, size, bundle)})
        figures = _FIGURES + _FILES if bundle else _FIGURES
        output.say(_side_by_side(rows, figures))
        for row in rows:
            for reason in _why_no_bundle(row):
                output.say(reason)
            if layers:
                output.say(_layer_table(row))
        if backend:
            found_backends = _backends()
            output.say(_backends_in_words(found_backends))
        if chart is not None:
            from groupnl.report import draw_costs
            from groupnl_device.atomic import write_atomically

            picture = draw_costs(rows, {key: title for key, _, title in figures if title})
            write_atomically(chart, lambda file: file.write(picture))
            output.say(f"wrote {chart}")
        output.finish({"nets": rows, **({"backend": found_backends} if backend else {})})


def _figures(net: Net, module: nn.Module, size: tuple[int, int, int], bundle: bool) -> dict[str, Any]:
    from groupnl.analysis import complexity

    figures = complexity(module, size).to_dict()
    if bundle:
        from groupnl.cli.bundle_size import bundle_sizes, state_dict_bytes

        figures["state_dict_bytes"] = state_dict_bytes(module)
        for precision, found in bundle_sizes(module, size, net.preprocessing).items():
            prefix = "" if precision == "float32" else f"{precision}_"
            figures[f"{prefix}bundle_bytes"] = found.exported_bytes
            figures[f"{prefix}published_bytes"] = found.published_bytes
            if found.reason:
                figures[f"{prefix}bundle_error"] = found.reason
    return figures


def _why_no_bundle(row: Mapping[str, Any]) -> list[str]:
    """A sentence for each precision that cannot be had; where float32 cannot, the others cannot either."""
    name = row["name"]
    if "bundle_error" in row:
        return [f"{name} has no bundle: {row['bundle_error']}"]
    keys = {precision: f"{precision}_bundle_error" for precision in ("float16", "int8")}
    return [f"{name} has no bundle in {precision}: {row[key]}" for precision, key in keys.items() if key in row]


def _backends() -> dict[str, str | None]:
    """What is asked for, and what an eager float32 layer takes on each kind of device, or why not."""
    import torch

    from groupnl.nn import chosen_backend, get_backend, why_no_triton

    def on(device: str) -> str:
        return chosen_backend(torch.device(device), torch.float32, "sine")

    cuda = on("cuda") if torch.cuda.is_available() else None
    return {"asked_for": get_backend(), "cpu": on("cpu"), "cuda": cuda, "why_no_triton": why_no_triton()}


def _backends_in_words(found: dict[str, str | None]) -> str:
    gpu = f", {found['cuda']} on the GPU" if found["cuda"] else ""
    kernels = f" No Triton kernels: {found['why_no_triton']}." if found["why_no_triton"] else ""
    return (
        f"GroupNL layers run here by: {found['cpu']} on the CPU{gpu} (asked for: {found['asked_for']}); "
        f"composite under torch.compile and export.{kernels}"
    )


def _check_chart(chart: Path | None) -> None:
    """Before the work, not after it."""
    if chart is not None and chart.suffix != ".png":
        raise ValueError(f"--chart {chart}: expected a file name that ends in .png")
    if chart is not None and not chart.parent.is_dir():
        raise ValueError(f"--chart {chart}: the folder {chart.parent} does not exist; create it first")


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


def _side_by_side(rows: Sequence[dict[str, Any]], figures: Sequence[tuple[str, str, str]]) -> Table:
    table = Table("for one image", *(f"{row['name']}\n{'x'.join(map(str, row['input_size']))}" for row in rows))
    for column in table.columns[1:]:
        column.justify = "right"
        column.overflow = "fold"
    for key, label, _ in figures:
        first = rows[0][key]
        cells = ["-" if first is None else f"{first:,}"]
        for row in rows[1:]:
            change = f" ({(row[key] - first) / first:+.1%})" if first and row[key] is not None else ""
            cells.append("-" if row[key] is None else f"{row[key]:,}{change}")
        table.add_row(label, *cells)
    return table


def _layer_table(row: dict[str, Any]) -> Table:
    heads = ("layer", "type", "output", "parameters", "multiply-adds", "elementwise", "sin, exp, ...", "kept, bytes")
    keys = ("params", "macs", "elementwise", "transcendentals", "activation_bytes")
    table = Table(*heads, title=row["name"], title_justify="left")
    for column in table.columns[3:]:
        column.justify = "right"
    for layer in row["layers"]:
        shape = "x".join(map(str, layer["output_shape"]))
        table.add_row(layer["name"] or "(the net itself)", layer["type"], shape, *(f"{layer[key]:,}" for key in keys))
    return table
