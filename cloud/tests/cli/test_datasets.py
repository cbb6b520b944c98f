"""What a net that is trained on a set gets as its preprocessing."""

import torch

from groupnl.cli.datasets import load_split, preprocessing_of


def test_preprocessing_follows_from_the_training_set(folder):
    train = load_split("folder", "train", folder, "random", 8)
    preprocessing = preprocessing_of(train)
    assert preprocessing.input_size == (3, 8, 8)
    pixels = train.images.double() / 255
    mean, std = pixels.mean(dim=(0, 2, 3)), pixels.std(dim=(0, 2, 3), unbiased=False)
    torch.testing.assert_close(torch.tensor(preprocessing.mean, dtype=torch.double), mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.tensor(preprocessing.std, dtype=torch.double), std, atol=1e-4, rtol=0)
