import colorsys
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from groupnl.corruptions.tone import brightness, contrast, hsv_to_rgb, rgb_to_hsv, saturate

AMOUNTS = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5]
KEEPS = [0.75, 0.5, 0.4, 0.3, 0.15, 0.2, 0.1, 0.05]


@pytest.mark.parametrize("amount", AMOUNTS)
def test_brightness_adds_to_the_value_of_hsv(pictures: Tensor, amount: float) -> None:
    some = pictures[::5]
    flat = some.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    expected = np.empty_like(flat)
    for row, (red, green, blue) in enumerate(flat / 255.0):
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        expected[row] = np.uint8(np.array(colorsys.hsv_to_rgb(hue, saturation, min(value + amount, 1.0))) * 255)
    corrupted = brightness(some, amount=amount).permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    difference = np.abs(corrupted.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


def saturated(colour: tuple[int, int, int], gain: float, offset: float) -> list[Fraction]:
    """The definition in exact fractions, in levels: each channel keeps its place between the greatest and the least."""
    top, least = max(colour), min(colour)
    if top == least:
        share, places = Fraction(0), [Fraction(1), Fraction(0), Fraction(0)]  # grey counts as red
    else:
        share = Fraction(top - least, top)
        places = [Fraction(channel - least, top - least) for channel in colour]
    share = min(max(share * Fraction(gain) + Fraction(offset), Fraction(0)), Fraction(1))
    return [top * (1 - share * (1 - place)) for place in places]


@pytest.mark.parametrize(
    ("gain", "offset"), [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2), (2, 0), (5, 0.1), (20, 0.2)]
)
def test_saturate_is_the_exact_value_truncated_except_at_a_tie(pictures: Tensor, gain: float, offset: float) -> None:
    some = pictures[[1, 12, 23, 34], :, :9, :11]
    corrupted = saturate(some, gain=gain, offset=offset).permute(0, 2, 3, 1).reshape(-1, 3).tolist()
    for before, after in zip(some.permute(0, 2, 3, 1).reshape(-1, 3).tolist(), corrupted, strict=True):
        for exact, found in zip(saturated(before, gain, offset), after, strict=True):
            tie = abs(exact - round(exact)) < Fraction(1, 10**10)
            assert found in ({round(exact), round(exact) - 1} if tie else {math.floor(exact)})


def test_saturate_keeps_grey_or_turns_it_red() -> None:
    grey = torch.full((1, 3, 2, 2), 200, dtype=torch.uint8)
    assert torch.equal(saturate(grey, gain=20, offset=0), grey)
    assert saturate(grey, gain=2, offset=0.2)[0, :, 0, 0].tolist() == [200, 160, 160]


def test_hue_saturation_and_value_of_every_kind_of_colour() -> None:
    rng = np.random.default_rng(3)
    colours = np.concatenate([rng.integers(0, 256, (300, 3)), rng.integers(0, 3, (300, 3)) * 127]) / 255.0
    unit = torch.from_numpy(colours).reshape(20, 30, 3).permute(0, 2, 1).unsqueeze(2)
    hue, saturation, value = rgb_to_hsv(unit)
    expected = np.array([colorsys.rgb_to_hsv(*colour) for colour in colours])
    found = torch.stack([hue, saturation, value], -1).reshape(-1, 3).numpy()
    turn = np.abs(found - expected)
    turn[:, 0] = np.minimum(turn[:, 0], 1 - turn[:, 0])  # hue 0 and 1 are the same
    assert turn.max() < 1e-12
    torch.testing.assert_close(hsv_to_rgb(hue, saturation, value), unit, rtol=0, atol=1e-12)


@pytest.mark.parametrize("keep", KEEPS)
def test_contrast_agrees_with_its_definition_on_square_pictures(keep: float) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (400, 32, 32, 3)).astype(np.uint8)
    pixels[::2] = np.clip(pixels[::2] // 4 + 90, 0, 255)
    expected = []
    for picture in pixels / 255.0:
        mean = np.mean(picture, axis=(0, 1), keepdims=True)
        expected.append(np.uint8(np.clip((picture - mean) * keep + mean, 0, 1) * 255))
    corrupted = contrast(torch.from_numpy(pixels).permute(0, 3, 1, 2), keep=keep).permute(0, 2, 3, 1).numpy()
    difference = np.abs(corrupted.astype(int) - np.stack(expected))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


@pytest.mark.parametrize("keep", KEEPS)
def test_contrast_is_the_exact_value_truncated_except_at_a_tie(pictures: Tensor, keep: float) -> None:
    count = pictures.shape[2] * pictures.shape[3]
    exact_keep = Fraction(keep)
    for before, after in zip(pictures[::8].numpy(), contrast(pictures[::8], keep=keep).numpy(), strict=True):
        for channel, corrupted in zip(before.astype(int), after, strict=True):
            mean = Fraction(int(channel.sum()), count)
            for level in np.unique(channel):
                exact = (int(level) - mean) * exact_keep + mean
                found = set(corrupted[channel == level].tolist())
                tie = abs(exact - round(exact)) < Fraction(1, 10**10)
                assert found <= ({round(exact), round(exact) - 1} if tie else {math.floor(exact)})


def test_contrast_leaves_a_flat_picture_as_the_reference_would_with_an_exact_mean() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 5, 7)
    assert torch.equal(contrast(levels, keep=0.3), (levels / 255.0 * 255).to(torch.float64).round().to(torch.uint8))
