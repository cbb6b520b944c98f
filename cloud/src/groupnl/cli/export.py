"""``groupnl export``: a trained net as a bundle for devices."""

import json as json_format
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groupnl.cli.datasets import DataDirOption, ImageSizeOption, ProtocolOption, load_split
from groupnl.cli.nets import ModelOptions, NetArgument, parse_options, resolve_net
from groupnl.cli.output import JsonOption, Output, ResultFailedError
from groupnl.cli.quantization_gate import gate_of, pictures_for_calibration

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
    runtimes: Annotated[
        list[str] | None,
        typer.Option("--for", metavar="RUNTIME", help="Make it fast there; repeat for several. Default: onnxruntime."),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            metavar="P",
            help="float32; float16: weights of half the bytes; or int8, with ranges from --data's training pictures.",
        ),
    ] = "float32",
    calibration_images: Annotated[int, typer.Option(metavar="N", help="For int8: how many training pictures.")] = 256,
    operators: Annotated[
        Path | None,
        typer.Option(
            "--required-operators",
            metavar="FILE.config",
            help="Write here which operators a minimal build of ONNX Runtime needs for this bundle.",
        ),
    ] = None,
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
    from groupnl.export.required_operators import required_operators
    from groupnl.export.targets import check_runtimes
    from groupnl_device.atomic import write_atomically
    from groupnl_device.bundle import Bundle

    with Output(json).words() as output:
        chosen = check_runtimes(runtimes or ["onnxruntime"])
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
        calibration, judge = None, None
        if precision == "int8":
            if test_set is None or data is None:
                raise ValueError(
                    "--precision int8 needs --data: its training pictures give the ranges, its test pictures the check"
                )
            train_set = load_split(data, "train", data_dir, protocol, found.preprocessing.input_size[1])
            calibration = pictures_for_calibration(train_set, calibration_images)
        if precision in ("int8", "float16") and test_set is not None:
            judge = gate_of(found.module, test_set, found.preprocessing, precision=precision)
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
                runtimes=chosen,
                precision=precision,
                calibration_images=calibration,
                judge=judge,
                explain=explain,
            )
        except DisagreementError as error:
            raise ResultFailedError(str(error)) from error
        agreement = report.agreement
        forms = ", ".join(artifact.label for artifact in report.manifest.artifacts)
        output.say(
            f"wrote {report.path}: {report.size_bytes:,} bytes, forms: {forms}; GroupNL layers whose pairs the device "
            f"rebuilds from seeds: {report.layers}\n"
            f"agrees with PyTorch on {agreement.same_top1} of {agreement.images} pictures, "
            f"logits differ by at most {agreement.max_relative_difference:.1e} of their scale"
        )
        if told := report.manifest.measured.get("quantization"):
            clean, corrupted = (
                f"{told[f'float32_accuracy_{what}']:.1%} and {told[f'{precision}_accuracy_{what}']:.1%}"
                for what in ("clean", "under_corruption")
            )
            output.say(f"accuracy in float32 and {precision}: clean {clean}, under corruption {corrupted}")
        if operators is not None:
            content = required_operators(Bundle.open(report.path)).encode()
            write_atomically(operators, lambda file: file.write(content))
            output.say(f"wrote {operators}: what a minimal build of ONNX Runtime needs")
        if explain:
            output.say(explanation(report))
        output.finish(
            {
                "bundle": str(report.path),
                "bundle_bytes": report.size_bytes,
                "entry_bytes": dict(report.entry_bytes),
                "forms": [artifact.label for artifact in report.manifest.artifacts],
                "agreement": agreement.to_dict(),
                "passes": {name: asdict(outcome) for name, outcome in report.passes.items()},
                **({"latency_ms": dict(report.latency_ms)} if report.latency_ms is not None else {}),
            }
        )


def explanation(report: "ExportReport") -> str:
    """What each rewrite did to the net and what it is worth, for people."""
    latency = report.latency_ms or {}
    lines = ["latency here, one picture, one thread:"] if latency else []
    lines += [
        f"  {artifact.label}: {latency[artifact.label]:.2f} ms"
        if artifact.label in latency
        else f"  {artifact.label}: does not run here, checked in standard operators"
        for artifact in report.manifest.artifacts
        if latency
    ]
    if "none" in latency:
        lines.append(f"  the graph as it was traced: {latency['none']:.2f} ms")
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
