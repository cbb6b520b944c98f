"""The list of operators, against the tool that ONNX Runtime ships for nets in its own format."""

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from cloud.tests.export.sources import SIDE, bundle, images, preprocessing, shared, small
from onnxruntime.tools.reduced_build_config_parser import parse_config

from groupnl.export import ExportError, export_bundle
from groupnl.export.pytorch_forms import forms_of
from groupnl.export.required_operators import required_operators
from groupnl.export.static_graph import static_graph
from groupnl_device.bundle import Bundle
from groupnl_device.constants import rebuild
from groupnl_device.cuts import add_cuts
from groupnl_device.tensors import read_tensors


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Bundle:
    path = tmp_path_factory.mktemp("bundle") / "net.gnl"
    names = [str(number) for number in range(10)]
    export_bundle(small(), path, example_input=images(1), preprocessing=preprocessing(), class_names=names)
    return Bundle.open(path)


def parsed(path: Path) -> dict[str, set[str]]:
    """Operators by domain, as ONNX Runtime's own build reads them."""
    operators, _ = parse_config(str(path))
    return {domain: set().union(*versions.values()) for domain, versions in operators.items()}


def test_it_holds_what_the_runtimes_own_tool_lists(written: Bundle, tmp_path: Path) -> None:
    config = tmp_path / "ours.config"
    config.write_text(required_operators(written))
    plain = next(a for a in written.manifest.artifacts if a.form == "plain")
    model = onnx.ModelProto.FromString(bytes(written.read(plain.files["graph"])))
    weights = read_tensors(written, plain.files["weights"])
    held = add_cuts(weights | rebuild(written.manifest.layers, weights), plain.cuts)
    for initializer in model.graph.initializer:
        if initializer.data_location == onnx.TensorProto.EXTERNAL:
            initializer.CopyFrom(onnx.numpy_helper.from_array(held[initializer.name], initializer.name))
    onnx.save(model, tmp_path / "net.onnx")
    tool = [sys.executable, "-m", "onnxruntime.tools.convert_onnx_models_to_ort", str(tmp_path / "net.onnx")]
    subprocess.run(tool, check=True, capture_output=True)
    (theirs,) = tmp_path.glob("net.required_operators.config")
    ours = parsed(config)
    for domain, operators in parsed(theirs).items():
        assert operators <= ours[domain], domain
    assert "com.microsoft.nchwc" in ours


def test_weights_in_float16_need_the_same(written: Bundle, tmp_path: Path) -> None:
    path, names = tmp_path / "half.gnl", [str(number) for number in range(10)]
    options = {"example_input": images(1), "preprocessing": preprocessing(), "class_names": names}
    export_bundle(small(), path, precision="float16", **options)
    assert required_operators(Bundle.open(path)) == required_operators(written)


def test_the_format(written: Bundle) -> None:
    name, *lines = required_operators(written).splitlines()
    assert name == "# groupnl_resnet8"
    assert len({line.rsplit(";", 1)[0] for line in lines}) == len(lines)
    for line in lines:
        domain, version, operators = line.split(";")
        assert domain
        assert version.isdecimal()
        assert operators.split(",") == sorted(set(operators.split(",")))
    assert not [line for line in lines if line.startswith("groupnl")]


def test_operators_as_written_are_there_too(written: Bundle) -> None:
    kinds = {node.op_type for node in static_graph(shared()[1], {}).model.graph.node}
    standard = next(line for line in required_operators(written).splitlines() if line.startswith("ai.onnx;"))
    assert {"Sin", "Conv", "Concat"} <= kinds & set(standard.split(";")[2].split(","))


def test_a_bundle_for_other_runtimes() -> None:
    form, _ = forms_of(shared()[1])
    with pytest.raises(ExportError, match="no form for onnxruntime"):
        required_operators(bundle(form, SIDE))
