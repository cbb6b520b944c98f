"""The forms for PyTorch: a checkpoint that a device's own checks accept."""

import pytest
import torch
from cloud.tests.export.sources import difference, small, source
from torch import nn

from groupnl.export import ExportError
from groupnl.export.pytorch_forms import forms_of
from groupnl.models import StandardPolicy, convert_, create_model
from groupnl_device.pytorch_adapter import PyTorch


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_two_forms_of_one_checkpoint() -> None:
    compiled, eager = forms_of(source(small()))
    assert (compiled.artifact.form, eager.artifact.form) == ("compiled", "eager")
    assert compiled.entries is eager.entries
    assert compiled.artifact.files == eager.artifact.files


@pytest.mark.parametrize("name", ["groupnl_resnet8", "sinefm_resnet8", "resnet8"])
def test_answers_as_the_net(name: str) -> None:
    net = small(name)
    _, eager = forms_of(source(net))
    assert difference(eager, PyTorch(), net) < 1e-5


def test_a_converted_net_with_options() -> None:
    net = small("resnet18", cifar_stem=True)
    convert_(net, "standard", reduction=4, seed=3, period_range=(1.0, 1.5))
    _, eager = forms_of(source(net.eval()))
    assert difference(eager, PyTorch(), net.eval()) < 1e-5


def test_a_lean_net() -> None:
    net = small("mobilenetv2_050")
    convert_(net, "lean", input_size=(3, 32, 32))
    _, eager = forms_of(source(net.eval()))
    assert difference(eager, PyTorch(), net.eval()) < 1e-5


def test_the_same_net_gives_the_same_bytes() -> None:
    one, two = (forms_of(source(small()))[0].entries for _ in range(2))
    assert one == two


def test_where_weights_came_from_is_left_out() -> None:
    net = create_model("resnet18", num_classes=10, pretrained=False, cache_dir="/somewhere").eval()
    _, eager = forms_of(source(net))
    assert b"somewhere" not in eager.entries["net.safetensors"]
    assert difference(eager, PyTorch(), net) < 1e-5
    assert net.groupnl_architecture.arguments["cache_dir"] == "/somewhere"  # the net itself is as it was


def test_nets_that_only_code_can_make() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)).eval()
    with pytest.raises(ExportError, match="only code of its own can make this net"):
        forms_of(source(net))
    converted = small("resnet18")
    convert_(converted, StandardPolicy(reduction=2))
    with pytest.raises(ExportError, match="only code of its own can make this net"):
        forms_of(source(converted.eval()))


def test_arguments_that_no_device_accepts() -> None:
    net = create_model("resnet18", num_classes=10, output_stride=16).eval()
    with pytest.raises(ExportError, match=r"made with output_stride; a device accepts .*cifar_stem"):
        forms_of(source(net))
