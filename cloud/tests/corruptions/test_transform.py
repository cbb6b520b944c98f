import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from groupnl.corruptions import EXTRA, SEVERITIES, RandomCorruption, corrupt, names
from groupnl.corruptions import transform as module


def test_a_tensor_is_corrupted_as_corrupt_does_it(pictures: Tensor) -> None:
    step = RandomCorruption(["gaussian_blur"], severities=[4], variant="imagenet")
    assert torch.equal(step(pictures[3]), corrupt(pictures[3:4], "gaussian_blur", severity=4, variant="imagenet")[0])


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_a_pillow_image_of_any_mode_comes_back_as_rgb(pictures: Tensor, mode: str) -> None:
    image = Image.fromarray(pictures[15].permute(1, 2, 0).contiguous().numpy()).convert(mode)
    corrupted = RandomCorruption(["contrast"], severities=[3])(image)
    assert corrupted.mode == "RGB"
    assert corrupted.size == image.size
    pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).unsqueeze(0)
    expected = corrupt(pixels, "contrast", severity=3)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(np.array(corrupted), expected)


def test_choices_follow_torchs_random_state(pictures: Tensor) -> None:
    step = RandomCorruption(EXTRA)
    torch.manual_seed(5)
    first = [step(pictures[0]) for _ in range(6)]
    torch.manual_seed(5)
    again = [step(pictures[0]) for _ in range(6)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({tuple(picture.flatten().tolist()) for picture in first}) == 6


def test_every_choice_is_as_likely_as_the_others(pictures: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[tuple[str, int]] = Counter()
    seeds = set()

    def spy(images: Tensor, name: str, *, severity: int, seed: int, **_: Any) -> Tensor:
        seen[name, severity] += 1
        seeds.add(seed)
        return images

    monkeypatch.setattr(module, "corrupt", spy)
    torch.manual_seed(0)
    step = RandomCorruption(["fog", "snow"], probability=0.75)
    for _ in range(4000):
        step(pictures[0])
    assert set(seen) == {(name, severity) for name in ("fog", "snow") for severity in SEVERITIES}
    assert abs(seen.total() - 3000) < 120
    assert all(abs(count - 300) < 75 for count in seen.values())
    assert len(seeds) == seen.total()


def test_probability_zero_hands_the_picture_through(pictures: Tensor) -> None:
    step = RandomCorruption(probability=0.0)
    image = Image.new("L", (5, 4))
    assert step(pictures[0]) is not None
    assert step(image) is image


def test_it_travels_to_the_workers_of_a_loader(pictures: Tensor) -> None:
    step = pickle.loads(pickle.dumps(RandomCorruption(["shot_noise"], severities=(2,), probability=0.5)))
    assert repr(step) == "RandomCorruption(['shot_noise'], severities=[2], variant='cifar', probability=0.5)"
    assert RandomCorruption().corruptions == names("all")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corruptions": ["fog", "frog"]}, r"corruptions=\['fog', 'frog'\]: expected a list of gaussian_noise, "),
        ({"corruptions": []}, r"corruptions=\[\]: expected a list of"),
        ({"corruptions": "fog"}, "corruptions='fog': expected a list of"),
        ({"severities": []}, r"severities=\[\]: expected a list of integers from 1 \(mild\) to 5"),
        ({"severities": [0, 1]}, r"severities=\[0, 1\]"),
        ({"variant": "mnist"}, "variant='mnist': expected 'cifar' or 'imagenet'"),
        ({"probability": 1.5}, "probability=1.5: expected a share from 0 to 1"),
        ({"probability": float("nan")}, "probability=nan"),
    ],
)
def test_wrong_settings_are_refused_when_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomCorruption(**arguments)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (
            torch.zeros(3, 4, 5),
            r"torch.float32 \(3, 4, 5\): expected a Pillow image, or torch.uint8 .* before ToTensor",
        ),
        (torch.zeros(2, 3, 4, 5, dtype=torch.uint8), r"torch.uint8 \(2, 3, 4, 5\)"),
        (np.zeros((4, 5, 3), np.uint8), "the picture is ndarray"),
    ],
)
def test_wrong_pictures_are_refused(picture: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomCorruption()(picture)
