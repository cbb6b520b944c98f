"""The form for ncnn, run as a device does."""

import sys

import pytest
from cloud.tests.export.sources import difference, shared, small, source

from groupnl.export import ExportError, ncnn_forms
from groupnl_device.ncnn_adapter import Ncnn
from groupnl_device.requirements import installed_version

needs = pytest.mark.skipif(
    installed_version("ncnn") is None or installed_version("pnnx") is None, reason="needs the packages ncnn and pnnx"
)


@needs
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("groupnl_resnet8", 32),
        ("light", 32),
        pytest.param("groupnl_mobilenetv2_100", 64, marks=pytest.mark.long),
        pytest.param("groupnl_mobilenetv3_large_100", 64, marks=pytest.mark.long),
        pytest.param("ghost_resnet8", 32, marks=pytest.mark.long),
    ],
)
def test_answers_as_the_net(name: str, side: int) -> None:
    net, held = shared(name, side)
    (form,) = ncnn_forms.forms_of(held)
    assert difference(form, Ncnn(), net, side) < 1e-5


@needs
def test_one_layer_for_the_norm_and_none_for_the_pairs() -> None:
    (form,) = ncnn_forms.forms_of(shared()[1])
    kinds = [line.split()[0] for line in form.entries["ncnn.param"].decode().splitlines()[2:]]
    assert kinds.count("Normalize") == 4
    assert "MemoryData" not in kinds


@needs
@pytest.mark.parametrize("normalize", ["rms", "none"])
def test_other_norms(normalize: str) -> None:
    net, held = shared("light", normalize=normalize)
    (form,) = ncnn_forms.forms_of(held)
    assert difference(form, Ncnn(), net) < 1e-5


@needs
def test_seed_maps_that_are_copied_more_than_once() -> None:
    net = small(reduction=4)
    (form,) = ncnn_forms.forms_of(source(net))
    assert difference(form, Ncnn(), net) < 1e-5


@needs
def test_the_same_net_gives_the_same_bytes() -> None:
    one, two = (ncnn_forms.forms_of(shared()[1])[0].entries for _ in range(2))
    assert one == two
    assert b"/tmp" not in one["ncnn.param"]


def test_operators_that_ncnn_lacks() -> None:
    with pytest.raises(ExportError, match=r"ncnn has no layer for torch\.tile"):
        ncnn_forms._check_layers(b"7767517\n2 2\nInput in0 0 1 in0\ntorch.tile t 1 1 in0 out0\n")


def test_without_pnnx(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pnnx", None)
    with pytest.raises(ExportError, match="pnnx is not installed; pip install"):
        ncnn_forms.forms_of(shared()[1])


@needs
def test_a_converter_that_fails(monkeypatch) -> None:
    import pnnx

    monkeypatch.setattr(pnnx, "EXEC_PATH", "/bin/false")
    with pytest.raises(ExportError, match="pnnx cannot convert this net: exit 1"):
        ncnn_forms.forms_of(shared()[1])
