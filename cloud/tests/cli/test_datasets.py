"""What follows from a data set: a net's preprocessing, and which constants corrupt it."""

import pytest
import torch

from groupnl.cli.datasets import load_split, preprocessing_of, variant_of


def test_preprocessing_follows_from_the_training_set(folder):
    train = load_split("folder", "train", folder, "random", 8)
    preprocessing = preprocessing_of(train)
    assert preprocessing.input_size == (3, 8, 8)
    pixels = train.images.double() / 255
    mean, std = pixels.mean(dim=(0, 2, 3)), pixels.std(dim=(0, 2, 3), unbiased=False)
    torch.testing.assert_close(torch.tensor(preprocessing.mean, dtype=torch.double), mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.tensor(preprocessing.std, dtype=torch.double), std, atol=1e-4, rtol=0)


def test_constants_follow_from_the_size_of_the_pictures(folder):
    sides = {32: "cifar", 84: "cifar", 85: "imagenet", 224: "imagenet"}
    for side, expected in sides.items():
        assert variant_of(None, load_split("folder", "test", folder, "random", side)) == expected
    small = load_split("folder", "test", folder, "random", 8)
    assert variant_of("imagenet", small) == "imagenet"
    with pytest.raises(ValueError, match="--variant 'mnist': expected cifar or imagenet"):
        variant_of("mnist", small)
