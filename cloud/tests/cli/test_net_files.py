"""Nets in files of other makers: each gives what the net that it was made of gives."""

import sys
import zipfile

import pytest
import torch
from torch import nn

from groupnl.cli.net_files import Exported, kind_of, load_exported, load_torchscript
from groupnl.cli.nets import resolve_net

BATCH = 4


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(6, 5)).eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(11, 3, 9, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def expected(net, images):
    with torch.no_grad():
        return net(images)


def answers(model, images):
    model.train()  # as a caller may: it must not matter
    model.eval()
    with torch.no_grad():
        return model(images)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="torch.jit ends with Python 3.13")
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_torchscript(net, images, expected, tmp_path, frozen):
    scripted = torch.jit.script(net)
    (torch.jit.freeze(scripted) if frozen else scripted.train()).save(tmp_path / "net.bin")
    net.eval()
    assert kind_of(tmp_path / "net.bin") == "torchscript"
    found = resolve_net(str(tmp_path / "net.bin"))
    assert (found.name, found.preprocessing, found.class_names) == ("net", None, ())
    torch.testing.assert_close(answers(found.module, images), expected)


@pytest.mark.parametrize("batch", [1, BATCH, "any"])
def test_exported_programs_take_any_number_of_images(net, images, expected, tmp_path, batch):
    size = 2 if batch == "any" else batch
    shapes = ({0: torch.export.Dim("N")},) if batch == "any" else None
    program = torch.export.export(net, (torch.zeros(size, 3, 9, 8),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "net.pt2")
    assert kind_of(tmp_path / "net.pt2") == "exported program"
    module = resolve_net(str(tmp_path / "net.pt2")).module
    assert module.size == (None if batch == "any" else batch)
    torch.testing.assert_close(answers(module, images), expected)
    torch.testing.assert_close(answers(module, images[:1]), expected[:1])
    assert {name.rpartition(".")[2] for name in module.state_dict()} >= {"weight", "bias", "running_mean"}


def test_programs_that_wrap_their_logits(images, expected, net):
    wrapped = Exported(type("Wrapped", (nn.Module,), {"forward": lambda _self, x: (net(x),)})(), BATCH)
    torch.testing.assert_close(answers(wrapped, images), expected)


def test_weights_are_told_from_nets(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "weights.pt2")  # whatever it is called
    assert kind_of(tmp_path / "weights.pt2") == "weights"
    with pytest.raises(ValueError, match="holds weights without a net: name their net, such as resnet50, and give --w"):
        resolve_net(str(tmp_path / "weights.pt2"))


def test_other_files_are_none_of_them(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    assert kind_of(tmp_path / "text.pt") is None
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("folder/file", "hello")
    assert kind_of(tmp_path / "other.zip") is None
    with pytest.raises(FileNotFoundError, match=r"no file absent.pt2"):
        resolve_net("absent.pt2")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_damaged_files_are_named(net, tmp_path):
    program = torch.export.export(net, (torch.zeros(2, 3, 9, 8),))
    torch.export.save(program, tmp_path / "net.pt2")
    content = (tmp_path / "net.pt2").read_bytes()
    (tmp_path / "net.pt2").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"net.pt2 is no program that torch.export.save wrote"):
        load_exported(tmp_path / "net.pt2", "cpu")
    with pytest.raises(ValueError, match=r"net.pt2 is no TorchScript file"):
        load_torchscript(tmp_path / "net.pt2", "cpu")


def test_programs_of_several_inputs_are_refused(tmp_path):
    class Two(nn.Module):
        def forward(self, a, b):
            return a + b

    program = torch.export.export(Two(), (torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)))
    torch.export.save(program, tmp_path / "two.pt2")
    with pytest.raises(ValueError, match="takes 2 inputs, expected one: images of shape"):
        load_exported(tmp_path / "two.pt2", "cpu")
