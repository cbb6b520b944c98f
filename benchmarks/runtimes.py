"""Latency of whole nets in the runtimes of devices, every form beside the vanilla net.

    python -m benchmarks.runtimes --json results/runtimes.json
    python -m benchmarks.runtimes --quick --json -                    # three small nets, fewer runs
    python -m benchmarks.runtimes --only onnxruntime --json -         # without the others, see other_runtimes.py

Forms: ``vanilla``, the net as its makers wrote it; ``ghost``; ``published``, GroupNL by the published arithmetic (see
``benchmarks/published_layer.py``), exported plainly: the peer; ``pure``, the same net, same weights, as
``groupnl export`` writes it, in standard operators alone; ``native``, the same with the operators of
``groupnl-device-native``, where they are installed; ``lean`` and ``lean_native``, light nets that expand to half the
width and generate the rest (policy ``lean``); ``vanilla_int8``; ``pure_int8``, GroupNL in 8 bits in standard
operators; ``groupnl_int8``, the same with native ones. One picture at a time. The forms of a net take turns, with one
untimed run after each change and no threads that spin between runs: several sessions in one process disturb one another
otherwise.
Weights, statistics and pictures are random; that forms of one net answer alike is checked.
"""

import argparse
import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.experiment import header, write_result
from benchmarks.published_layer import PublishedLayer
from benchmarks.quantized_nets import int8_bundles
from groupnl.export import export_bundle
from groupnl.export.graph import Graph, export_graph
from groupnl.export.latency import interleaved_ms
from groupnl.export.passes import passes_for
from groupnl.export.plain_form import frozen_copy, plain_form
from groupnl.models import convert_, create_model
from groupnl.nn import GroupNLConv2d
from groupnl_device.bundle import Bundle
from groupnl_device.manifest import Artifact
from groupnl_device.preprocessing import Preprocessing
from groupnl_device.runtime import Session, obstacle_to

CLASSES = 1000
THREADS = (1, 2)
BUDGET, QUICK_BUDGET = 3.0, 0.5  # s of runs for each form and number of threads
FLOAT = ("vanilla", "ghost", "published", "pure", "native", "lean", "lean_native")
INT8 = ("vanilla_int8", "pure_int8", "groupnl_int8")
FORMS = (*FLOAT, *INT8)
SAME = {"pure", "native"}  # forms of the same net with the same weights as published
TOLERANCE = 1e-4  # between these, of the largest answer
CALIBRATION = 8  # random pictures: latency does not depend on the ranges
RUNTIME = "onnxruntime"

Images = NDArray[np.float32]
Run = Callable[[Images], Images]  # (N, 3, H, W) to logits (N, K)
Load = Callable[[int], Run]  # from a number of threads


@dataclass(frozen=True, kw_only=True)
class Case:
    """One base net.

    Attributes:
        base: timm name.
        side: Height and width of pictures.
        light: Whether its forms are those of light nets (``lean``) or those of ResNets (``ghost``).
        targets: By form, the largest ratio to vanilla that we want with one thread.
    """

    base: str
    side: int
    targets: Mapping[str, float]
    light: bool = False

    @property
    def name(self) -> str:
        """As rows have it."""
        return f"{self.base}@32" if self.side == 32 else self.base


_LIGHT = {"native": 1.02, "pure": 1.6, "lean": 0.82, "groupnl_int8": 1.1}
CASES = (
    Case(base="resnet8", side=32, targets={"groupnl_int8": 1.1}),
    Case(base="resnet18", side=32, targets={"native": 0.62, "groupnl_int8": 1.1}),
    Case(base="resnet18", side=224, targets={"native": 0.62, "groupnl_int8": 1.1}),
    Case(base="resnet50", side=224, targets={"native": 0.65, "groupnl_int8": 0.8}),
    Case(base="resnet101", side=224, targets={"native": 0.58, "groupnl_int8": 1.1}),
    Case(base="mobilenetv2_100", side=224, targets=_LIGHT, light=True),
    Case(base="mobilenetv3_large_100", side=224, targets=_LIGHT, light=True),
    Case(base="efficientnet_lite0", side=224, targets=_LIGHT, light=True),
)
QUICK = ("resnet8@32", "resnet18@32", "mobilenetv2_100")


def nets_of(case: Case) -> dict[str, nn.Module]:
    """The case's nets by form, in evaluation."""
    options: dict[str, Any] = {"num_classes": CLASSES}
    if case.side == 32 and case.base != "resnet8":
        options["cifar_stem"] = True

    def made(name: str) -> nn.Module:
        torch.manual_seed(0)
        return create_model(name, **options)

    groupnl = with_statistics(made(f"groupnl_{case.base}"))
    nets = {"vanilla": with_statistics(made(case.base)), "published": published(groupnl), "pure": groupnl}
    if case.light:
        nets["lean"] = made(case.base)
        convert_(nets["lean"], "lean", input_size=(3, case.side, case.side))
        with_statistics(nets["lean"])
    else:
        nets["ghost"] = with_statistics(made(f"ghost_{case.base}"))
    return {form: nets[form] for form in FORMS if form in nets}


def with_statistics(net: nn.Module) -> nn.Module:
    """Give batch norms the statistics and weights of a trained net, roughly, so that none is the identity."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in net.modules():
            if (
                isinstance(module, nn.BatchNorm2d)
                and module.running_mean is not None
                and module.running_var is not None
            ):
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
    return net.eval()


def published(net: nn.Module) -> nn.Module:
    """A copy with the same weights whose GroupNL layers compute step by step, as published."""
    copied = copy.deepcopy(net)
    for name, module in list(copied.named_modules()):
        if isinstance(module, GroupNLConv2d):
            copied.set_submodule(name, PublishedLayer(module))
    return copied.eval()


def bundle_of(net: nn.Module, side: int, folder: Path, **options: Any) -> Bundle:
    """The net as ``groupnl export`` writes it: every form has agreed with PyTorch on random pictures."""
    path = folder / "net.gnl"
    preprocessing = preprocessing_of(side)
    names = [str(number) for number in range(CLASSES)]
    example = torch.zeros(1, 3, side, side)
    export_bundle(net, path, example_input=example, preprocessing=preprocessing, class_names=names, **options)
    return Bundle.open(path)


def loaders_of(case: Case) -> dict[str, Load]:
    """The case's forms, each ready to be loaded with a number of threads; ``native`` where it is installed."""
    nets = nets_of(case)
    published_graph = export_graph(frozen_copy(nets["published"]), torch.zeros(1, 3, case.side, case.side), {})
    loaders: dict[str, Load] = {"published": partial(load_plainly, published_graph)}
    with TemporaryDirectory() as folder:
        for form, net in nets.items():
            if form == "published":
                continue
            bundle = bundle_of(net, case.side, Path(folder))
            for artifact in bundle.manifest.artifacts:
                native = "native" if form == "pure" else f"{form}_native"
                name = {"plain": form, "native": native}.get(artifact.form)
                if name in FORMS and obstacle_to(artifact) is None:
                    loaders[name] = partial(load_artifact, bundle, artifact)
    calibration = torch.randint(0, 256, (CALIBRATION, 3, case.side, case.side), dtype=torch.uint8)
    for form, names in (
        ("vanilla", {"plain": "vanilla_int8"}),
        ("pure", {"plain": "pure_int8", "native": "groupnl_int8"}),
    ):
        for kind, bundle in int8_bundles(nets[form], preprocessing_of(case.side), calibration).items():
            (artifact,) = bundle.manifest.artifacts
            if obstacle_to(artifact) is None:
                loaders[names[kind]] = partial(load_artifact, bundle, artifact)
    return {form: loaders[form] for form in FORMS if form in loaders}


def preprocessing_of(side: int) -> Preprocessing:
    """That of most nets of timm."""
    return Preprocessing(input_size=(3, side, side), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def bundle_graph(net: nn.Module, example: Tensor) -> Graph:
    """The graph that a bundle has as its plain form for ONNX Runtime."""
    plain = plain_form(net)
    return export_graph(plain.module, example, plain.constants, passes_for(RUNTIME))


def load_artifact(bundle: Bundle, artifact: Artifact, threads: int) -> Run:
    """A form as a device runs it."""
    return Session(bundle, threads, artifact).logits


def load_plainly(graph: Graph, threads: int) -> Run:
    """A graph as it stands, its threads asleep between runs as those of a device's session."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    held = graph.initializers()
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in held.values()]
    options.add_external_initializers(list(held), values)
    session = onnxruntime.InferenceSession(graph.onnx, options, providers=["CPUExecutionProvider"])

    def run(images: Images, _kept: list[Any] = values) -> Images:  # the runtime does not copy the values
        logits: Images = session.run(None, {"input": images})[0]
        return logits

    return run


def rows_of(case: Case, loaders: Mapping[str, Load], threads: int, budget: float) -> list[dict[str, Any]]:
    """Measure a case's forms in turns.

    Raises:
        ValueError: Forms of the same net answer otherwise.
    """
    images = np.random.default_rng(0).normal(size=(1, 3, case.side, case.side)).astype(np.float32)
    calls = {form: load(threads) for form, load in loaders.items()}
    expected = calls["published"](images)
    for form in SAME & set(calls):
        difference = float(np.abs(calls[form](images) - expected).max() / np.abs(expected).max())
        if not difference <= TOLERANCE:
            raise ValueError(f"{case.name}: published and {form} differ by {difference:.1e} of the largest answer")
    medians = interleaved_ms({form: partial(call, images) for form, call in calls.items()}, budget)
    return [
        {
            "net": case.name,
            "form": form,
            "runtime": RUNTIME,
            "threads": threads,
            "median_ms": median,
            "ratio_to_vanilla": median / medians["vanilla"],
        }
        for form, median in medians.items()
    ]


def measure(cases: Sequence[Case], threads: Sequence[int], budget: float) -> list[dict[str, Any]]:
    """Every case with every number of threads."""
    rows = []
    for case in cases:
        loaders = loaders_of(case)
        for number in threads:
            rows += rows_of(case, loaders, number, budget)
        print(f"{case.name} measured", file=sys.stderr)
    return rows


def against_targets(cases: Sequence[Case], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was wanted in ONNX Runtime with one thread, and what was found; of 8 bits, against vanilla in 8 bits."""
    found = {
        (row["net"], row["form"]): row["median_ms"] for row in rows if (row["threads"], row["runtime"]) == (1, RUNTIME)
    }
    results = []
    for case in cases:
        for form, target in case.targets.items():
            against = "vanilla_int8" if form in INT8 else "vanilla"
            if (case.name, form) in found:
                ratio = found[case.name, form] / found[case.name, against]
                results.append({"net": case.name, "form": form, "against": against, "target": target, "ratio": ratio})
    return results


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line for each net and number of threads: vanilla in ms, the other forms as ratios to it, in Markdown."""
    forms = [form for form in FORMS[1:] if any(row["form"] == form for row in rows)]
    lines = [
        f"| net | runtime | threads | vanilla, ms | {' | '.join(forms)} |",
        "|---|---|" + "---:|" * (2 + len(forms)),
    ]
    for key in dict.fromkeys((row["net"], row["runtime"], row["threads"]) for row in rows):
        found = {row["form"]: row for row in rows if (row["net"], row["runtime"], row["threads"]) == key}
        ratios = [f"{found[form]['ratio_to_vanilla']:.2f}" if form in found else "" for form in forms]
        lines.append(f"| {' | '.join(map(str, key))} | {found['vanilla']['median_ms']:.2f} | {' | '.join(ratios)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures here; - is the standard output")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)}; fewer runs")
    parser.add_argument("--nets", nargs="+", choices=[case.name for case in CASES], help="default: all")
    parser.add_argument(
        "--only", nargs="+", metavar="RUNTIME", help="default: all that are installed; with --quick PyTorch is left out"
    )
    options = parser.parse_args()
    from benchmarks import other_runtimes  # it measures other runtimes as this module measures ONNX Runtime

    present = [RUNTIME, *filter(other_runtimes.is_installed, other_runtimes.PACKAGES)]
    chosen = options.only or [
        r for r in present if not (options.quick and r.startswith("pytorch"))
    ]  # compiling is slow
    if unknown := set(chosen) - set(present):
        parser.error(f"--only {min(unknown)}: expected some of {', '.join(present)}, which are installed")
    names = options.nets or (QUICK if options.quick else [case.name for case in CASES])
    cases = [case for case in CASES if case.name in names]
    rows = measure(cases, THREADS, QUICK_BUDGET if options.quick else BUDGET) if RUNTIME in chosen else []
    for runtime in chosen:
        if runtime != RUNTIME:
            rows += other_runtimes.measure_apart(runtime, names, options.quick)
    facts = {"quick": options.quick, "onnxruntime": onnxruntime.__version__}
    command = "python -m " + " ".join(["benchmarks.runtimes", *sys.argv[1:]])
    result = {**header(command, **facts), "rows": rows, "targets": against_targets(cases, rows)}
    write_result(options.json, result, table(rows))


if __name__ == "__main__":
    main()
