"""Int8 for PyTorch: refused without torchao; with it, close to the net and to the ONNX form."""

import sys

import numpy as np
import pytest
import torch
from cloud.tests.export.quantization.quantized_net import PREPROCESSING, pictures, run, source

from groupnl.export import ExportError
from groupnl.export.quantization.pt2e import quantized_pytorch
from groupnl.export.quantization.qdq import quantized


def test_without_torchao_the_message_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchao", None)
    monkeypatch.setitem(sys.modules, "torchao.quantization.pt2e", None)
    with pytest.raises(ExportError, match="pip install torchao"):
        quantized_pytorch(source().reference, pictures(), PREPROCESSING)


def test_it_is_as_close_to_the_net_as_the_onnx_form() -> None:
    pytest.importorskip("torchao", reason="torchao is an optional package")
    given = source()
    before = {name: tensor.clone() for name, tensor in given.reference.state_dict().items()}
    net = quantized_pytorch(given.reference, pictures(), PREPROCESSING)
    images = pictures(32, seed=3)
    with torch.no_grad():
        expected = given.reference(torch.from_numpy(PREPROCESSING.normalize(images))).numpy()
        found = net(torch.from_numpy(PREPROCESSING.normalize(images))).numpy()
        one = net(torch.from_numpy(PREPROCESSING.normalize(images[:1]))).numpy()
    onnx_form = run(quantized(given.traced, pictures(), PREPROCESSING).model, images)
    error = np.abs(found - expected).max()
    assert 0 < error <= 3 * np.abs(onnx_form - expected).max()
    np.testing.assert_allclose(one, found[:1], atol=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in given.reference.state_dict().items())


def test_without_pictures_it_is_refused() -> None:
    pytest.importorskip("torchao", reason="torchao is an optional package")
    with pytest.raises(ExportError, match="calibration pictures: none"):
        quantized_pytorch(source().reference, None, PREPROCESSING)
