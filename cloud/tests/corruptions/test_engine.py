from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from groupnl.corruptions import CORRUPTIONS, SEVERITIES, FrostPhotographs, corrupt, names
from groupnl.corruptions.draws import DrawSource

DETERMINISTIC = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
DETERMINISTIC += ("gaussian_blur", "saturate")
RANDOM = sorted(set(names("all")) - set(DETERMINISTIC))
# In the others a published step changes the kind of damage, or moves pixels less far but blurs more.
EVER_FARTHER = sorted({*names("noise"), "defocus_blur", "zoom_blur", "gaussian_blur", "fog", "brightness", "contrast"})
EVER_FARTHER += ["snow", "pixelate", "jpeg_compression"]
PANES = FrostPhotographs(
    images=tuple(
        torch.randint(0, 256, (3, 180 + i, 240 - i), dtype=torch.uint8, generator=torch.Generator().manual_seed(i))
        for i in range(5)
    ),
    source="noise",
)


@pytest.mark.parametrize("name", names("all"))
@pytest.mark.parametrize("variant", ["cifar", "imagenet"])
def test_every_batch_size_gives_the_same_bits(pictures: Tensor, name: str, variant: Any) -> None:
    together = corrupt(pictures, name, severity=4, variant=variant, seed=11, first_index=100)
    alone = [
        corrupt(pictures[i : i + 1], name, severity=4, variant=variant, seed=11, first_index=100 + i)
        for i in range(len(pictures))
    ]
    sevens = [
        corrupt(pictures[i : i + 7], name, severity=4, variant=variant, seed=11, first_index=100 + i)
        for i in range(0, len(pictures), 7)
    ]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(together, torch.cat(sevens))


@pytest.mark.parametrize("name", names("all"))
def test_pieces_do_not_show(name: str) -> None:
    images = torch.randint(0, 256, (150, 3, 32, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    whole = corrupt(images, name, severity=3, seed=2)
    parts = [
        corrupt(images[:89], name, severity=3, seed=2),
        corrupt(images[89:], name, severity=3, seed=2, first_index=89),
    ]
    assert torch.equal(whole, torch.cat(parts))


@pytest.mark.parametrize("name", names("all"))
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_matter(pictures: Tensor, name: str, threads: int) -> None:
    before = torch.get_num_threads()
    reference = corrupt(pictures, name, severity=2)
    try:
        torch.set_num_threads(threads)
        assert torch.equal(corrupt(pictures, name, severity=2), reference)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", names("all"))
def test_inputs_are_left_alone_and_outputs_are_new(pictures: Tensor, name: str) -> None:
    images = pictures.clone()
    for severity in SEVERITIES:
        corrupted = corrupt(images, name, severity=severity)
        assert torch.equal(images, pictures)
        assert corrupted.dtype == torch.uint8
        assert corrupted.shape == images.shape
        assert corrupted.is_contiguous()
        assert corrupted.data_ptr() != images.data_ptr()


@pytest.mark.parametrize("name", names("all"))
def test_memory_layout_does_not_matter(pictures: Tensor, name: str) -> None:
    last = pictures.contiguous(memory_format=torch.channels_last)
    crop = torch.nn.functional.pad(pictures, (2, 3, 1, 0))[:, :, 1:, 2:-3]
    reference = corrupt(pictures, name, severity=3)
    assert torch.equal(corrupt(last, name, severity=3), reference)
    assert torch.equal(corrupt(crop, name, severity=3), reference)


@pytest.mark.parametrize("name", names("all"))
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3), (45, 33), (224, 160)])
@pytest.mark.parametrize("variant", ["cifar", "imagenet"])
def test_any_size_works(name: str, size: tuple[int, int], variant: Any) -> None:
    images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert corrupt(images, name, severity=5, variant=variant).shape == images.shape


@pytest.mark.parametrize("name", names("all"))
def test_an_empty_batch_stays_empty(name: str) -> None:
    assert corrupt(torch.empty(0, 3, 8, 6, dtype=torch.uint8), name, severity=1).shape == (0, 3, 8, 6)


@pytest.mark.parametrize("name", EVER_FARTHER)
def test_stronger_means_farther_from_the_clean_picture(pictures: Tensor, name: str) -> None:
    far = [(corrupt(pictures, name, severity=s).double() - pictures).abs().mean().item() for s in SEVERITIES]
    assert far[0] > 0 or name == "defocus_blur"
    assert far == sorted(far)
    assert far[-1] > far[0]


@pytest.mark.parametrize("name", RANDOM)
def test_random_ones_follow_their_key(pictures: Tensor, name: str) -> None:
    reference = corrupt(pictures, name, severity=5, seed=1)
    torch.manual_seed(123)
    assert torch.equal(corrupt(pictures, name, severity=5, seed=1), reference)
    assert not torch.equal(corrupt(pictures, name, severity=5, seed=2), reference)
    assert not torch.equal(corrupt(pictures, name, severity=5, seed=1, first_index=1), reference)
    same_picture_twice = corrupt(pictures[:1].repeat(2, 1, 1, 1), name, severity=5)
    assert not torch.equal(same_picture_twice[0], same_picture_twice[1])


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_the_others_draw_nothing(pictures: Tensor, name: str) -> None:
    assert torch.equal(
        corrupt(pictures, name, severity=5, seed=1), corrupt(pictures, name, severity=5, seed=2, first_index=9)
    )


@pytest.mark.parametrize("name", names("all"))
def test_corrupt_is_the_pure_function_on_the_draws_of_the_source(pictures: Tensor, name: str) -> None:
    corruption = CORRUPTIONS[name]
    source = DrawSource(
        seed=8, corruption=name, severity=2, first_index=30, count=len(pictures), device=torch.device("cpu")
    )
    constants: dict[str, Any] = dict(corruption.constants("cifar", 2))
    if name == "frost":
        constants["photographs"] = PANES
    draws = corruption.draws(source, (3, 27, 34), constants)
    expected = corruption.apply(pictures, **draws, **constants)
    found = corrupt(pictures, name, severity=2, seed=8, first_index=30, frost_photographs=PANES)
    assert torch.equal(found, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("name", names("all"))
@pytest.mark.parametrize("variant", ["cifar", "imagenet"])
def test_a_gpu_gives_the_same_bits(pictures: Tensor, name: str, variant: Any) -> None:
    for severity in SEVERITIES:
        on_gpu = corrupt(pictures.cuda(), name, severity=severity, variant=variant, seed=4, first_index=3)
        assert on_gpu.is_cuda
        on_cpu = corrupt(pictures, name, severity=severity, variant=variant, seed=4, first_index=3)
        assert torch.equal(on_gpu.cpu(), on_cpu)


@pytest.mark.parametrize(("severity", "scale"), [(1, 0.04), (3, 0.08), (5, 0.10)])
def test_gaussian_noise_has_the_right_moments(severity: int, scale: float) -> None:
    grey = torch.full((60, 3, 40, 40), 128, dtype=torch.uint8)
    residual = (corrupt(grey, "gaussian_noise", severity=severity).double() + 0.5) / 255 - 128 / 255
    values = residual.flatten().numpy()
    assert abs(values.mean()) < 4 * scale / len(values) ** 0.5
    assert abs(values.std() / scale - 1) < 0.006
    assert abs(scipy.stats.skew(values)) < 0.03
    assert abs(scipy.stats.kurtosis(values)) < 0.05
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.01


@pytest.mark.parametrize(("severity", "photons"), [(1, 500), (3, 100), (5, 50)])
@pytest.mark.parametrize("level", [20, 90, 150])
def test_shot_noise_has_the_right_distribution(severity: int, photons: int, level: int) -> None:
    flat = torch.full((30, 3, 40, 40), level, dtype=torch.uint8)
    found = np.bincount(corrupt(flat, "shot_noise", severity=severity).flatten().numpy(), minlength=256)
    counts = np.arange(4 * photons)
    levels = np.uint8(np.clip(counts / photons, 0, 1) * 255)
    expected = np.bincount(levels, scipy.stats.poisson.pmf(counts, level / 255 * photons), minlength=256) * found.sum()
    assert found[expected < 1e-9].sum() == 0
    often = expected > 5
    rest = [found[~often].sum()], [max(expected[~often].sum(), 1e-12)]
    statistic = ((found[often] - expected[often]) ** 2 / expected[often]).sum() + (rest[0][0] - rest[1][0]) ** 2 / max(
        rest[1][0], 5
    )
    assert scipy.stats.chi2.sf(statistic, often.sum()) > 1e-3


def images(*shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"severity": 0}, r"severity=0: expected an integer from 1 \(mild\) to 5 \(strong\)"),
        ({"severity": 6}, "severity=6"),
        ({"severity": 2.0}, "severity=2.0"),
        ({"severity": True}, "severity=True"),
        ({"severity": "3"}, "severity='3'"),
        (
            {"name": "gausian_noise"},
            "'gausian_noise' is unknown: expected one of gaussian_noise, shot_noise, impulse",
        ),
        ({"variant": "mnist"}, "variant='mnist': expected 'cifar' or 'imagenet'"),
        ({"seed": 0.5}, "seed=0.5: expected an integer"),
        ({"first_index": -1}, "first_index=-1: expected an integer of at least 0"),
        ({"first_index": 1.0}, "first_index=1.0"),
        ({"images": images(2, 3, 8, 8, dtype=torch.float32)}, "torch.float32: expected torch.uint8 levels"),
        ({"images": images(3, 8, 8)}, r"shape \(3, 8, 8\): expected \(N, 3, H, W\)"),
        ({"images": images(2, 8, 8, 3)}, r"shape \(2, 8, 8, 3\): expected \(N, 3, H, W\)"),
        ({"images": images(2, 1, 8, 8)}, r"shape \(2, 1, 8, 8\)"),
        ({"images": images(2, 3, 0, 8)}, r"shape \(2, 3, 0, 8\).*at least 1"),
        ({"images": np.zeros((2, 3, 8, 8), np.uint8)}, "images are a ndarray: expected a torch.Tensor"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    call: dict[str, Any] = {"images": images(2, 3, 8, 8), "name": "contrast", "severity": 3} | arguments
    with pytest.raises(ValueError, match=message):
        corrupt(call.pop("images"), call.pop("name"), **call)
