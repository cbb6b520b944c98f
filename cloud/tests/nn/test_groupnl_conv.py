"""GroupNLConv2d against a numpy float64 version; its dtypes, devices, compilers, saving and refusals."""

import copy
import io
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from groupnl.nn import GroupNLConv2d, expand_reference
from groupnl_device.nlf import NLFS, NORMALIZES


def numpy_expand(y, period, shift, out_channels, nlf, normalize):
    """The METHOD's steps 2 to 5, pixel by pixel and channel by channel in float64; shares nothing with the package."""
    batch, seeds, height, width = y.shape
    groups, copies = period.shape
    out = np.zeros((batch, out_channels, height, width))
    for n in range(batch):
        for row in range(height):
            for column in range(width):
                pixel = y[n, :, row, column].astype(np.float64)
                if normalize in ("l2", "rms"):
                    pixel = pixel / max(math.sqrt(sum(v * v for v in pixel)), 1e-12)
                if normalize == "rms":
                    pixel = pixel * math.sqrt(seeds)
                maps = list(pixel)
                first = 0
                for i in range(groups):
                    size = seeds // groups + (1 if i < seeds % groups else 0)
                    for j in range(copies):
                        omega, phi = float(period[i, j]), float(shift[i, j])
                        group = pixel[first : first + size]
                        maps.extend(one_value(v, omega, phi, j, seeds, nlf, normalize) for v in group)
                    first += size
                out[n, :, row, column] = maps[:out_channels]
    return out


def one_value(v, omega, phi, copy_index, seeds, nlf, normalize):
    if nlf == "sine":
        return math.sin(omega * (v - phi))
    if nlf == "gaussian":
        scale = math.sqrt(seeds) if normalize in ("l2", "batch") else 1.0
        return math.exp(-((omega * scale * (v - phi / scale)) ** 2))
    if nlf == "monomial":
        return math.copysign(abs(v) ** omega, v)
    if nlf == "legendre":
        coefficients = [0.0] * (2 + copy_index) + [1.0]
        return np.polynomial.legendre.legval(min(max(v, -1.0), 1.0), coefficients)
    return v


def numpy_bound(y, normalize):
    """The bounds that each channel has of its own, a batch norm that of the batch at hand."""
    if normalize == "batch":
        deviation = np.sqrt(y.var(axis=(0, 2, 3), keepdims=True) + 1e-5)
        return (y - y.mean(axis=(0, 2, 3), keepdims=True)) / deviation / math.sqrt(y.shape[1])
    return np.minimum(np.maximum(y, -1), 1) if normalize == "clamp" else y


def reference_of(layer, bounded):
    """The reference on maps that are bounded already where each channel has a bound of its own."""
    alone = layer.normalize in ("batch", "clamp")
    scale = math.sqrt(layer.seed_channels) if layer.nlf == "gaussian" and layer.normalize == "batch" else 1.0
    period, shift = layer.period.double() * scale, layer.shift.double() / scale
    options = {"nlf": layer.nlf, "normalize": "none" if alone else layer.normalize}
    return expand_reference(bounded, period.float(), shift.float(), out_channels=layer.out_channels, **options)


def numpy_of(layer: GroupNLConv2d, x: Tensor) -> np.ndarray:
    y = numpy_bound(layer.seed_conv(x).detach().double().numpy(), layer.normalize)
    return numpy_expand(y, layer.period.numpy(), layer.shift.numpy(), layer.out_channels, layer.nlf, layer.normalize)


@pytest.mark.parametrize("normalize", NORMALIZES)
@pytest.mark.parametrize("nlf", NLFS)
@pytest.mark.parametrize(("out_channels", "reduction"), [(12, 2), (10, 3), (60, 4)])
def test_forward_equals_numpy_in_float64(nlf, normalize, out_channels, reduction):
    torch.manual_seed(0)
    layer = GroupNLConv2d(
        6, out_channels, 3, padding=1, reduction=reduction, nlf=nlf, normalize=normalize, dtype=torch.double
    )
    x = torch.randn(2, 6, 3, 5, dtype=torch.double)
    expected = numpy_of(layer, x)
    result = layer(x).detach()
    assert result.shape == (2, out_channels, 3, 5)
    # the gaussian's scaled pair is rounded to float32, the others agree to float64's last digits
    tolerance = 1e-6 if nlf == "gaussian" and normalize in ("l2", "batch") else 1e-13
    np.testing.assert_allclose(result.numpy(), expected, atol=tolerance, rtol=tolerance)
    reference = reference_of(layer, torch.from_numpy(numpy_bound(layer.seed_conv(x).detach().numpy(), normalize)))
    torch.testing.assert_close(result, reference, atol=1e-13, rtol=1e-13)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_shape_equals_the_reference_and_the_convolutions_shape(data):
    in_channels = data.draw(st.integers(1, 12))
    out_channels = data.draw(st.integers(1, 40))
    reduction = data.draw(st.integers(1, 8))
    seeds = -(-out_channels // reduction)
    groups = data.draw(st.sampled_from([d for d in range(1, 13) if in_channels % d == 0 and seeds % d == 0]))
    conv_options = {
        "kernel_size": data.draw(st.sampled_from([1, 3, (3, 1), (2, 3)])),
        "stride": data.draw(st.sampled_from([1, 2, (1, 2)])),
        "padding": data.draw(st.sampled_from([0, 1, (1, 0)])),
        "dilation": data.draw(st.sampled_from([1, 2])),
        "bias": data.draw(st.booleans()),
        "padding_mode": data.draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    }
    options = {
        "nl_groups": data.draw(st.integers(1, seeds)),
        "nlf": data.draw(st.sampled_from(NLFS)),
        "normalize": data.draw(st.sampled_from(NORMALIZES)),
    }
    layer = GroupNLConv2d(in_channels, out_channels, groups=groups, reduction=reduction, **conv_options, **options)
    layer.eval()
    x = torch.randn(data.draw(st.integers(1, 2)), in_channels, 7, 6)
    plain = nn.Conv2d(in_channels, out_channels, **conv_options)
    result = layer(x)
    assert result.shape == plain(x).shape
    if layer.copies == 0:
        torch.testing.assert_close(result, layer.seed_conv(x))
        return
    y = layer.seed_conv(x)
    if layer.normalize == "batch":
        y = y / math.sqrt(1 + 1e-5) / math.sqrt(seeds)  # the statistics of a new layer are 0 and 1
    reference = reference_of(layer, y.clamp(-1, 1) if layer.normalize == "clamp" else y)
    torch.testing.assert_close(result, reference, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("normalize", NORMALIZES)
@pytest.mark.parametrize("nlf", NLFS)
def test_gradients_match_finite_differences(nlf, normalize):
    torch.manual_seed(1)
    layer = GroupNLConv2d(
        2, 8, 3, padding=1, reduction=3, nl_groups=2, nlf=nlf, normalize=normalize, dtype=torch.double
    )
    x = torch.randn(1, 2, 3, 4, dtype=torch.double, requires_grad=True)
    weight = layer.seed_conv.weight.detach().clone().requires_grad_()

    def forward(x, weight):
        return torch.func.functional_call(layer, {"seed_conv.weight": weight}, (x,))

    assert torch.autograd.gradcheck(forward, (x, weight))


def test_a_batch_norm_of_the_seed_maps_has_statistics_and_no_parameters():
    torch.manual_seed(0)
    layer = GroupNLConv2d(3, 8, 1, normalize="batch", key="a")
    assert {name for name, _ in layer.named_parameters()} == {"seed_conv.weight", "seed_conv.bias"}
    x = torch.randn(4, 3, 6, 5)
    y = layer.seed_conv(x).detach()
    layer(x)
    # momentum 0.1 from 0 and 1; the running variance is the unbiased one
    torch.testing.assert_close(layer.seed_norm.running_mean, 0.1 * y.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(layer.seed_norm.running_var, 0.9 + 0.1 * y.var(dim=(0, 2, 3), correction=1))
    other = GroupNLConv2d(3, 8, 1, normalize="batch", key="a")
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other.eval()(x), layer.eval()(x), rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="other hyperparameters"):
        GroupNLConv2d(3, 8, 1, normalize="none", key="a").load_state_dict(layer.state_dict(), strict=False)


def test_at_reduction_one_there_is_nothing_to_bound():
    layer = GroupNLConv2d(3, 8, 1, reduction=1, normalize="batch")
    assert layer.seed_norm is None
    clamped = GroupNLConv2d(3, 8, 1, reduction=1, normalize="clamp")
    x = 100 * torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(clamped(x), clamped.seed_conv(x), rtol=0, atol=0)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name(padding):
    layer = GroupNLConv2d(3, 8, 3, padding=padding)
    assert layer(torch.randn(1, 3, 9, 8)).shape == nn.Conv2d(3, 8, 3, padding=padding)(torch.randn(1, 3, 9, 8)).shape


def test_reduction_one_is_a_plain_convolution():
    layer = GroupNLConv2d(3, 8, 3, reduction=1)
    x = torch.randn(2, 3, 6, 5)
    torch.testing.assert_close(layer(x), layer.seed_conv(x), rtol=0, atol=0)
    assert layer.seed_channels == 8
    assert layer.copies == 0


def test_sparse_groups_the_seed_convolution_by_the_greatest_common_divisor():
    layer = GroupNLConv2d(12, 16, 3, sparse=True)
    assert layer.seed_conv.groups == 4  # gcd(12, 8)
    assert layer.seed_conv.weight.shape == (8, 3, 3, 3)


def test_an_all_zero_pixel_gives_finite_values_and_gradients():
    layer = GroupNLConv2d(3, 8, 1, bias=False)
    x = torch.zeros(1, 3, 2, 2, requires_grad=True)
    out = layer(x)
    torch.testing.assert_close(out[:, :4], torch.zeros(1, 4, 2, 2))
    torch.testing.assert_close(out[:, 4:], torch.sin(-layer.period * layer.shift).view(1, 4, 1, 1).expand(1, 4, 2, 2))
    out.sum().backward()
    assert torch.isfinite(layer.seed_conv.weight.grad).all()


def test_hyperparameters_are_neither_parameters_nor_buffers_nor_in_the_state_dict():
    layer = GroupNLConv2d(3, 8, 3)
    assert [name for name, _ in layer.named_parameters()] == ["seed_conv.weight", "seed_conv.bias"]
    assert list(layer.named_buffers()) == []
    state = layer.state_dict()
    assert set(state) == {"seed_conv.weight", "seed_conv.bias", "_extra_state"}
    assert state["_extra_state"].dtype == torch.uint8
    assert state["_extra_state"].numel() == 16
    assert layer.period.dtype == layer.shift.dtype == torch.float32
    assert layer.period.shape == layer.shift.shape == (4, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.half(),
        lambda layer: layer.double(),
        lambda layer: layer.to(torch.bfloat16),
        lambda layer: layer.to("meta").to_empty(device="cpu"),
        lambda layer: layer.to_empty(device="cpu"),
        copy.deepcopy,
        lambda layer: pickle.loads(pickle.dumps(layer)),
        lambda layer: layer.to("cpu", torch.float64, memory_format=torch.channels_last),
    ],
    ids=["half", "double", "bfloat16", "meta", "to_empty", "deepcopy", "pickle", "to"],
)
def test_hyperparameters_keep_their_bits(change):
    layer = GroupNLConv2d(3, 32, 3, reduction=4, seed=5, key="layer1.0.conv1")
    period, shift = layer.period.clone(), layer.shift.clone()
    changed = change(layer)
    for before, after in ((period, changed.period), (shift, changed.shift)):
        assert after.dtype == torch.float32
        assert after.device.type == "cpu"
        assert torch.equal(before, after)


def test_a_net_made_on_meta_gets_its_hyperparameters_back():
    with torch.device("meta"):
        layer = GroupNLConv2d(3, 8, 3, seed=3, key="a")
    assert layer.period.is_meta
    real = GroupNLConv2d(3, 8, 3, seed=3, key="a")
    layer = layer.to_empty(device="cpu")
    layer.load_state_dict(real.state_dict())
    x = torch.randn(1, 3, 5, 5)
    torch.testing.assert_close(layer(x), real(x), rtol=0, atol=0)


def test_meta_weights_assigned_from_a_state_dict():
    real = GroupNLConv2d(3, 8, 3, seed=3)
    with torch.device("meta"):
        layer, other = GroupNLConv2d(3, 8, 3, seed=3), GroupNLConv2d(3, 8, 3, seed=4)
    layer.load_state_dict(real.state_dict(), assign=True)
    x = torch.randn(1, 3, 5, 5)
    torch.testing.assert_close(layer(x), real(x), rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="other hyperparameters"):
        other.load_state_dict(real.state_dict(), assign=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_and_rounded_once(dtype):
    torch.manual_seed(0)
    layer = GroupNLConv2d(8, 32, 3, padding=1).to(dtype)
    x = torch.randn(2, 8, 6, 5, dtype=dtype)
    result = layer(x)
    assert result.dtype == dtype
    exact = torch.from_numpy(numpy_of(layer, x))
    # half an ulp of values of at most 1, and float32's own error
    assert (result.double() - exact).abs().max() <= torch.finfo(dtype).eps / 2 + 1e-6


def test_autocast_gives_the_autocast_type():
    layer = GroupNLConv2d(8, 32, 3)
    x = torch.randn(1, 8, 6, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = layer(x)
    assert result.dtype == torch.bfloat16
    # bfloat16 rounds the weights, the inputs and the result of the convolution to 8 bits; values are at most 1
    torch.testing.assert_close(result.float(), layer(x), atol=0.02, rtol=0)


def test_channels_last_stays_channels_last():
    layer = GroupNLConv2d(8, 32, 3, padding=1).to(memory_format=torch.channels_last)
    x = torch.randn(2, 8, 6, 5)
    result = layer(x.to(memory_format=torch.channels_last))
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result, layer(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("nlf", ["sine", "legendre"])
def test_compiles_in_one_graph(nlf):
    layer = GroupNLConv2d(4, 12, 3, reduction=3, nlf=nlf)
    x = torch.randn(2, 4, 8, 7)
    # "aot_eager" traces forward and backward like inductor and needs no C++ compiler
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x))
    compiled(x).sum().backward()
    assert layer.seed_conv.weight.grad is not None


@pytest.mark.long  # needs a C++ compiler and a minute
@pytest.mark.parametrize("nlf", NLFS)
def test_inductor_gives_the_same_values_for_any_batch_size(nlf):
    torch._dynamo.reset()
    layer = GroupNLConv2d(4, 12, 3, reduction=3, nlf=nlf)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    for batch in (2, 5):
        x = torch.randn(batch, 4, 8, 7)
        torch.testing.assert_close(compiled(x), layer(x), atol=1e-5, rtol=1e-5)


def test_exports_with_a_dynamic_batch():
    layer = GroupNLConv2d(4, 12, 3, reduction=3)
    program = torch.export.export(
        layer, (torch.randn(2, 4, 8, 7),), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
    )
    x = torch.randn(5, 4, 8, 7)
    torch.testing.assert_close(program.module()(x), layer(x))


def test_weights_load_only_where_the_hyperparameters_agree():
    state = GroupNLConv2d(3, 8, 3, seed=0, key="conv").state_dict()
    same = GroupNLConv2d(3, 8, 3, seed=0, key="conv")
    same.load_state_dict(state)
    torch.testing.assert_close(same.seed_conv.weight, state["seed_conv.weight"])
    others = {
        "seed": {"seed": 1, "key": "conv"},
        "key": {"key": "other"},
        "nlf": {"key": "conv", "nlf": "identity"},
        "normalize": {"key": "conv", "normalize": "rms"},
        "nl_groups": {"key": "conv", "nl_groups": 2},
        "range": {"key": "conv", "period_range": (1, 3)},
    }
    for name, options in others.items():
        for strict in (True, False):
            with pytest.raises(RuntimeError, match="other hyperparameters"):
                GroupNLConv2d(3, 8, 3, **options).load_state_dict(state, strict=strict)
            assert name


def test_every_layer_of_a_net_that_differs_is_named():
    def net(seed):
        return nn.Sequential(*(GroupNLConv2d(8, 8, 1, seed=seed, key=f"layer{i}") for i in range(2)))

    with pytest.raises(RuntimeError, match=r"(?s)'layer0'.*'layer1'"):
        net(1).load_state_dict(net(0).state_dict())


def test_state_dict_loads_with_weights_only():
    buffer = io.BytesIO()
    layer = GroupNLConv2d(3, 8, 3)
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    layer.load_state_dict(torch.load(buffer, weights_only=True))


def test_building_a_layer_draws_its_pairs_without_the_global_generators():
    np.random.seed(0)
    numpy_state = np.random.get_state()[1].copy()
    torch.manual_seed(0)
    reference = nn.Conv2d(3, 4, 3)
    torch.manual_seed(0)
    layer = GroupNLConv2d(3, 8, 3)
    torch.testing.assert_close(layer.seed_conv.weight, reference.weight, rtol=0, atol=0)
    after = torch.rand(1)
    torch.manual_seed(0)
    nn.Conv2d(3, 4, 3)
    assert torch.equal(after, torch.rand(1))
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_explicit_pairs_replace_the_seeded_ones_and_travel_in_the_state_dict():
    layer = GroupNLConv2d(3, 12, 3, reduction=3, nl_groups=2)
    period, shift = torch.tensor([[1.0, 1.25], [1.5, 1.75]]), torch.tensor([[0.5, 1.0], [2.0, 3.0]])
    layer.set_pairs_(period, shift)
    assert layer.explicit
    x = torch.randn(2, 3, 5, 6)
    np.testing.assert_allclose(layer(x).detach().numpy(), numpy_of(layer, x), atol=1e-6)
    state = layer.state_dict()
    assert torch.equal(state["period"], period)
    assert [name for name, _ in layer.named_parameters()] == ["seed_conv.weight", "seed_conv.bias"]
    other = GroupNLConv2d(3, 12, 3, reduction=3, nl_groups=2, seed=5)
    other.load_state_dict(state)
    torch.testing.assert_close(other(x), layer(x), rtol=0, atol=0)
    back = copy.deepcopy(layer).to("meta").to_empty(device="cpu")
    assert torch.equal(back.shift, shift)
    assert layer.half().period.dtype == torch.float32
    with pytest.raises(RuntimeError, match=r"expected finite values of shape \(2, 2\)"):
        other.load_state_dict({**state, "period": torch.ones(4)})
    on_meta = {name: value.to("meta") for name, value in state.items()}
    copy.deepcopy(layer).to("meta").load_state_dict(on_meta, assign=True)  # shapes only: nothing to take over
    del state["period"], state["shift"]
    with pytest.raises(RuntimeError, match="other hyperparameters"):
        GroupNLConv2d(3, 12, 3, reduction=3, nl_groups=2).load_state_dict(state)


@pytest.mark.parametrize("values", [torch.ones(1, 4), torch.full((4, 1), math.nan)], ids=["shape", "nan"])
def test_bad_explicit_pairs_are_refused(values):
    layer = GroupNLConv2d(3, 8, 3)
    with pytest.raises(ValueError, match="expected finite values of shape"):
        layer.set_pairs_(values, torch.ones(4, 1))
    assert not layer.explicit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction=0: expected an integer of at least 1"),
        ({"reduction": 2.0}, "reduction=2.0: expected an integer"),
        ({"nl_groups": 5}, "nl_groups=5: expected 1 to 4"),
        ({"nl_groups": 0}, "nl_groups=0: expected an integer of at least 1"),
        ({"nlf": "cosine"}, "nlf='cosine': expected one of sine, gaussian"),
        ({"normalize": "l1"}, "normalize='l1': expected one of l2, rms, none"),
        ({"groups": 3}, r"groups=3: must divide in_channels=8 and the 4 seed maps; allowed: 1, 2, 4"),
        ({"groups": 2, "sparse": True}, "groups=2 with sparse=True"),
        ({"period_range": (2, 1)}, r"period_range=\(2, 1\): expected \(low, high\)"),
        ({"shift_range": (0, math.inf)}, "shift_range"),
        ({"nlf": "legendre", "period_range": (1, 2)}, "draws no period"),
        ({"nlf": "monomial", "period_range": (0.5, 2)}, "exponents of at least 1"),
        ({"seed": "0"}, "seed='0': expected an integer"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        GroupNLConv2d(8, 8, 3, **options)


def test_data_parallel_has_nothing_of_the_hyperparameters_to_synchronise(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        layer = GroupNLConv2d(3, 8, 3, seed=2)
        parallel = nn.parallel.DistributedDataParallel(layer)
        x = torch.randn(2, 3, 6, 6)
        parallel(x).sum().backward()
        torch.testing.assert_close(parallel(x), layer(x), rtol=0, atol=0)
        assert sum(p.numel() for p in parallel.parameters()) == 4 * 3 * 9 + 4
        assert list(parallel.buffers()) == []
    finally:
        torch.distributed.destroy_process_group()
