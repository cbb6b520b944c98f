import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groupnl.data import random_crop_flip
from groupnl.data.augment import Fill


def one_by_one(images: Tensor, padding: int, flip: bool, seed: int, fill: Fill) -> Tensor:
    """The plain recipe: pad each image, cut the window out, mirror it. The same draws in the same order."""
    count, _, height, width = images.shape
    generator = torch.Generator().manual_seed(seed)
    top = torch.randint(2 * padding + 1, (count, 1), generator=generator).flatten().tolist()
    left = torch.randint(2 * padding + 1, (count, 1), generator=generator).flatten().tolist()
    coins = torch.randint(2, (count, 1), generator=generator).flatten().tolist() if flip else [0] * count
    result = []
    for image, y, x, coin in zip(images, top, left, coins, strict=True):
        mode = {"edge": "replicate", "zeros": "constant"}[fill]
        padded = torch.nn.functional.pad(image[None].float(), (padding,) * 4, mode=mode)[0].to(torch.uint8)
        window = padded[:, y : y + height, x : x + width]
        result.append(window.flip(2) if coin else window)
    return torch.stack(result)


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 6),
    channels=st.integers(1, 4),
    height=st.integers(3, 9),
    width=st.integers(3, 9),
    padding=st.integers(0, 2),
    flip=st.booleans(),
    fill=st.sampled_from(["edge", "zeros"]),
    seed=st.integers(0, 2**31),
)
def test_equals_the_plain_loop(
    count: int, channels: int, height: int, width: int, padding: int, flip: bool, fill: Fill, seed: int
) -> None:
    source = torch.Generator().manual_seed(seed + 1)
    images = torch.randint(0, 256, (count, channels, height, width), generator=source).to(torch.uint8)
    before = images.clone()
    generator = torch.Generator().manual_seed(seed)
    moved = random_crop_flip(images, padding=padding, flip=flip, generator=generator, fill=fill)
    assert torch.equal(moved, one_by_one(images, padding, flip, seed, fill))
    assert torch.equal(images, before)


def test_every_place_and_both_sides_occur_equally_often() -> None:
    count = 18_000
    images = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    images[0, 0, 2, 2], images[0, 0, 2, 1] = 2, 1  # the centre, and its left neighbour, which tells a mirror image
    batch = images.expand(count, -1, -1, -1)
    moved = random_crop_flip(batch, padding=1, flip=True, generator=torch.Generator().manual_seed(3))
    centre = (moved.flatten(1) == 2).nonzero()[:, 1]
    neighbour = (moved.flatten(1) == 1).nonzero()[:, 1]
    kinds = torch.bincount(centre * 2 + (neighbour > centre), minlength=50)
    assert (kinds > 0).sum() == 18  # 9 places, mirrored or not
    assert ((kinds[kinds > 0] - 1000).abs() < 150).all()  # 5 standard deviations of a count of 1000


def test_works_on_a_slice_and_in_channels_last() -> None:
    images = torch.arange(4 * 3 * 6 * 8).reshape(4, 3, 6, 8).to(torch.uint8)
    plain = random_crop_flip(images, padding=2, flip=True, generator=torch.Generator().manual_seed(0))
    strided = images.to(memory_format=torch.channels_last)
    assert torch.equal(
        random_crop_flip(strided, padding=2, flip=True, generator=torch.Generator().manual_seed(0)), plain
    )


def test_nothing_to_do_moves_no_random_state() -> None:
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    assert random_crop_flip(images, padding=0, flip=False, generator=generator) is images
    assert torch.equal(generator.get_state(), state)


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    random_crop_flip(
        torch.zeros(2, 3, 4, 4, dtype=torch.uint8), padding=1, flip=True, generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_cpu_generator_gives_the_same_images_on_a_gpu() -> None:
    images = torch.randint(0, 256, (16, 3, 9, 7), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    here = random_crop_flip(images, padding=3, flip=True, generator=torch.Generator().manual_seed(0))
    there = random_crop_flip(images.cuda(), padding=3, flip=True, generator=torch.Generator().manual_seed(0))
    assert torch.equal(here, there.cpu())


@pytest.mark.parametrize(
    ("images", "padding", "fill", "message"),
    [
        (torch.zeros(2, 3, 4, 4), 1, "edge", "images: torch.float32"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), 1, "edge", r"\(3, 4, 4\)"),
        (torch.zeros(2, 3, 4, 6, dtype=torch.uint8), 4, "edge", "padding=4: expected an integer from 0 to 3"),
        (torch.zeros(2, 3, 4, 6, dtype=torch.uint8), -1, "edge", "padding=-1"),
        (torch.zeros(2, 3, 4, 6, dtype=torch.uint8), 1.0, "edge", "padding=1.0"),
        (torch.zeros(2, 3, 4, 6, dtype=torch.uint8), 1, "wrap", "fill='wrap': expected one of edge, zeros"),
    ],
)
def test_refuses(images: Tensor, padding: int, fill: Fill, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_crop_flip(images, padding=padding, flip=True, generator=torch.Generator(), fill=fill)
