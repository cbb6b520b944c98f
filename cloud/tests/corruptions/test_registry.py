import pytest

from groupnl.corruptions import CORRUPTIONS, SEVERITIES, names

# From the published generators, typed again on purpose: a slip of the finger in the table must not pass.
PUBLISHED = {
    ("gaussian_noise", "cifar"): [(0.04,), (0.06,), (0.08,), (0.09,), (0.10,)],
    ("gaussian_noise", "imagenet"): [(0.08,), (0.12,), (0.18,), (0.26,), (0.38,)],
    ("shot_noise", "cifar"): [(500,), (250,), (100,), (75,), (50,)],
    ("shot_noise", "imagenet"): [(60,), (25,), (12,), (5,), (3,)],
    ("defocus_blur", "cifar"): [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
    ("defocus_blur", "imagenet"): [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)],
    ("brightness", "cifar"): [(0.05,), (0.1,), (0.15,), (0.2,), (0.3,)],
    ("brightness", "imagenet"): [(0.1,), (0.2,), (0.3,), (0.4,), (0.5,)],
    ("contrast", "cifar"): [(0.75,), (0.5,), (0.4,), (0.3,), (0.15,)],
    ("contrast", "imagenet"): [(0.4,), (0.3,), (0.2,), (0.1,), (0.05,)],
    ("pixelate", "cifar"): [(0.95,), (0.9,), (0.85,), (0.75,), (0.65,)],
    ("pixelate", "imagenet"): [(0.6,), (0.5,), (0.4,), (0.3,), (0.25,)],
    ("jpeg_compression", "cifar"): [(80,), (65,), (58,), (50,), (40,)],
    ("jpeg_compression", "imagenet"): [(25,), (18,), (15,), (10,), (7,)],
}


def test_every_constant_is_the_published_one() -> None:
    table = {
        (name, variant): [tuple(corruption.constants(variant, severity).values()) for severity in SEVERITIES]
        for name, corruption in CORRUPTIONS.items()
        for variant in ("cifar", "imagenet")
    }
    assert table == PUBLISHED


def test_names_all_and_by_family() -> None:
    assert set(names("all")) == {name for name, _ in PUBLISHED}
    assert names() == names("all")
    assert names("noise") == ("gaussian_noise", "shot_noise")
    assert names("blur") == ("defocus_blur",)
    assert names("weather") == ("brightness",)
    assert names("digital") == ("contrast", "pixelate", "jpeg_compression")


def test_an_unknown_selection_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"selection='photo': expected 'all' or a family: noise, blur, weather, digital"
    ):
        names("photo")  # type: ignore[arg-type]
