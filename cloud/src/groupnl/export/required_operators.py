"""Which operators a bundle needs of ONNX Runtime, in the format from which a smaller ONNX Runtime is built.

A line is ``domain;opset;Operator,Operator``. Source: onnxruntime.ai, "Reduced operator config file".
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from groupnl.export.errors import ExportError
from groupnl.export.passes.native import DOMAIN
from groupnl_device.bundle import Bundle
from groupnl_device.manifest import Artifact
from groupnl_device.onnxruntime_adapter import tensors_of

_BLOCKED = "NchwcTransformer"  # lays maps out in blocks, on x86-64 only
_DISABLED: tuple[tuple[str, ...], ...] = ((), (_BLOCKED,))


def required_operators(bundle: Bundle) -> str:
    """The content of a configuration file for ``build.py --include_ops_by_config``.

    It has the operators of all of the bundle's graphs for ONNX Runtime, as written, since the graphs are read so, and
    as ONNX Runtime rewrites them when it loads them, with the blocked layout of x86-64 and without. Operators of
    groupnl-device-native are left out: they come with a library of their own.

    Args:
        bundle: A verified bundle.

    Raises:
        ExportError: It has no graph for ONNX Runtime.
    """
    needed: dict[tuple[str, int], set[str]] = {}
    artifacts = [artifact for artifact in bundle.manifest.artifacts if artifact.runtime == "onnxruntime"]
    if not artifacts:
        raise ExportError("the bundle has no form for onnxruntime: there is nothing to list")
    for artifact in artifacts:
        for model in _models(bundle, artifact):
            versions = {opset.domain: opset.version for opset in model.opset_import}
            for node in _nodes(model.graph):
                if node.domain != DOMAIN:
                    key = node.domain or "ai.onnx", versions[node.domain]
                    needed.setdefault(key, set()).add(node.op_type)
    lines = [f"{domain};{version};{','.join(sorted(ops))}" for (domain, version), ops in sorted(needed.items())]
    return "\n".join([f"# {bundle.manifest.name}", *lines]) + "\n"


def _models(bundle: Bundle, artifact: Artifact) -> Iterator[onnx.ModelProto]:
    """A form's graph as written, and as ONNX Runtime rewrites it; native graphs only as written."""
    model = _filled(bundle, artifact)
    yield model
    if all(opset.domain != DOMAIN for opset in model.opset_import):
        yield from (_optimised(model, disabled) for disabled in _DISABLED)


def _filled(bundle: Bundle, artifact: Artifact) -> onnx.ModelProto:
    """The graph with its values inside."""
    model: onnx.ModelProto = onnx.ModelProto.FromString(bytes(bundle.read(artifact.files["graph"])))
    tensors = tensors_of(bundle, artifact)
    for initializer in model.graph.initializer:
        if initializer.data_location == onnx.TensorProto.EXTERNAL:
            initializer.CopyFrom(onnx.numpy_helper.from_array(tensors[initializer.name], initializer.name))
    return model


def _optimised(model: onnx.ModelProto, disabled: tuple[str, ...]) -> onnx.ModelProto:
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="groupnl-") as folder:
        path = Path(folder) / "optimised.onnx"
        options: Any = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 3  # it warns that such a file is for this machine alone, which is why it is two
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled)
        )
        written: onnx.ModelProto = onnx.load(path)
        return written


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)
