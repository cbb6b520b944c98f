"""``groupnl export``: a trained net as a bundle for devices."""

import json as json_format
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groupnl.cli.datasets import DataDirOption, ImageSizeOption, ProtocolOption, load_split
from groupnl.cli.nets import ModelOptions, NetArgument, parse_options, resolve_net
from groupnl.cli.output import JsonOption, Output, ResultFailedError

if TYPE_CHECKING:
    from groupnl.evaluation import Evaluation
    from groupnl.export import ExportReport


def export(
    net: NetArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.gnl", help="The bundle.")],
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="Check the bundle on this data's test pictures; default: noise.")
    ] = None,
    data_dir: DataDirOption = None,
    protocol: ProtocolOption = "random",
    image_size: ImageSizeOption = None,
    measured: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="What groupnl evaluate wrote: goes into the manifest.")
    ] = None,
    runtime: Annotated[
        str, typer.Option("--for", metavar="RUNTIME", help="Make it fast there; now: onnxruntime.")
    ] = "onnxruntime",
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what was rewritten, and what each rewrite is worth here.")
    ] = False,
    model_option: ModelOptions = None,
    json: JsonOption = None,
) -> None:
    """Write a net as a bundle, checked against PyTorch before it is written.

    Example: [bold]groupnl export runs/icons/model.safetensors --data openicons --out icons.gnl[/bold]
    """
    import torch

    from groupnl.evaluation import Evaluation
    from groupnl.export import DisagreementError, export_bundle
    from groupnl.export.passes import passes_for

    with Output(json).words() as output:
        passes = passes_for(runtime)
        found = resolve_net(net, parse_options(model_option))
        if found.module is None:
            raise ValueError(f"{net} is a bundle already")
        if found.preprocessing is None:
            raise ValueError(f"{net} does not say how pictures become its input: export a checkpoint that train wrote")
        test_set = None
        if data is not None:
            size = image_size or found.preprocessing.input_size[1]
            test_set = load_split(data, "test", data_dir, protocol, size)
        names = found.class_names or (test_set.class_names if test_set else ())
        if not names:
            raise ValueError(f"{net} does not name its classes: give --data, whose classes it then has")
        figures = None
        if measured is not None:
            result = Evaluation.from_dict(json_format.loads(measured.read_text(encoding="utf-8")))
            figures = measured_figures(result)
        try:
            report = export_bundle(
                found.module,
                out,
                example_input=torch.zeros(1, *found.preprocessing.input_size),
                preprocessing=found.preprocessing,
                class_names=names,
                name=found.name,
                test_images=test_set.images if test_set else None,
                measured=figures,
                passes=passes,
                explain=explain,
            )
        except DisagreementError as error:
            raise ResultFailedError(str(error)) from error
        agreement = report.agreement
        output.say(
            f"wrote {report.path}: {report.size_bytes:,} bytes; GroupNL layers whose pairs the device rebuilds from "
            f"seeds: {report.layers}\nagrees with PyTorch on {agreement.same_top1} of {agreement.images} pictures, "
            f"logits differ by at most {agreement.max_relative_difference:.1e} of their scale"
        )
        if explain:
            output.say(explanation(report))
        output.finish(
            {
                "bundle": str(report.path),
                "bundle_bytes": report.size_bytes,
                "entry_bytes": dict(report.entry_bytes),
                "agreement": agreement.to_dict(),
                "passes": {name: asdict(outcome) for name, outcome in report.passes.items()},
                **({"latency_ms": dict(report.latency_ms)} if report.latency_ms is not None else {}),
            }
        )


def explanation(report: "ExportReport") -> str:
    """What each pass did to the net and what it is worth, for people."""
    latency = report.latency_ms or {}
    lines = (
        [f"latency here, one thread: {latency['all']:.2f} ms; the graph as it was traced: {latency['none']:.2f} ms"]
        if latency
        else []
    )
    for name, outcome in report.passes.items():
        worth = f"; without it {latency[name]:.2f} ms" if name in latency else ""
        lines.append(f"  {name}: {outcome.changed} rewritten{worth}")
        lines += [f"    {note}" for note in outcome.notes]
    return "\n".join(lines)


def measured_figures(result: "Evaluation") -> dict[str, Any]:
    """What of an evaluation a manifest shows."""
    figures: dict[str, Any] = {"data": result.data, "images": result.images, "clean_accuracy": result.clean_accuracy}
    if result.mean_error is not None:
        figures["mean_error"] = result.mean_error
        figures["corruption_errors"] = {name: found["error"] for name, found in result.corruptions.items()}
    return figures
