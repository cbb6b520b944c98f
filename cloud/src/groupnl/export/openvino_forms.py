"""The form for OpenVINO: its own graph and weights, the sines as polynomials that its compiler fuses."""

import tempfile
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

from groupnl.export.errors import ExportError
from groupnl.export.forms import Form, Source
from groupnl.export.passes import PASSES
from groupnl.export.passes.polynomial_sine import replace_sines
from groupnl.export.static_graph import check_precision, static_graph
from groupnl_device.manifest import Artifact
from groupnl_device.openvino_adapter import import_openvino

GRAPH, WEIGHTS = "openvino.xml", "openvino.bin"
REWRITES = MappingProxyType(
    {
        "split-concat": PASSES["split-concat"],
        "sparse": PASSES["sparse"],
        "polynomial-sine": replace_sines,
    }
)
_LEAST = "2024.6"


def forms_of(source: Source) -> list[Form]:
    """One form, in float32. The same net gives the same bytes with the same OpenVINO.

    Raises:
        ExportError: OpenVINO is not installed, or does not manage this net.
    """
    check_precision(source)
    graph = static_graph(source, REWRITES)
    xml, weights = converted(graph.model.SerializeToString(deterministic=True))
    artifact = Artifact(
        runtime="openvino",
        form="plain",
        precision="float32",
        files={"graph": GRAPH, "weights": WEIGHTS},
        requires={"openvino": _LEAST},
        agreement={},
    )
    outcomes = {f"openvino: {name}": outcome for name, outcome in graph.outcomes.items()}
    return [Form(artifact=artifact, entries={GRAPH: xml, WEIGHTS: weights}, outcomes=outcomes)]


def converted(model: bytes) -> tuple[bytes, bytes]:
    """OpenVINO's graph and weights.

    Args:
        model: ONNX, its values inside.

    Raises:
        ExportError: OpenVINO is not installed, or does not manage this net.
    """
    try:
        openvino = import_openvino()
    except ImportError as error:
        raise ExportError('the package openvino is not installed; pip install "groupnl[openvino]"') from error
    with tempfile.TemporaryDirectory(prefix="groupnl-") as folder:
        graph, weights = Path(folder) / GRAPH, Path(folder) / WEIGHTS
        try:
            openvino.serialize(openvino.Core().read_model(model), str(graph), str(weights))
        except Exception as error:  # the converter's errors have no family
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ExportError(f"OpenVINO cannot take this net: {reason}") from error
        return _canonical(graph.read_bytes()), weights.read_bytes()


def _canonical(graph: bytes) -> bytes:
    """Without what differs from run to run (names that OpenVINO numbers, notes), and without indentation."""
    root = ElementTree.fromstring(graph)  # noqa: S314  # written by OpenVINO a moment ago
    for element in list(root.iter()):
        element.tail = None
        element.text = element.text if element.text and element.text.strip() else None
        for notes in element.findall("rt_info"):
            element.remove(notes)
        if element.tag == "port":
            element.attrib.pop("names", None)
        if element.tag == "layer":
            element.set("name", f"{element.get('type')}_{element.get('id')}")
    text: str = ElementTree.tostring(root, encoding="unicode")
    return b'<?xml version="1.0"?>\n' + text.encode() + b"\n"
