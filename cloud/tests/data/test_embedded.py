import hashlib
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groupnl.data import ImageSet, embedded, load


def both(protocol: str = "random") -> tuple[ImageSet, ImageSet]:
    return load("openicons", split="train", protocol=protocol), load("openicons", split="test", protocol=protocol)


def test_about_twenty_classes_of_at_least_a_hundred_pictures() -> None:
    train, test = both()
    counts = Counter(torch.cat([train.labels, test.labels]).tolist())
    assert 18 <= len(train.class_names) <= 24
    assert sorted(counts) == list(range(len(train.class_names)))
    assert min(counts.values()) >= 100
    assert max(counts.values()) <= 300
    assert train.images.shape[1:] == (3, 32, 32)
    assert train.class_names == test.class_names


@pytest.mark.parametrize("protocol", ["random", "style", "subtype", "style:noto"])
def test_train_and_test_are_the_whole_without_overlap(protocol: str) -> None:
    train, test = both(protocol)
    icons = embedded.index()
    assert len(train) + len(test) == len(icons)
    tested = [icon for icon in icons if icon.is_test(protocol)]
    assert len(tested) == len(test)
    assert [test.class_names[label] for label in test.labels.tolist()] == [icon.label for icon in tested]
    seen = {image.numpy().tobytes() for image in train.images}
    assert not any(image.numpy().tobytes() in seen for image in test.images)


def test_the_random_split_tests_a_fifth_of_each_class() -> None:
    train, test = both()
    for label in range(len(train.class_names)):
        tested, all_of_it = (
            int((test.labels == label).sum()),
            int((test.labels == label).sum() + (train.labels == label).sum()),
        )
        assert tested == round(0.2 * all_of_it)


def test_the_random_split_is_by_hash() -> None:
    for label in ("heart", "sky"):
        mine = [icon for icon in embedded.index() if icon.label == label]
        ordered = sorted(mine, key=lambda i: hashlib.sha256(f"random/{i.style}/{i.code}".encode()).hexdigest())
        assert set(ordered[: round(0.2 * len(mine))]) == {icon for icon in mine if icon.random == "test"}


def test_the_style_split_holds_out_one_set_whole() -> None:
    icons = embedded.index()
    for protocol, style in (("style", "fluent-emoji-flat"), ("style:noto-v1", "noto-v1")):
        assert {icon.style for icon in icons if icon.is_test(protocol)} == {style}
        assert style not in {icon.style for icon in icons if not icon.is_test(protocol)}


def test_the_subtype_split_holds_out_emoji_in_all_sets() -> None:
    icons = embedded.index()
    tested = {icon.code for icon in icons if icon.is_test("subtype")}
    assert not tested & {icon.code for icon in icons if not icon.is_test("subtype")}
    assert {icon.label for icon in icons if icon.is_test("subtype")} == {icon.label for icon in icons}


def test_no_two_pictures_are_alike_even_mirrored() -> None:
    """Root-mean-square difference of at least 12 levels between any two, the bound that the build promises."""
    images = torch.cat([part.images for part in both()])
    flat, mirrored = images.flatten(1).double(), images.flip(3).flatten(1).double()
    squares = (flat**2).sum(1)
    limit = 12.0**2 * flat.shape[1]
    for start in range(0, len(flat), 256):
        block = flat[start : start + 256]
        rows = torch.arange(len(block))
        for other in (flat, mirrored):
            distance = squares[start : start + 256, None] + squares - 2 * (block @ other.T)
            distance[rows, rows + start] = (
                limit  # a picture against itself; symmetric icons equal their own mirror image
            )
            assert float(distance.min()) >= limit


def test_no_picture_is_blank() -> None:
    for part in both():
        visible = (part.images.amin(1) < 245).flatten(1).float().mean(1)
        assert float(visible.min()) >= 0.02


def test_no_skin_tone_and_no_gender_variant() -> None:
    """No skin-tone modifier, no female or male sign among the code points."""
    variants = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff", "2640", "2642"}
    for icon in embedded.index():
        assert not variants & set(icon.code.split("-")), icon
        assert "skin tone" not in icon.subtype


def test_shipped_files_are_those_that_the_build_made() -> None:
    files = {file.name: file for file in embedded.files()}
    sums = embedded.manifest()["sha256"]
    assert {name for name in files if name.endswith((".png", ".csv"))} == set(sums)
    for name, expected in sums.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == expected, name
    sizes = [len(file.read_bytes()) for file in files.values()]
    assert sum(sizes) < 8_000_000
    assert max(sizes) < 1_000_000


def test_the_wheel_carries_the_dataset(tmp_path: Path) -> None:
    """Files that version control ignores are silently left out of a wheel: see that these are in it."""
    pytest.importorskip("hatchling", reason="builds a wheel")
    project = Path(embedded.__file__).parents[3]
    if not (project / "pyproject.toml").is_file():
        pytest.skip("not run from a source checkout")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        for file in embedded.files():
            assert content.read(f"groupnl/data/openicons/{file.name}") == file.read_bytes()


def test_attribution_names_every_set_with_version_and_licence() -> None:
    text, sources = embedded.attribution(), embedded.manifest()["sources"]
    for style in embedded.STYLES:
        assert f"`@iconify-json/{style}` {sources[style]}" in text
    for needed in (
        "Microsoft",
        "Mozilla",
        "Google",
        "Twitter",
        "Emojitwo",
        "creativecommons.org/licenses/by/4.0",
        "changed",
    ):
        assert needed in text
    licences = {file.name: file.read_text(encoding="utf-8") for file in embedded.files() if "LICENSE" in file.name}
    assert "Permission is hereby granted, free of charge" in licences["LICENSE-MIT-fluent-emoji.txt"]
    assert "Grant of Copyright License" in licences["LICENSE-Apache-2.0.txt"]


def test_a_known_picture_is_where_the_index_says() -> None:
    """The blue circle of Noto, found through index.csv, is blue in the middle and white in the corners."""
    icons = embedded.index()
    wanted = next(icon for icon in icons if (icon.style, icon.subtype) == ("noto", "blue circle"))
    data = next(part for part in both() if part.split == wanted.random)
    side = [icon for icon in icons if icon.random == data.split]
    position = side.index(wanted)
    image = data.images[position].int()
    red, green, blue = image[:, 16, 16].tolist()
    assert blue > green > red
    assert image[:, 0, 0].min() > 245
    assert data.class_names[data.labels[position]] == "geometric"


def test_image_size_resizes_with_pillow() -> None:
    small, native = load("openicons", split="test", image_size=16), load("openicons", split="test")
    expected = Image.fromarray(native.images[5].permute(1, 2, 0).numpy()).resize((16, 16), Image.Resampling.BILINEAR)
    assert np.array_equal(small.images[5].permute(1, 2, 0).numpy(), np.asarray(expected))


def test_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match=r"style:apple.*one of noto, noto-v1"):
        load("openicons", split="train", protocol="style:apple")
