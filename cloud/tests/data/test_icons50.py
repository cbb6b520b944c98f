from pathlib import Path

import pytest
from PIL import Image

from groupnl.data import load
from groupnl.data.icons50 import HELD_OUT_SUBTYPES, is_held_out_subtype

FILES = [
    "bird/apple_0_duck.png",
    "bird/apple_0_rubber_duck_toy.png",
    "bird/microsoft_1_rooster.png",
    "bird/google_0_rooster.png",
    "books/google_0_green_book.png",
    "books/emoji-one_0_ledger.png",
    "worker/lg_0_woman_factory_worker.png",
    "worker/lg_2_judge.png",
]


def make(root: Path) -> None:
    for number, name in enumerate(FILES):
        path = root / "Icons-50" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 12), (number, 0, 0)).save(path)


def held_out(root: Path, protocol: str) -> list[str]:
    """Return the names of the test images, checking that the training set has the others."""
    test = load("icons50", split="test", data_dir=root, protocol=protocol)
    train = load("icons50", split="train", data_dir=root, protocol=protocol)
    tested, trained = test.images[:, 0, 0, 0].tolist(), train.images[:, 0, 0, 0].tolist()
    assert sorted(tested + trained) == list(range(len(FILES)))
    for data in (train, test):
        assert data.class_names == ("bird", "books", "worker")
        of_image = [FILES[number].split("/")[0] for number in data.images[:, 0, 0, 0].tolist()]
        assert [data.class_names[label] for label in data.labels.tolist()] == of_image
    return [FILES[number] for number in tested]


def test_style_protocols(tmp_path: Path) -> None:
    make(tmp_path)
    assert held_out(tmp_path, "style") == ["bird/microsoft_1_rooster.png"]
    assert held_out(tmp_path, "style:emoji-one") == ["books/emoji-one_0_ledger.png"]
    with pytest.raises(ValueError, match=r"style:nokia.*one of apple, emoji-one, google, lg, microsoft"):
        load("icons50", split="test", data_dir=tmp_path, protocol="style:nokia")


def test_subtype_protocols(tmp_path: Path) -> None:
    make(tmp_path)
    assert held_out(tmp_path, "subtype") == [
        "bird/apple_0_duck.png",
        "books/emoji-one_0_ledger.png",
        "worker/lg_0_woman_factory_worker.png",
    ]
    assert held_out(tmp_path, "subtype-reference") == [
        "bird/apple_0_duck.png",
        "bird/apple_0_rubber_duck_toy.png",
        "books/emoji-one_0_ledger.png",
        "books/google_0_green_book.png",
        "worker/lg_0_woman_factory_worker.png",
    ]
    assert is_held_out_subtype("monkey")
    assert not is_held_out_subtype("monkey_face")
    assert len(HELD_OUT_SUBTYPES) == len(set(HELD_OUT_SUBTYPES)) == 50


def test_the_random_split_takes_a_tenth_of_each_class(tmp_path: Path) -> None:
    for number in range(30):
        path = tmp_path / "Icons-50" / ("a" if number < 20 else "b") / f"lg_0_x{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path)
    test = load("icons50", split="test", data_dir=tmp_path)
    assert test.labels.tolist() == [0, 0, 1]
    assert test.images.shape == (3, 3, 32, 32)
    assert len(load("icons50", split="train", data_dir=tmp_path)) == 27


def test_an_empty_side_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    for path in (tmp_path / "Icons-50").glob("*/microsoft*"):
        path.unlink()
    with pytest.raises(ValueError, match="protocol 'style' leaves no image for the test set"):
        load("icons50", split="test", data_dir=tmp_path, protocol="style")


def test_absent_and_misnamed_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"Icons-50 is not there.*github\.com/hendrycks/robustness"):
        load("icons50", split="train", data_dir=tmp_path)
    (tmp_path / "Icons-50").mkdir()
    with pytest.raises(FileNotFoundError, match=r"<class>/\*\.png"):
        load("icons50", split="train", data_dir=tmp_path)
    make(tmp_path)
    Image.new("RGB", (4, 4)).save(tmp_path / "Icons-50" / "bird" / "photo.png")
    with pytest.raises(ValueError, match=r"photo\.png: expected a name of the form <style>_<rendition>_<subtype>\.png"):
        load("icons50", split="train", data_dir=tmp_path)


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "Icons-50" / "bird" / "google_0_rooster.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"google_0_rooster\.png: not a picture"):
        load("icons50", split="train", data_dir=tmp_path, protocol="style")
