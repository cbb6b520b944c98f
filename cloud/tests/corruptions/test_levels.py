import numpy as np
import torch

from groupnl.corruptions.levels import divide, to_levels, to_unit


def test_to_unit_is_the_correctly_rounded_quotient() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert to_unit(levels).tolist() == [level / 255 for level in range(256)]


def test_every_level_survives_the_way_there_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    expected = (np.arange(256) / 255 * 255).astype(np.uint8)
    assert np.array_equal(to_levels(to_unit(levels)).numpy(), expected)


def test_to_levels_truncates_and_clips() -> None:
    unit = torch.tensor([-1.0, -1e-9, 0.0, 0.9999 / 255, 1.9999 / 255, 0.999, 1.0, 7.0], dtype=torch.float64)
    assert to_levels(unit).tolist() == [0, 0, 0, 0, 1, 254, 255, 255]


def test_divide_is_a_true_division() -> None:
    values = torch.arange(1, 2000, dtype=torch.float64)
    assert divide(values, 49.0).tolist() == [value / 49.0 for value in range(1, 2000)]


def test_divide_stays_in_float32() -> None:
    values = torch.arange(1, 2000, dtype=torch.float32)
    assert np.array_equal(divide(values, 49).numpy(), values.numpy() / np.float32(49))
