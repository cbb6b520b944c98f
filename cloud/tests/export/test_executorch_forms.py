"""The form for ExecuTorch, run as a device does."""

import sys

import pytest
import torch
from cloud.tests.export.sources import difference, images, shared, small, source
from torch import nn

from groupnl.export import ExportError, executorch_forms
from groupnl_device.executorch_adapter import ExecuTorch
from groupnl_device.requirements import installed_version

needs = pytest.mark.skipif(installed_version("executorch") is None, reason="needs the package executorch")


@needs
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("light", 32),
        pytest.param("groupnl_resnet8", 32, marks=pytest.mark.long),
        pytest.param("groupnl_mobilenetv2_100", 64, marks=pytest.mark.long),
        pytest.param("groupnl_mobilenetv3_large_100", 64, marks=pytest.mark.long),
    ],
)
def test_answers_as_the_net_with_everything_delegated(name: str, side: int) -> None:
    net, held = shared(name, side)
    (form,) = executorch_forms.forms_of(held)
    assert form.outcomes["executorch: delegated"].notes == ()
    assert difference(form, ExecuTorch(), net, side) < 1e-5


@needs
@pytest.mark.long
def test_layers_that_choose_the_same_channels() -> None:
    """Their filters are equal, and each has a batch norm of its own behind it, which ExecuTorch folds into them."""
    net = small(reduction=4)
    (form,) = executorch_forms.forms_of(source(net))
    assert form.outcomes["executorch: delegated"].notes == ()
    assert difference(form, ExecuTorch(), net) < 1e-5


class Odd(nn.Module):
    """A net with operators that the rewritten form lacks, and one that XNNPACK lacks."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.erf(x).sign().cumsum(2).mean((2, 3)))


@needs
def test_what_is_not_delegated_is_said() -> None:
    net = Odd().eval()
    (form,) = executorch_forms.forms_of(source(net))
    assert "ExecuTorch is given the net as it was traced" in form.outcomes["executorch: rewrites"].notes[0]
    notes = " ".join(form.outcomes["executorch: delegated"].notes)
    assert "cumsum" in notes
    assert "XNNPACK does not run it" in notes
    assert difference(form, ExecuTorch(), net) < 1e-5


@needs
def test_the_same_net_gives_the_same_bytes() -> None:
    net = nn.Sequential(nn.Conv2d(3, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    one, two = (executorch_forms.lowered(net, images(1))[0] for _ in range(2))
    assert one == two
    assert b"/tmp" not in one


def test_without_executorch(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "executorch", None)
    monkeypatch.setitem(sys.modules, "executorch.exir", None)
    with pytest.raises(ExportError, match="executorch is not installed; pip install"):
        executorch_forms.forms_of(shared()[1])
