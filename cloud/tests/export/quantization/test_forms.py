"""The int8 forms as a device gets them: run from their own bytes."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from cloud.tests.export.quantization.quantized_net import PREPROCESSING, pictures, session_of, source

from groupnl.export import ExportError
from groupnl.export.agreement import session_logits, torch_logits
from groupnl.export.quantization import int8_forms
from groupnl_device.nlf import NORMALIZES


@pytest.mark.parametrize("normalize", NORMALIZES)
def test_both_forms_answer_as_the_net_up_to_rounding(normalize) -> None:
    given = source(normalize)
    forms = int8_forms(given)
    assert [form.artifact.label for form in forms] == ["onnxruntime/native/int8", "onnxruntime/plain/int8"]
    images = pictures(40, seed=5)
    expected = torch_logits(given.reference, images, PREPROCESSING)
    answers = [session_logits(session_of(given, form.stand_in or form), images) for form in forms]
    for found in answers:
        assert np.abs(found - expected).max() <= 0.15 * np.abs(expected).max()
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-4 * np.abs(expected).max())


def test_weights_are_shipped_in_8_bits_and_once() -> None:
    native, plain = int8_forms(source())
    assert native.entries["weights_int8.safetensors"] == plain.entries["weights_int8.safetensors"]
    tensors = safetensors.numpy.load(plain.entries["weights_int8.safetensors"])
    numbers = sum(parameter.numel() for parameter in source().reference.parameters() if parameter.ndim > 1)
    assert sum(array.nbytes for array in tensors.values() if array.dtype == np.int8 and array.ndim > 1) == numbers
    assert not any(array.dtype == np.float32 and array.ndim > 1 for array in tensors.values())
    assert not set(tensors) & set(source().plain.constants)  # what a seed gives is not shipped


def test_sparse_convolutions_are_depthwise_in_the_plain_form_and_whole_in_the_native_one() -> None:
    given = source(sparse=True)
    native, plain = int8_forms(given)
    assert plain.outcomes["sparse"].changed == 1
    assert native.artifact.files["weights"] != plain.artifact.files["weights"]
    images = pictures(40, seed=5)
    expected = torch_logits(given.reference, images, PREPROCESSING)
    for form in (native.stand_in, plain):
        found = session_logits(session_of(given, form), images)
        assert np.abs(found - expected).max() <= 0.15 * np.abs(expected).max()


def test_without_pictures_there_is_no_int8() -> None:
    with pytest.raises(ExportError, match="calibration pictures: none"):
        int8_forms(replace(source(), calibration=None))
