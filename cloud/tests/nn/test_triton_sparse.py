"""The fused sparse convolution and expansion against conv2d and the plain reference in float64."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.nn import expand_reference
from groupnl_device.nlf import PIXEL_NORMS, copies, draw_pairs

pytest.importorskip("triton", reason="Triton is not installed here")

from groupnl.nn.triton_sparse import sparse_expand_forward

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SQUARE = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1)}

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of lanes outside the maps


def random(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


def check(
    seeds,
    inputs,
    size,
    kernel,
    out_channels,
    *,
    images=2,
    groups=2,
    bias=False,
    nlf="sine",
    normalize="l2",
    dtype=torch.float32,
    keep=True,
    **convolution,
):
    """Both results at most twice as far from float64 as PyTorch's own in the same precision."""
    convolution = SQUARE | convolution
    x = random(images, seeds * inputs, *size, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = random(seeds, inputs, *kernel, dtype=dtype, seed=1)
    offsets = random(seeds, dtype=dtype, seed=2) if bias else None
    sizes = {"nl_groups": groups, "copies": copies(out_channels, seeds)}
    pairs = tuple(torch.from_numpy(v).to(DEVICE) for v in draw_pairs(nlf=nlf, seed=1, key="k", **sizes))
    options = {"nlf": nlf, "normalize": normalize}
    made, seed_maps = sparse_expand_forward(
        x, weight, offsets, *convolution.values(), *pairs, out_channels - seeds, **options, keep_seed_maps=keep
    )

    def plain(precision):
        given = [None if t is None else t.to(precision) for t in (x, weight, offsets)]
        return F.conv2d(*given, groups=seeds, **convolution)

    assert made.is_contiguous(memory_format=torch.channels_last)
    exact = plain(torch.double)
    own = exact.to(dtype).double() if seed_maps is None else seed_maps.double()
    within_a_few_roundings(own, exact, dtype)
    if keep:  # the maps are made of the rounded seed maps, like those that backward reads
        within_a_few_roundings(made, expand_reference(own, *pairs, out_channels=out_channels, **options), dtype)
    else:
        assert seed_maps is None
        expected = expand_reference(exact, *pairs, out_channels=out_channels, **options)
        torch.testing.assert_close(made.double(), expected, atol=2e-6, rtol=1e-5)


def within_a_few_roundings(made, exact, dtype):
    relative = {torch.float32: 1e-6, torch.float16: 2.0**-11 + 1e-6, torch.bfloat16: 2.0**-8 + 1e-6}[dtype]
    if dtype == torch.bfloat16 and DEVICE == "cpu":  # the interpreter cuts where a GPU rounds
        relative *= 2
    torch.testing.assert_close(made.double(), exact, atol=3e-6, rtol=relative)


@pytest.mark.parametrize("normalize", PIXEL_NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_precisions(dtype, normalize):
    check(6, 2, (4, 5), (3, 3), 12, dtype=dtype, normalize=normalize, bias=True)


@pytest.mark.parametrize(
    ("inputs", "kernel", "convolution"),
    [
        (1, (1, 1), {"padding": (0, 0)}),
        (2, (3, 3), {"stride": (2, 2)}),
        (2, (3, 2), {"stride": (1, 3), "padding": (0, 2), "dilation": (2, 1)}),
        (2, (5, 5), {"padding": (2, 2)}),
        (4, (3, 3), {}),
        (8, (7, 7), {"padding": (3, 3), "stride": (2, 2)}),
    ],
)
def test_convolutions(inputs, kernel, convolution):
    check(5, inputs, (7, 6), kernel, 10 if inputs < 4 else 20, **convolution)


def test_without_keeping_the_seed_maps():
    check(6, 2, (4, 5), (3, 3), 12, keep=False)


def test_programs_may_end_between_images():
    check(64, 2, (5, 3), (3, 3), 128, images=5)


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_any_layer(data):
    seeds = data.draw(st.integers(1, 9))
    kernel = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    check(
        seeds,
        data.draw(st.sampled_from([1, 2, 4])),
        data.draw(st.tuples(st.integers(3, 7), st.integers(3, 7))),
        kernel,
        data.draw(st.integers(seeds + 1, 3 * seeds)),
        images=data.draw(st.integers(1, 3)),
        groups=data.draw(st.integers(1, seeds)),
        bias=data.draw(st.booleans()),
        nlf=data.draw(st.sampled_from(["sine", "monomial", "identity"])),
        stride=data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        padding=data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
    )


def test_no_images():
    pairs = torch.ones(1, 1, device=DEVICE), torch.ones(1, 1, device=DEVICE)
    x, weight = random(0, 4, 5, 5), random(2, 2, 3, 3)
    made, seed_maps = sparse_expand_forward(x, weight, None, *SQUARE.values(), *pairs, 2, "sine", "l2")
    assert made.shape == (0, 4, 5, 5)
    assert seed_maps.shape == (0, 2, 5, 5)


def test_what_it_does_not_take():
    pairs = torch.ones(1, 1), torch.ones(1, 1)

    def run(x, weight, nlf="sine"):
        return sparse_expand_forward(x, weight, None, *SQUARE.values(), *pairs, 2, nlf, "l2")

    with pytest.raises(ValueError, match=r"6 channels, weight \(2, 3, 3, 3\): expected S groups"):
        run(torch.zeros(1, 6, 4, 4), torch.zeros(2, 3, 3, 3))
    with pytest.raises(ValueError, match=r"dtype torch.float64, nlf='sine'"):
        run(torch.zeros(1, 4, 4, 4).double(), torch.zeros(2, 2, 3, 3).double())
    with pytest.raises(ValueError, match="nlf='legendre'"):
        run(torch.zeros(1, 4, 4, 4), torch.zeros(2, 2, 3, 3), "legendre")
    with pytest.raises(ValueError, match="4096 channels: expected at most 2048"):
        run(torch.zeros(1, 4096, 1, 1), torch.zeros(2048, 2, 1, 1))
