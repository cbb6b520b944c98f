"""``groupnl::expand`` as an operator of PyTorch: registration, gradients, vmap, autocast, what it keeps."""

import pytest
import torch
from cloud.tests.nn.expansions import SIZES, constants, forms, seed_maps
from torch.autograd.graph import saved_tensors_hooks

import groupnl
from groupnl.nn import expand, expand_composite, using_backend
from groupnl.nn.operator import expand_backward_operator, expand_operator


@pytest.mark.parametrize("channels_last", [False, True])
def test_passes_torchs_own_checks_of_operators(channels_last):
    given = constants(4, 12, 2)
    maps = seed_maps(4, dtype=torch.float32, channels_last=channels_last)
    checks = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(
        expand_operator, (maps[:, :, 1:].clone().requires_grad_(), *given, "sine", "l2"), test_utils=checks
    )
    grad = torch.randn(2, 12, 3, 5)
    torch.library.opcheck(expand_backward_operator, (grad, maps, *given, "sine", "l2"), test_utils=checks[:2])


@pytest.mark.parametrize("form", list(forms()), ids=lambda form: "-".join(form.values()))
@pytest.mark.parametrize("sizes", SIZES[:3], ids=str)
def test_gradients_match_finite_differences(sizes, form):
    given = constants(*sizes, nlf=form["nlf"])
    maps = (seed_maps(sizes[0])[:1, :, 1:2, 1:4].clone() * 0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: expand_operator(y, *given, form["nlf"], form["normalize"]), (maps,))


def test_the_gradient_has_a_gradient():
    given, maps = constants(4, 12, 2), seed_maps(4)[:, :, 1:].clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda y: expand_operator(y, *given, "sine", "l2"), (maps,))


@pytest.mark.parametrize("axis", [0, 2])
def test_vmap_equals_a_loop(axis):
    given = constants(4, 12, 2)
    maps = torch.stack([seed_maps(4) + k for k in range(3)], axis)
    each = torch.stack([expand(y, *given) for y in maps.unbind(axis)])
    mapped = torch.func.vmap(lambda y: expand_operator(y, *given, "sine", "l2"), in_dims=axis)(maps)
    assert torch.equal(mapped, each)
    torch.testing.assert_close(torch.func.vmap(lambda y: expand(y, *given), in_dims=axis)(maps), each)
    with pytest.raises(ValueError, match="map over the seed maps only"):
        torch.func.vmap(lambda period: expand_operator(maps[0], period, *given[1:], "sine", "l2"))(torch.ones(3, 2, 2))


@pytest.mark.parametrize("axis", [0, 1])
def test_vmap_of_the_backward_operator_equals_a_loop(axis):
    given = constants(4, 12, 2)
    maps, grads = seed_maps(4), torch.stack([torch.randn(2, 12, 3, 5, dtype=torch.double) for _ in range(3)], axis)
    each = [expand_backward_operator(grad, maps, *given, "sine", "l2") for grad in grads.unbind(axis)]
    mapped = torch.func.vmap(lambda grad: expand_backward_operator(grad, maps, *given, "sine", "l2"), in_dims=axis)
    assert torch.equal(mapped(grads), torch.stack(each))


def test_forward_mode_follows_finite_differences():
    given, maps, along = constants(4, 12, 2), seed_maps(4)[:, :, 1:], torch.randn(2, 4, 2, 5, dtype=torch.double)
    out, slope = torch.func.jvp(lambda y: expand(y, *given), (maps,), (along,))
    torch.testing.assert_close(out, expand(maps, *given))
    step = 1e-6
    difference = (expand(maps + step * along, *given) - expand(maps - step * along, *given)) / (2 * step)
    torch.testing.assert_close(slope, difference, atol=1e-8, rtol=1e-6)


def test_gradients_of_single_samples():
    net = groupnl.GroupNLConv2d(3, 8, 3).double()
    weights, images = dict(net.named_parameters()), torch.randn(4, 3, 6, 5, dtype=torch.double)

    def loss(weights, image):
        return torch.func.functional_call(net, weights, (image[None],)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, images)
    for k, image in enumerate(images):
        alone = torch.autograd.grad(loss(weights, image), list(weights.values()))
        for name, gradient in zip(weights, alone, strict=True):
            torch.testing.assert_close(each[name][k], gradient)


@pytest.mark.parametrize("out_channels", [8, 12, 15])
def test_only_the_seed_maps_are_kept_for_backward(out_channels):
    given, maps = constants(4, out_channels, 2), seed_maps(4, dtype=torch.float32).requires_grad_()
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        expand(maps, *given)
    tables = {values.untyped_storage().data_ptr() for values in given}  # the layer's own, in any case
    assert set(kept) - tables == {maps.untyped_storage().data_ptr()}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_the_type_is_the_convolutions(dtype):
    layer, images = groupnl.GroupNLConv2d(3, 8, 3, seed=3), torch.randn(2, 3, 6, 6)
    with torch.autocast("cpu", dtype):
        out = layer(images)
        with using_backend("reference"):
            plain = layer(images)
    assert out.dtype == plain.dtype == dtype
    torch.testing.assert_close(out, plain)
    out.float().sum().backward()
    assert layer.seed_conv.weight.grad.dtype == torch.float32


def test_equals_the_composite_form_on_meta():
    given, maps = constants(4, 12, 2), seed_maps(4, channels_last=True)
    on_meta = [tensor.to("meta") for tensor in (maps, *given)]
    out = expand(*on_meta)
    assert (out.shape, out.stride()) == (expand_composite(maps, *given).shape, expand(maps, *given).stride())


def test_forced_triton_gives_the_reference_in_value_and_gradient():
    pytest.importorskip("triton", reason="the kernels need the package triton")
    layer, images = groupnl.GroupNLConv2d(3, 12, 3, nlf="gaussian"), torch.randn(2, 3, 5, 6)
    found = []
    for backend in ("reference", "triton"):
        with using_backend(backend):
            out = layer(images)
            found.append((out.detach(), *torch.autograd.grad(out.square().sum(), layer.seed_conv.weight)))
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)
