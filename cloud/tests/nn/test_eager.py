"""The eager form against the plain reference: values, and gradients by autograd through the reference."""

import pytest
import torch
from cloud.tests.nn.expansions import SIZES, constants, forms, reference_gradient, seed_maps

from groupnl.nn import expand_reference
from groupnl.nn.eager import empty_like, expand_backward, expand_forward

FORMS = list(forms())


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form.values()))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_equals_the_reference_in_value_and_gradient(sizes, form, channels_last):
    given = constants(*sizes, nlf=form["nlf"])
    maps = seed_maps(sizes[0], channels_last=channels_last)
    before = maps.clone()
    out = expand_forward(maps, *given, **form)
    expected = expand_reference(maps, *given[:2], out_channels=sizes[1], **form)
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=1e-12)
    grad = torch.randn_like(out)
    gradient = expand_backward(grad, maps, *given, **form)
    held = torch.ones_like(maps, dtype=torch.bool)
    if form["normalize"] == "none" and form["nlf"] == "monomial":
        held[0, :, 0, 0] = False  # |y|^p: autograd's slope at exactly 0 is not the function's
    wanted = reference_gradient(maps, *given[:2], grad, **form)
    wanted = torch.where(wanted.isnan(), gradient, wanted) if form["normalize"] != "none" else wanted
    torch.testing.assert_close(gradient[held], wanted[held], atol=1e-10, rtol=1e-10)
    assert torch.equal(maps, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("sizes", SIZES[:3], ids=str)
def test_half_precision_is_rounded_once(sizes, dtype):
    given, maps = constants(*sizes), seed_maps(sizes[0], dtype=dtype)
    exact = expand_reference(maps.double(), *given[:2], out_channels=sizes[1])
    out = expand_forward(maps, *given, nlf="sine", normalize="l2")
    assert out.dtype == dtype
    torch.testing.assert_close(out, exact.to(dtype), atol=1e-6, rtol=torch.finfo(dtype).eps)
    grad = torch.randn_like(out)
    gradient = expand_backward(grad, maps, *given, nlf="sine", normalize="l2")
    assert gradient.dtype == dtype
    nonzero = maps.abs().sum(1, keepdim=True).expand_as(maps) > 0
    wanted = reference_gradient(maps, *given[:2], grad)[nonzero].to(dtype)
    torch.testing.assert_close(gradient[nonzero], wanted, atol=1e-5, rtol=torch.finfo(dtype).eps)


def test_a_zero_pixel_has_a_finite_gradient_as_with_torchs_normalize():
    given, maps = constants(4, 8, 2), torch.zeros(1, 4, 1, 1, dtype=torch.double, requires_grad=True)
    y = torch.nn.functional.normalize(maps, dim=1)
    omega, phi = (values.double().repeat_interleave(2).reshape(1, 4, 1, 1) for values in given[:2])
    out = torch.cat([y, torch.sin(omega * (y - phi))], 1)
    (wanted,) = torch.autograd.grad(out.sum(), maps)
    gradient = expand_backward(torch.ones_like(out), maps.detach(), *given, nlf="sine", normalize="l2")
    torch.testing.assert_close(gradient, wanted, rtol=1e-12, atol=0)


@pytest.mark.parametrize("channels_last", [False, True])
def test_keeps_the_order_of_memory(channels_last):
    given, maps = constants(8, 16, 4), seed_maps(8, channels_last=channels_last)
    out = expand_forward(maps, *given, nlf="sine", normalize="l2")
    order = torch.channels_last if channels_last else torch.contiguous_format
    assert out.is_contiguous(memory_format=order)
    assert empty_like(maps, 3).is_contiguous(memory_format=order)
    assert expand_backward(out, maps, *given, nlf="sine", normalize="l2").is_contiguous(memory_format=order)


@pytest.mark.parametrize("shape", [(0, 8, 3, 3), (2, 8, 0, 3)])
def test_takes_no_pixels_at_all(shape):
    given, maps = constants(8, 16, 4), torch.empty(shape)
    out = expand_forward(maps, *given, nlf="sine", normalize="l2")
    assert out.shape == (shape[0], 16, *shape[2:])
    assert expand_backward(out, maps, *given, nlf="sine", normalize="l2").shape == shape
