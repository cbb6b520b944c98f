import importlib.util

import numpy as np
import pytest
from benchmarks.corruption_originals import GIVE, Original, magick_motion_blur
from benchmarks.corruptions_agreement import main

from benchmarks import pages
from groupnl.corruptions import CORRUPTIONS, SEVERITIES


def test_every_corruption_has_its_constants_and_draws() -> None:
    assert {*GIVE, "elastic_transform"} == set(CORRUPTIONS)
    for name, corruption in CORRUPTIONS.items():
        if name in GIVE and not corruption.draws.__name__.startswith("glass"):
            for severity in SEVERITIES:
                draws = {"angles": np.float64(3.0), "fractions": np.zeros((3, 2, 2)), "noise": np.zeros((3, 2, 2))}
                given, _, _ = GIVE[name](corruption.constants("cifar", severity), draws)
                constants = dict(corruption.constants("cifar", severity))
                constants.pop("every", None)
                expected = np.arange(1, constants["stop"], 0.01) if name == "zoom_blur" else list(constants.values())
                np.testing.assert_array_equal(np.atleast_1d(given), expected)


def test_motion_blur_by_hand() -> None:
    row = np.zeros((1, 6), np.uint8)
    row[0, 3] = 200
    bell = np.exp(-(np.arange(3) ** 2) / 2)
    expected = np.array([[0, *(200 * bell / bell.sum())[::-1], 0, 0]])
    # 1 radius: 3 steps; 0 degrees: each pixel sees the next two to its right
    np.testing.assert_allclose(magick_motion_blur(row, 1, 1.0, 0.0), np.floor(expected))


def test_snow_is_cut_to_levels_before_the_smear() -> None:
    layer = np.full((4, 4), 0.5)
    assert (magick_motion_blur(layer, 2, 1.0, -90.0) == 127 / 255).all()


def test_without_the_package_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["corruptions_agreement"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="pip install imagecorruptions-imaug"):
        main()


@pytest.mark.skipif(
    importlib.util.find_spec("imagecorruptions") is None, reason="imagecorruptions-imaug is not installed"
)
def test_the_original_takes_our_constants() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    found = Original()("contrast", picture, {"keep": 1.0}, {})
    assert np.abs(found.astype(int) - picture).max() <= 1


def test_the_table_by_hand() -> None:
    def row(variant: str, levels: int, share: float) -> dict[str, object]:
        return {
            "corruption": "fog", "variant": variant, "images": 7, "max_levels": levels, "share_different": share,
        }  # fmt: skip

    versions = dict.fromkeys(("compared_with", "opencv", "scikit_image", "scipy", "pillow"), "1.2")
    results = {**versions, "rows": [row("cifar", 0, 0.0), row("imagenet", 1, 2.5e-6)]}
    lines = pages.agreement_block(results).splitlines()
    assert lines[2] == "| fog | 0 | none | 1 | 2.5 per million |"
    assert lines[4].startswith("All five severities, 7 pictures for cifar, 7 pictures for imagenet; compared with 1.2,")
