"""The kernels against the plain reference and autograd in float64; without a GPU in Triton's interpreter."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.nn import expand_reference
from groupnl_device.nlf import NLFS, PIXEL_NORMS, argument_scale, copies, draw_pairs

pytest.importorskip("triton", reason="Triton is not installed here")

from groupnl.nn import triton_tiles
from groupnl.nn.triton_expand import expand_backward, expand_forward

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
FORMATS = [torch.contiguous_format, torch.channels_last]
KERNEL_NLFS = [nlf for nlf in NLFS if nlf != "legendre"]
FLOAT32 = 6e-7  # a few roundings of a number of size 1
BFLOAT16 = 2.0**-7  # the interpreter cuts a float32 down to bfloat16 where a GPU rounds it: a whole last bit

# what NumPy says in the interpreter, of lanes outside the maps or where infinity or NaN is meant
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@dataclasses.dataclass
class Case:
    """Seed maps, the layer they go through, and what every path makes of them."""

    shape: tuple[int, int, int, int]
    out_channels: int
    groups: int = 4
    nlf: str = "sine"
    normalize: str = "l2"
    dtype: torch.dtype = torch.float32
    memory_format: torch.memory_format = torch.channels_last

    def __post_init__(self):
        seeds = self.shape[1]
        sizes = {"nl_groups": self.groups, "copies": copies(self.out_channels, seeds)}
        pairs = draw_pairs(nlf=self.nlf, seed=1, key="k", **sizes)
        self.pairs = tuple(torch.from_numpy(values).to(DEVICE) for values in pairs)
        scale = argument_scale(self.nlf, self.normalize, seeds)
        self.scaled = (self.pairs[0].double() * scale).float(), (self.pairs[1].double() / scale).float()
        generator = torch.Generator().manual_seed(0)
        self.maps = self.laid_out(torch.randn(self.shape, generator=generator) * 2)
        full = (self.shape[0], self.out_channels, *self.shape[2:])
        self.grad = self.laid_out(torch.randn(full, generator=generator))

    def laid_out(self, values):
        return values.to(DEVICE, self.dtype).contiguous(memory_format=self.memory_format)

    def by_kernels(self):
        generated = self.out_channels - self.shape[1]
        out = expand_forward(self.maps, *self.scaled, generated, self.nlf, self.normalize)
        return out, expand_backward(self.grad, self.maps, *self.scaled, self.nlf, self.normalize)

    def by_reference(self, dtype):
        maps = self.maps.to(dtype, copy=True).requires_grad_()
        options = {"out_channels": self.out_channels, "nlf": self.nlf, "normalize": self.normalize}
        out = expand_reference(maps, *self.pairs, **options)
        out.backward(self.grad.to(dtype))
        return out.detach(), maps.grad

    def check(self):
        """Value and gradient: at most twice the error of plain PyTorch in the same precision."""
        for made, plain, exact in zip(
            self.by_kernels(), self.by_reference(self.dtype), self.by_reference(torch.double), strict=True
        ):
            assert made.dtype == self.dtype
            assert made.shape == exact.shape
            assert made.is_contiguous(memory_format=self.memory_format)
            error, allowed = (made.double() - exact).abs(), 2 * (plain.double() - exact).abs().max()
            if self.nlf == "monomial":  # its power is exact to 1e-6 of itself, where PyTorch's is to the last bit
                allowed = allowed + 3e-6 * exact.abs().max()
            if self.dtype == torch.bfloat16 and DEVICE == "cpu":
                allowed = exact.abs() * BFLOAT16
            assert (error <= allowed + FLOAT32 * (1 + exact.abs().max())).all()


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("normalize", PIXEL_NORMS)
@pytest.mark.parametrize("nlf", KERNEL_NLFS)
def test_equals_the_reference(nlf, normalize, memory_format):
    Case((2, 7, 3, 5), 17, 3, nlf, normalize, memory_format=memory_format).check()  # unequal groups, two copies, cut


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("normalize", PIXEL_NORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_precision(dtype, normalize, memory_format):
    Case((2, 8, 6, 5), 16, 4, "sine", normalize, dtype, memory_format).check()


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize(
    ("shape", "out_channels", "groups"),
    [
        ((1, 4, 2, 1), 8, 4),  # a group for each map
        ((1, 2, 3, 3), 4, 3),  # more groups than maps
        ((3, 8, 1, 2), 64, 4),  # seven copies
        ((2, 6, 2, 3), 7, 2),  # one generated map
        ((1, 5, 2, 2), 5, 2),  # none
        ((1, 33, 9, 8), 66, 4),
        ((1, 1000, 1, 2), 2000, 4),
    ],
)
def test_odd_shapes(shape, out_channels, groups, memory_format):
    Case(shape, out_channels, groups, memory_format=memory_format).check()


@pytest.mark.parametrize("out_channels", [1, 2, 5])
@pytest.mark.parametrize("shape", [(2, 1, 3, 2), (1, 1, 1, 1)])
def test_one_seed_map(shape, out_channels):
    Case(shape, out_channels, 1, memory_format=torch.contiguous_format).check()


@pytest.mark.parametrize("images", [1, 70])
def test_one_pixel_is_the_same_in_both_formats(images):
    Case((images, 6, 1, 1), 12, 2, memory_format=torch.contiguous_format).check()


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("normalize", PIXEL_NORMS)
def test_channels_in_several_tiles(normalize, memory_format, monkeypatch):
    for name, size in (("TILE", 16), ("LARGEST_TILE", 16), ("WIDEST", 8), ("SECTORS", 4)):
        monkeypatch.setattr(triton_tiles, name, size)
    case = Case((1, 11, 2, 3), 30, 4, normalize=normalize, memory_format=memory_format)
    assert triton_tiles.Tiling.of(case.maps).block_s < 11
    case.check()


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_any_shape(data):
    seeds = data.draw(st.integers(2, 20))
    draw_copies = data.draw(st.integers(1, 4))
    Case(
        (data.draw(st.integers(1, 3)), seeds, data.draw(st.integers(2, 9)), data.draw(st.integers(1, 9))),
        data.draw(st.integers(seeds + 1, seeds * (draw_copies + 1))),
        data.draw(st.integers(1, seeds)),
        data.draw(st.sampled_from(KERNEL_NLFS)),
        data.draw(st.sampled_from(PIXEL_NORMS)),
        data.draw(st.sampled_from(DTYPES)),
        data.draw(st.sampled_from(FORMATS)),
    ).check()


def test_other_layouts_are_copied_first():
    case = Case((2, 6, 4, 3), 12, 2, memory_format=torch.contiguous_format)
    expected = case.by_kernels()
    case.maps = case.maps.transpose(2, 3).contiguous().transpose(2, 3)
    case.grad = case.grad.contiguous(memory_format=torch.channels_last)
    for made, wanted in zip(case.by_kernels(), expected, strict=True):
        assert torch.equal(made, wanted)


@pytest.mark.parametrize("shape", [(0, 4, 3, 3), (2, 4, 0, 3)])
def test_no_pixels(shape):
    out, by_maps = Case(shape, 8).by_kernels()
    assert out.shape == (shape[0], 8, *shape[2:])
    assert by_maps.shape == shape


@pytest.mark.parametrize("memory_format", FORMATS)
def test_a_pixel_too_small_to_be_scaled_to_one(memory_format):
    case = Case((1, 4, 3, 2), 8, 2, memory_format=memory_format)
    case.maps[..., 0] = 0
    case.maps[..., 1] *= 1e-14  # below the smallest norm, which holds still: no projection in its gradient
    maps = case.maps.double().requires_grad_()
    exact = expand_reference(F.normalize(maps), *case.pairs, out_channels=8, normalize="none")
    exact.backward(case.grad.double())
    made, by_maps = case.by_kernels()
    torch.testing.assert_close(made.double(), exact, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(by_maps.double(), maps.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("normalize", PIXEL_NORMS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_no_number_spoils_the_same_maps_as_in_the_reference(bad, normalize):
    case = Case((1, 5, 3, 2), 10, 2, normalize=normalize)
    case.maps[0, 1, 2, 1] = bad
    for made, exact in zip(case.by_kernels(), case.by_reference(torch.double), strict=True):
        assert torch.equal(made.isnan(), exact.isnan())
        torch.testing.assert_close(made.double(), exact, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_a_map_that_was_cut_away_passes_nothing_back():
    case = Case((1, 4, 1, 2), 5, 1, normalize="none")
    case.maps[0, 3] = torch.inf  # its sine has the slope NaN
    _, by_maps = case.by_kernels()
    assert torch.equal(by_maps[0, 3], case.grad[0, 3])


def test_a_monomial_at_zero_has_the_slope_that_autograd_gives():
    case = Case((1, 4, 2, 2), 8, 2, "monomial", "none")
    case.maps[0, :, 1] = 0
    case.pairs[0].fill_(1)
    case.scaled[0].fill_(1)
    case.check()


@pytest.mark.parametrize(("largest", "allowed"), [(1.6, 1.3e-7), (1000, 1.4e-7), (1e4, 3e-7)])
def test_the_sine_and_cosine_are_exact_to_float32(largest, allowed):
    x = torch.linspace(-largest, largest, 4001, device=DEVICE).reshape(1, 1, -1, 1)
    one, none = torch.ones(1, 1, device=DEVICE), torch.zeros(1, 1, device=DEVICE)
    sine = expand_forward(x, one, none, 1, "sine", "none")[:, 1:]
    grad = torch.tensor([0.0, 1.0], device=DEVICE).reshape(1, 2, 1, 1).expand(1, 2, x.shape[2], 1)
    cosine = expand_backward(grad, x, one, none, "sine", "none")
    assert (sine.double() - x.double().sin()).abs().max() < allowed
    assert (cosine.double() - x.double().cos()).abs().max() < allowed


def test_a_sine_is_never_above_one():
    x = torch.from_numpy(np.geomspace(1e4, 3e38, 2000, dtype=np.float32)).to(DEVICE).reshape(1, 1, -1, 1)
    one, none = torch.ones(1, 1, device=DEVICE), torch.zeros(1, 1, device=DEVICE)
    assert expand_forward(x, one, none, 1, "sine", "none")[:, 1:].abs().max() <= 1


def test_the_maps_and_gradients_given_are_left_alone():
    case = Case((1, 4, 3, 3), 8)
    before = case.maps.clone(), case.grad.clone()
    case.by_kernels()
    assert torch.equal(case.maps, before[0])
    assert torch.equal(case.grad, before[1])


@pytest.mark.skipif(DEVICE == "cpu", reason="needs 16 GB of a GPU's memory")
@pytest.mark.parametrize("memory_format", FORMATS)
def test_more_than_two_to_the_31_numbers(memory_format):
    maps = torch.zeros((1, 8, 16400, 16400), dtype=torch.bfloat16, device=DEVICE).contiguous(
        memory_format=memory_format
    )
    maps[:, :, -1, -1] = torch.arange(8, device=DEVICE)
    pairs = torch.ones(1, 1, device=DEVICE), torch.ones(1, 1, device=DEVICE)
    out = expand_forward(maps, *pairs, 8, "sine", "l2")
    small = expand_forward(maps[:, :, -1:, -1:].contiguous(), *pairs, 8, "sine", "l2")
    assert torch.equal(out[:, :, -1:, -1:], small)
    by_maps = expand_backward(out, maps, *pairs, "sine", "l2")
    assert torch.equal(
        by_maps[:, :, -1:, -1:], expand_backward(small, maps[:, :, -1:, -1:].contiguous(), *pairs, "sine", "l2")
    )
