"""Latency in the runtimes besides ONNX Runtime: the forms of ``benchmarks.runtimes`` beside each runtime's vanilla net.

    python -m benchmarks.other_runtimes --json results/other-runtimes.json
    python -m benchmarks.other_runtimes --quick --json -

Each runtime is measured in a process of its own, since the waiting threads of one disturb the others; in it the forms
of a net take turns. ``published`` is the published arithmetic, handed to the runtime's own converter as it is (to pnnx
as TorchScript, the input that it knows best); the other forms are what ``groupnl export --for RUNTIME`` writes, loaded
as a device loads them. ``pytorch`` is eager, ``pytorch-compiled`` is ``torch.compile``; both with batch norms folded.
Runtimes whose package is absent are named in ``absent``.
"""

import argparse
import copy
import io
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from benchmarks.experiment import header, write_result
from benchmarks.runtimes import (
    BUDGET,
    CASES,
    FLOAT,
    QUICK,
    QUICK_BUDGET,
    THREADS,
    Case,
    Images,
    Load,
    Run,
    bundle_of,
    load_artifact,
    nets_of,
    preprocessing_of,
    rows_of,
    table,
)
from groupnl.export import executorch_forms, ncnn_forms, openvino_forms
from groupnl.export.bundle_writer import assemble
from groupnl.export.forms import Source
from groupnl.export.static_graph import static_graph
from groupnl.nn import fuse_for_inference_
from groupnl_device.bundle import Bundle
from groupnl_device.pytorch_adapter import compiled_net
from groupnl_device.requirements import installed_version

PACKAGES: Mapping[str, tuple[str, ...]] = {  # by runtime, what must be installed
    "openvino": ("openvino",),
    "ncnn": ("ncnn", "pnnx"),
    "executorch": ("executorch",),
    "pytorch": ("torch",),
    "pytorch-compiled": ("torch",),
}
_COMPILED = "pytorch-compiled"


def _published_openvino(source: Source) -> dict[str, bytes]:
    graph, weights = openvino_forms.converted(static_graph(source, {}).model.SerializeToString())
    return {openvino_forms.GRAPH: graph, openvino_forms.WEIGHTS: weights}


def _published_ncnn(source: Source) -> dict[str, bytes]:
    shape = [1, *source.preprocessing.input_size]
    scripted = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is old, and pnnx's own language
        traced: Any = torch.jit.trace(source.reference, torch.zeros(shape))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, scripted)
    graph, weights = ncnn_forms.converted("net.pt", scripted.getvalue(), shape)
    return {ncnn_forms.GRAPH: graph, ncnn_forms.WEIGHTS: weights}


def _published_executorch(source: Source) -> dict[str, bytes]:
    program, _ = executorch_forms.lowered(source.reference, source.example)
    return {executorch_forms.PROGRAM: program}


_PUBLISHED: Mapping[str, Callable[[Source], dict[str, bytes]]] = {
    "openvino": _published_openvino,
    "ncnn": _published_ncnn,
    "executorch": _published_executorch,
}


def loaders_of(runtime: str, case: Case) -> dict[str, Load]:
    """The case's forms in a runtime, each ready to be loaded with a number of threads.

    Args:
        runtime: One of ``PACKAGES``.
        case: The net.
    """
    nets = nets_of(case)
    name, wanted = ("pytorch", "compiled" if runtime == _COMPILED else "eager")
    if not runtime.startswith("pytorch"):
        name, wanted = runtime, "plain"
    loaders: dict[str, Load] = {}
    with TemporaryDirectory() as folder:
        for form, net in nets.items():
            if form == "published":
                continue
            bundle = bundle_of(net, case.side, Path(folder), runtimes=(name,))
            artifact = next(a for a in bundle.manifest.artifacts if a.form == wanted)
            loaders[form] = partial(load_artifact, bundle, artifact)
    if name == "pytorch":
        loaders["published"] = partial(load_module, nets["published"], compiled=runtime == _COMPILED)
    else:
        source = Source.of(nets["published"], torch.zeros(1, 3, case.side, case.side), preprocessing_of(case.side))
        published = replace(bundle.manifest, layers=(), artifacts=(artifact,), self_test=None)
        published_bundle = Bundle.from_bytes(assemble(published, _PUBLISHED[runtime](source)))
        loaders["published"] = partial(load_artifact, published_bundle, artifact)
    return {form: loaders[form] for form in FLOAT if form in loaders}


def load_module(net: nn.Module, threads: int, *, compiled: bool) -> Run:
    """A net in PyTorch, its batch norms folded where they can be."""
    held = copy.deepcopy(net)
    fuse_for_inference_(held)
    torch.set_num_threads(threads)
    called: Any = compiled_net(held) if compiled else held

    def run(images: Images) -> Images:
        with torch.inference_mode():
            logits: Images = called(torch.from_numpy(images)).numpy()
        return logits

    return run


def measure(runtime: str, names: Sequence[str], threads: Sequence[int], budget: float) -> list[dict[str, Any]]:
    """One runtime, in this process."""
    rows = []
    for case in CASES:
        if case.name in names:
            loaders = loaders_of(runtime, case)
            for number in threads:
                rows += [{**row, "runtime": runtime} for row in rows_of(case, loaders, number, budget)]
            print(f"{runtime}: {case.name} measured", file=sys.stderr)
    return rows


def measure_apart(runtime: str, names: Sequence[str], quick: bool) -> list[dict[str, Any]]:
    """One runtime, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.other_runtimes", "--only", runtime, "--nets", *names]
    ended = subprocess.run(
        [*command, *(["--quick"] if quick else []), "--json", "-", "--here"], check=True, stdout=subprocess.PIPE
    )
    rows: list[dict[str, Any]] = json.loads(ended.stdout[ended.stdout.index(b"{") :])["rows"]
    return rows


def is_installed(runtime: str) -> bool:
    """Whether everything that exports for a runtime and runs it is here."""
    return all(installed_version(package) is not None for package in PACKAGES[runtime])


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures here; - is the standard output")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)}; fewer runs")
    parser.add_argument("--nets", nargs="+", choices=[case.name for case in CASES], help="default: all")
    parser.add_argument("--only", nargs="+", choices=tuple(PACKAGES), default=tuple(PACKAGES), metavar="RUNTIME")
    parser.add_argument("--here", action="store_true", help="in this process")
    options = parser.parse_args()
    names = options.nets or (QUICK if options.quick else [case.name for case in CASES])
    present = [runtime for runtime in options.only if is_installed(runtime)]
    rows = []
    for runtime in present:
        if options.here:
            rows += measure(runtime, names, THREADS, QUICK_BUDGET if options.quick else BUDGET)
        else:
            rows += measure_apart(runtime, names, options.quick)
    versions = {package: installed_version(package) for runtime in present for package in PACKAGES[runtime]}
    absent = [runtime for runtime in options.only if runtime not in present]
    command = "python -m " + " ".join(["benchmarks.other_runtimes", *sys.argv[1:]])
    result = {**header(command, quick=options.quick, runtimes=versions, absent=absent), "rows": rows}
    write_result(options.json, result, table(rows))


if __name__ == "__main__":
    main()
