import pytest

from groupnl.corruptions import CORRUPTIONS, SEVERITIES, names

# From the published generators, typed again on purpose: a slip of the finger in the table must not pass.
PUBLISHED = {
    ("gaussian_noise", "cifar"): [(0.04,), (0.06,), (0.08,), (0.09,), (0.10,)],
    ("gaussian_noise", "imagenet"): [(0.08,), (0.12,), (0.18,), (0.26,), (0.38,)],
    ("shot_noise", "cifar"): [(500,), (250,), (100,), (75,), (50,)],
    ("shot_noise", "imagenet"): [(60,), (25,), (12,), (5,), (3,)],
    ("impulse_noise", "cifar"): [(0.01,), (0.02,), (0.03,), (0.05,), (0.07,)],
    ("impulse_noise", "imagenet"): [(0.03,), (0.06,), (0.09,), (0.17,), (0.27,)],
    ("defocus_blur", "cifar"): [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
    ("defocus_blur", "imagenet"): [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)],
    ("glass_blur", "cifar"): [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
    ("glass_blur", "imagenet"): [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
    ("motion_blur", "cifar"): [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)],
    ("motion_blur", "imagenet"): [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)],
    ("zoom_blur", "cifar"): [(1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)],
    ("zoom_blur", "imagenet"): [(1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)],
    ("snow", "cifar"): [
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ],
    ("snow", "imagenet"): [
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ],
    ("frost", "cifar"): [(1, 0.2, 5), (1, 0.3, 5), (0.9, 0.4, 5), (0.85, 0.4, 5), (0.75, 0.45, 5)],
    ("frost", "imagenet"): [(1, 0.4, 1), (0.8, 0.6, 1), (0.7, 0.7, 1), (0.65, 0.7, 1), (0.6, 0.75, 1)],
    ("fog", "cifar"): [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)],
    ("fog", "imagenet"): [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
    ("brightness", "cifar"): [(0.05,), (0.1,), (0.15,), (0.2,), (0.3,)],
    ("brightness", "imagenet"): [(0.1,), (0.2,), (0.3,), (0.4,), (0.5,)],
    ("contrast", "cifar"): [(0.75,), (0.5,), (0.4,), (0.3,), (0.15,)],
    ("contrast", "imagenet"): [(0.4,), (0.3,), (0.2,), (0.1,), (0.05,)],
    ("elastic_transform", "cifar"): [
        (0, 0, 32 * 0.08),
        (32 * 0.05, 32 * 0.2, 32 * 0.07),
        (32 * 0.08, 32 * 0.06, 32 * 0.06),
        (32 * 0.1, 32 * 0.04, 32 * 0.05),
        (32 * 0.1, 32 * 0.03, 32 * 0.03),
    ],
    ("elastic_transform", "imagenet"): [
        (244 * 2, 244 * 0.7, 244 * 0.1),
        (244 * 2, 244 * 0.08, 244 * 0.2),
        (244 * 0.05, 244 * 0.01, 244 * 0.02),
        (244 * 0.07, 244 * 0.01, 244 * 0.02),
        (244 * 0.12, 244 * 0.01, 244 * 0.02),
    ],
    ("pixelate", "cifar"): [(0.95,), (0.9,), (0.85,), (0.75,), (0.65,)],
    ("pixelate", "imagenet"): [(0.6,), (0.5,), (0.4,), (0.3,), (0.25,)],
    ("jpeg_compression", "cifar"): [(80,), (65,), (58,), (50,), (40,)],
    ("jpeg_compression", "imagenet"): [(25,), (18,), (15,), (10,), (7,)],
    ("speckle_noise", "cifar"): [(0.06,), (0.1,), (0.12,), (0.16,), (0.2,)],
    ("speckle_noise", "imagenet"): [(0.15,), (0.2,), (0.35,), (0.45,), (0.6,)],
    ("gaussian_blur", "cifar"): [(0.4,), (0.6,), (0.7,), (0.8,), (1,)],
    ("gaussian_blur", "imagenet"): [(1,), (2,), (3,), (4,), (6,)],
    ("spatter", "cifar"): [
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ],
    ("spatter", "imagenet"): [
        (0.65, 0.3, 4, 0.69, 0.6, 0),
        (0.65, 0.3, 3, 0.68, 0.6, 0),
        (0.65, 0.3, 2, 0.68, 0.5, 0),
        (0.65, 0.3, 1, 0.65, 1.5, 1),
        (0.67, 0.4, 1, 0.65, 1.5, 1),
    ],
    ("saturate", "cifar"): [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)],
    ("saturate", "imagenet"): [(0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)],
}

MCE15 = ("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur")
MCE15 += ("snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression")


def test_every_constant_is_the_published_one() -> None:
    table = {
        (name, variant): [tuple(corruption.constants(variant, severity).values()) for severity in SEVERITIES]
        for name, corruption in CORRUPTIONS.items()
        for variant in ("cifar", "imagenet")
    }
    assert table == PUBLISHED


def test_names_are_in_the_order_of_the_papers_tables() -> None:
    assert names("mce15") == MCE15
    assert names() == names("all") == (*MCE15, "speckle_noise", "gaussian_blur", "spatter", "saturate")


def test_names_by_family() -> None:
    assert names("noise") == ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise")
    assert names("blur") == ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur")
    assert names("weather") == ("snow", "frost", "fog", "brightness", "spatter")
    assert names("digital") == ("contrast", "elastic_transform", "pixelate", "jpeg_compression", "saturate")


def test_an_unknown_selection_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"selection='photo': expected 'all', 'mce15' or a family: noise, blur, weather, digital"
    ):
        names("photo")  # type: ignore[arg-type]
