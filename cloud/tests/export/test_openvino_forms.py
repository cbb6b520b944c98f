"""The form for OpenVINO, run as a device does."""

import subprocess
import sys

import pytest
from cloud.tests.export.sources import difference, shared

from groupnl.export import ExportError, openvino_forms
from groupnl_device.openvino_adapter import OpenVino
from groupnl_device.requirements import installed_version

needs = pytest.mark.skipif(installed_version("openvino") is None, reason="needs the package openvino")


@needs
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("groupnl_resnet8", 32),
        ("light", 32),
        pytest.param("groupnl_mobilenetv2_100", 64, marks=pytest.mark.long),
        pytest.param("groupnl_mobilenetv3_large_100", 64, marks=pytest.mark.long),
        pytest.param("ghost_resnet8", 32, marks=pytest.mark.long),
        pytest.param("mono_resnet8", 32, marks=pytest.mark.long),
    ],
)
def test_answers_as_the_net(name: str, side: int) -> None:
    net, held = shared(name, side)
    (form,) = openvino_forms.forms_of(held)
    assert difference(form, OpenVino(), net, side) < 1e-5
    if name == "light" or name.startswith("groupnl"):
        assert form.outcomes["openvino: polynomial-sine"].changed > 0
        assert b'type="Sin"' not in form.entries["openvino.xml"]


@needs
@pytest.mark.parametrize("normalize", ["rms", "none"])
def test_other_norms(normalize: str) -> None:
    net, held = shared("light", normalize=normalize)
    (form,) = openvino_forms.forms_of(held)
    assert difference(form, OpenVino(), net) < 1e-5


@needs
@pytest.mark.long
def test_the_same_net_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib; from cloud.tests.export.sources import small, source;"
        "from groupnl.export import openvino_forms; (f,) = openvino_forms.forms_of(source(small()));"
        "print(*[hashlib.sha256(f.entries[n]).hexdigest() for n in sorted(f.entries)])"
    )
    found = {subprocess.check_output([sys.executable, "-c", code]) for _ in range(2)}
    assert len(found) == 1


@needs
def test_the_same_net_gives_the_same_bytes_without_traces_of_this_machine() -> None:
    held = shared("light")[1]
    (form,), (again,) = openvino_forms.forms_of(held), openvino_forms.forms_of(held)
    assert form.entries == again.entries
    assert b"/tmp" not in form.entries["openvino.xml"]
    assert b"rt_info" not in form.entries["openvino.xml"]


def test_without_openvino(monkeypatch) -> None:
    def absent() -> None:
        raise ImportError("no openvino")

    monkeypatch.setattr(openvino_forms, "import_openvino", absent)
    with pytest.raises(ExportError, match="openvino is not installed; pip install"):
        openvino_forms.forms_of(shared()[1])
