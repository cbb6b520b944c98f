import importlib
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groupnl.corruptions import FrostPhotographs, find_frost_photographs
from groupnl.corruptions import frost_photographs as module

VARIABLE = "GROUPNL_FROST_DIR"


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(module, "PACKAGES", ("groupnl_no_such_package",))


def write(folder: Path, count: int, *, level: int = 0, ending: str = "png") -> Path:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        pixels = np.full((20, 30, 3), level + number, np.uint8)
        Image.fromarray(pixels).save(folder / f"frost{number}.{ending}")
    return folder


def first_levels(found: FrostPhotographs) -> list[int]:
    return [int(image[0, 0, 0]) for image in found.images]


def test_a_folder_gives_its_first_five_pictures(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", 6)
    (folder / "readme.txt").write_text("no picture")
    found = find_frost_photographs(folder)
    assert first_levels(found) == [1, 2, 3, 4, 5]
    assert all(image.dtype == torch.uint8 and image.shape == (3, 20, 30) for image in found.images)
    assert found.source.startswith("5 photographs, sha256 ")
    assert found.source != find_frost_photographs(write(tmp_path / "other", 6, level=1)).source


def test_a_grey_or_transparent_picture_becomes_rgb(tmp_path: Path) -> None:
    Image.new("RGBA", (12, 9), (1, 2, 3, 0)).save(tmp_path / "a.png")
    Image.new("L", (12, 9), 7).save(tmp_path / "b.png")
    clear, grey = find_frost_photographs(tmp_path).images
    assert clear[:, 0, 0].tolist() == [1, 2, 3]
    assert grey[:, 0, 0].tolist() == [7, 7, 7]


def test_the_order_is_folder_variable_package_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "groupnl_frost_shop"
    write(package / "frost", 2, level=100)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    monkeypatch.setattr(module, "PACKAGES", ("groupnl_no_such_package", "groupnl_frost_shop"))
    assert first_levels(find_frost_photographs()) == [101, 102]
    assert "groupnl_frost_shop" not in sys.modules
    monkeypatch.setenv(VARIABLE, str(write(tmp_path / "named", 1, level=50)))
    assert first_levels(find_frost_photographs()) == [51]
    assert first_levels(find_frost_photographs(write(tmp_path / "given", 1))) == [1]


def test_the_stand_in_warns_once_and_is_labelled() -> None:
    module._stand_in.cache_clear()
    with pytest.warns(UserWarning, match=r"drawn stand-in.*GROUPNL_FROST_DIR.*pip install imagecorruptions-imaug"):
        found = find_frost_photographs()
    assert found.source == "procedural stand-in"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_frost_photographs() is found


def test_unusable_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        find_frost_photographs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no picture \(\.png, "):
        find_frost_photographs(tmp_path / "empty")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "frost1.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"frost1\.png cannot be read"):
        find_frost_photographs(tmp_path / "broken")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(ValueError, match="gone is not a folder"):
        find_frost_photographs()


def test_a_truncated_picture_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    folder.mkdir()
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 256, (60, 60, 3)).astype(np.uint8)).save(folder / "frost1.png")
    whole = (folder / "frost1.png").read_bytes()
    (folder / "frost1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"frost1\.png cannot be read"):
        find_frost_photographs(folder)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ((), "none given, expected at least one"),
        ((torch.zeros(3, 8, 8),), r"torch.float32 of shape \(3, 8, 8\): expected torch.uint8"),
        ((torch.zeros(8, 8, 3, dtype=torch.uint8),), r"shape \(8, 8, 3\): expected torch.uint8 of shape \(3, H, W\)"),
        ((torch.zeros(3, 0, 8, dtype=torch.uint8),), r"shape \(3, 0, 8\)"),
    ],
)
def test_what_is_no_photograph_is_refused(images: tuple[torch.Tensor, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrostPhotographs(images=images, source="test")
