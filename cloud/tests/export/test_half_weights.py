"""Weights in float16: what is rounded, what stays, and that a device runs it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from cloud.tests.export import sources
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from groupnl.export import DisagreementError, ExportError, export_bundle
from groupnl.export.half_weights import in_half, rounded
from groupnl.export.onnxruntime_forms import forms_of
from groupnl.export.targets import RUNTIMES, forms_for
from groupnl.nn import GroupNLConv2d
from groupnl_device.bundle import Bundle
from groupnl_device.runtime import Session
from groupnl_device.tensors import read_tensors

WEIGHTS = "weights.safetensors"


def in_precision(precision: str, net: str = "groupnl_resnet8"):
    shared = sources.shared(net)[1]
    source = replace(shared, precision=precision)
    vars(source)["traced"] = shared.traced  # tracing takes longest, and is the same
    return forms_of(source)


def export(net: nn.Module, path: Path, **options):
    return export_bundle(
        net,
        path,
        example_input=torch.zeros(1, 3, sources.SIDE, sources.SIDE),
        preprocessing=sources.preprocessing(),
        class_names=[*"abcdefghij"],
        **options,
    )


@pytest.mark.parametrize("net", ["groupnl_resnet8", "light"])
def test_every_form_has_weights_of_half_the_bytes_and_the_same_graph(net: str) -> None:
    whole, half = in_precision("float32", net), in_precision("float16", net)
    assert [f.artifact.label for f in half] == [f.artifact.label.replace("float32", "float16") for f in whole]
    for before, after in zip(whole, half, strict=True):
        assert {name for name in before.entries if before.entries[name] != after.entries[name]} == {WEIGHTS}
        assert after.unrounded == before
        tensors = [safetensors.numpy.load(form.entries[WEIGHTS]) for form in (before, after)]
        assert tensors[0].keys() == tensors[1].keys()
        for name, array in tensors[0].items():
            expected = array.astype(np.float16) if array.dtype == np.float32 else array
            np.testing.assert_array_equal(tensors[1][name], expected, strict=True)
    assert len({form.entries[WEIGHTS] for form in half}) == 1  # the forms share them


def test_the_bundle_runs_and_says_how_far_off_it_is(tmp_path: Path) -> None:
    net = sources.shared()[0]
    report = export(net, tmp_path / "net.gnl", precision="float16")
    assert report.entry_bytes[WEIGHTS] < 2.2 * sum(parameter.numel() for parameter in net.parameters())
    bundle = Bundle.open(report.path)
    pictures = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    images = sources.preprocessing().normalize(pictures)
    with torch.no_grad():
        expected = net(torch.from_numpy(images)).numpy()
    off = np.abs(Session(bundle).logits(images) - expected).max() / np.abs(expected).max()
    told = report.agreement
    assert 1e-5 < told.max_relative_difference < 5e-3  # rounded, and not by more than such a net's weights are
    assert off < 4 * told.max_relative_difference
    tolerance = report.manifest.self_test.tolerance
    assert Session(bundle).self_test() <= tolerance <= max(1e-3, 2 * told.max_relative_difference)


def test_the_device_widens_to_exactly_what_was_rounded() -> None:
    """A net whose weights float16 can hold gives the same bits in both precisions."""
    conv = nn.Sequential(nn.Conv2d(3, 10, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    conv.load_state_dict({name: value.half().float() for name, value in conv.state_dict().items()})
    answers = []
    for precision in ("float32", "float16"):
        (form,) = forms_of(replace(sources.source(conv), precision=precision))
        session = Session(sources.bundle(form))
        answers.append(session.logits(sources.images().numpy()))
    np.testing.assert_array_equal(answers[0], answers[1])


def test_pairs_that_are_shipped_keep_all_their_digits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = GroupNLConv2d(3, 10, 3, reduction=3, nl_groups=2)
    layer.set_pairs_(*(torch.rand(tuple(pair.shape)) + 1 for pair in (layer.period, layer.shift)))
    net = nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    export(net, tmp_path / "net.gnl", precision="float16")
    bundle = Bundle.open(tmp_path / "net.gnl")
    tensors = read_tensors(bundle, WEIGHTS)
    np.testing.assert_array_equal(tensors["0.explicit_period"], layer.period.numpy(), strict=True)
    np.testing.assert_array_equal(tensors["0.explicit_shift"], layer.shift.numpy(), strict=True)
    assert tensors["0.seed_conv.weight"].dtype == np.float16
    assert Session(bundle).self_test() < 1e-3


def test_tensors_that_float16_has_no_room_for_stay() -> None:
    tensors = {
        "large": np.float32([1, 7e4]),
        "small": np.float32([1e-6, 3e-7]),
        "edge": np.float32([65504, -(2**-14)]),
        "whole": np.arange(5),
        "empty": np.zeros((0, 3), np.float32),
        "zero": np.zeros(3, np.float32),
        "kept": np.ones(3, np.float32),
    }
    found = rounded(tensors, ["kept"])
    assert [name for name, array in found.items() if array.dtype == np.float16] == ["edge", "zero"]
    for name, array in found.items():
        np.testing.assert_array_equal(array.astype(tensors[name].dtype), tensors[name])


@settings(deadline=None, max_examples=100)
@given(
    array=arrays.arrays(
        np.float32, arrays.array_shapes(max_dims=3), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
)
def test_no_tensor_is_off_by_more_than_float16_rounds(array: np.ndarray) -> None:
    found = rounded({"w": array}, ())["w"]
    assert found.shape == array.shape
    assert np.isfinite(found).all()
    off = np.abs(found.astype(np.float64) - array.astype(np.float64)).max()
    assert off <= 2.0**-11 * np.abs(array.astype(np.float64)).max()


def test_a_wrong_graph_is_not_taken_for_rounding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of 1 % hides below what rounding may do, but not in the unrounded form."""

    def spoilt(source):
        forms = []
        for form in in_float(source):
            tensors = safetensors.numpy.load(form.entries[WEIGHTS])
            tensors["fc.weight"] = tensors["fc.weight"] * np.float32(1.01)
            entries = {**form.entries, WEIGHTS: safetensors.numpy.save(tensors)}
            forms.append(
                replace(
                    form,
                    entries=entries,
                    stand_in=None
                    if form.stand_in is None
                    else replace(form.stand_in, entries={**form.stand_in.entries, WEIGHTS: entries[WEIGHTS]}),
                )
            )
        return forms

    from groupnl.export import onnxruntime_forms

    in_float = onnxruntime_forms._float_forms
    monkeypatch.setattr(onnxruntime_forms, "_float_forms", spoilt)
    with pytest.raises(DisagreementError, match=r"differs from PyTorch: logits by .*; allowed: 1e-04"):
        export(sources.small(), tmp_path / "net.gnl", precision="float16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "onnxruntime"])
def test_other_runtimes_refuse(runtime: str) -> None:
    with pytest.raises(ExportError, match=r"precision 'float16': expected float32; only onnxruntime is given others"):
        forms_for(runtime, replace(sources.shared()[1], precision="float16"))


def test_stand_ins_are_rounded_too() -> None:
    native = in_precision("float32")[0]
    half = in_half(native, WEIGHTS, ())
    assert native.stand_in is not None
    assert half.stand_in is not None
    assert half.stand_in.entries[WEIGHTS] == half.entries[WEIGHTS]
    assert half.stand_in.unrounded == native.stand_in
