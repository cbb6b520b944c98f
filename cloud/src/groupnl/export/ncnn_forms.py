"""The form for ncnn: its own graph and weights, converted by pnnx."""

import subprocess
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from groupnl.export.errors import ExportError
from groupnl.export.forms import Form, Source
from groupnl.export.passes import PASSES
from groupnl.export.passes.chosen_channels import select_by_convolution
from groupnl.export.passes.known_pairs import fold_known_pairs
from groupnl.export.passes.runtime_norms import spell_out_norms
from groupnl.export.static_graph import check_precision, static_graph
from groupnl_device.manifest import Artifact

GRAPH, WEIGHTS = "ncnn.param", "ncnn.bin"
REWRITES = MappingProxyType(
    {
        "known-pairs": fold_known_pairs,
        "sparse": PASSES["sparse"],
        "chosen-channels": select_by_convolution,
        "norm-layer": spell_out_norms,
    }
)
_LEAST = "1.0.20240102"
_SECONDS = 600  # a net of 40 million weights takes 10


def forms_of(source: Source) -> list[Form]:
    """One form, in float32. The same net gives the same bytes with the same pnnx.

    Raises:
        ExportError: pnnx is not installed, or does not manage this net.
    """
    check_precision(source)
    graph = static_graph(source, REWRITES)
    shape = [dim.dim_value for dim in graph.model.graph.input[0].type.tensor_type.shape.dim]
    param, weights = converted("net.onnx", graph.model.SerializeToString(deterministic=True), shape)
    artifact = Artifact(
        runtime="ncnn",
        form="plain",
        precision="float32",
        files={"graph": GRAPH, "weights": WEIGHTS},
        requires={"ncnn": _LEAST},
        agreement={},
    )
    outcomes = {f"ncnn: {name}": outcome for name, outcome in graph.outcomes.items()}
    return [Form(artifact=artifact, entries={GRAPH: param, WEIGHTS: weights}, outcomes=outcomes)]


def converted(name: str, net: bytes, shape: Sequence[int]) -> tuple[bytes, bytes]:
    """The graph and the weights as pnnx writes them.

    Args:
        name: Of the file that pnnx is given; its ending says what it is: .onnx, or .pt for TorchScript.
        net: The file's content.
        shape: Of the input: (1, 3, H, W).

    Raises:
        ExportError: pnnx is not installed, or does not manage this net.
    """
    try:
        executable: str = import_module("pnnx").EXEC_PATH
    except ImportError as error:
        raise ExportError('the package pnnx is not installed; pip install "groupnl[ncnn]"') from error
    with tempfile.TemporaryDirectory(prefix="groupnl-") as place:
        folder = Path(place)
        (folder / name).write_bytes(net)
        kinds = ("pnnxparam", "pnnxbin", "pnnxpy", "pnnxonnx", "ncnnparam", "ncnnbin", "ncnnpy")
        files = {kind: folder / f"{kind}.out" for kind in kinds}
        options = [f"inputshape=[{','.join(map(str, shape))}]", "fp16=0", *(f"{k}={path}" for k, path in files.items())]
        try:
            ended = subprocess.run(
                [executable, name, *options], cwd=folder, capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ExportError(f"pnnx cannot convert this net: {error}") from error
        if ended.returncode != 0 or not files["ncnnparam"].is_file() or not files["ncnnbin"].is_file():
            said = ended.stderr.decode(errors="replace").strip().splitlines()
            raise ExportError(f"pnnx cannot convert this net: {said[-1] if said else f'exit {ended.returncode}'}")
        param = files["ncnnparam"].read_bytes()
        weights = files["ncnnbin"].read_bytes()
    _check_layers(param)
    return param, weights


def _check_layers(param: bytes) -> None:
    """Refuse a graph with operators that pnnx passed on by their own names because ncnn has none for them.

    Raises:
        ExportError: Which.
    """
    kinds = {line.split()[0] for line in param.decode().splitlines()[2:] if line.strip()}
    if foreign := sorted(kind for kind in kinds if not kind.isalnum()):
        raise ExportError(f"ncnn has no layer for {', '.join(foreign)}")
