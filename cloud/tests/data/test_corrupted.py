"""Corrupted sets in small copies of the published layouts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groupnl.data import ImageSet, find_corrupted, load, open_corrupted


def clean_set(count: int = 4, side: int = 6, files: tuple[str, ...] = ()) -> ImageSet:
    return ImageSet(
        name="cifar10",
        split="test",
        images=torch.arange(count * 3 * side * side).remainder(256).to(torch.uint8).reshape(count, 3, side, side),
        labels=torch.tensor([1, 0, 1, 2])[:count],
        class_names=("a", "b", "c"),
        horizontal_flip=False,
        files=files,
    )


def write_npy(root: Path, *, steps: int = 5, count: int = 4, side: int = 6) -> dict[str, np.ndarray]:
    """CIFAR-10-C's layout, with images drawn at random."""
    root.mkdir()
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 256, (steps * count, side, side, 3), dtype=np.uint8) for name in ("fog", "blur_x")}
    for name, array in arrays.items():
        np.save(root / f"{name}.npy", array)
    np.save(root / "labels.npy", np.tile([1, 0, 1, 2], steps))
    return arrays


NAMES = ("n01/x_1.JPEG", "n01/x_2.JPEG", "n02/x_0.JPEG")


def write_tree(root: Path, corruptions: tuple[str, ...], severities: tuple[str, ...], names=NAMES) -> None:
    """ImageNet-C's layout: each picture one grey that tells which it is."""
    for first, corruption in enumerate(corruptions):
        for second, severity in enumerate(severities):
            for third, name in enumerate(names):
                path = root / corruption / severity / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (6, 6), (100 * first + 10 * second + third,) * 3).save(path, "PNG")


def tree_set(names=NAMES) -> ImageSet:
    return ImageSet(
        name="imagenet",
        split="test",
        images=torch.zeros(len(names), 3, 6, 6, dtype=torch.uint8),
        labels=torch.tensor([int(name[2]) - 1 for name in names]),
        class_names=("n01", "n02"),
        horizontal_flip=True,
        files=names,
    )


def greys(images: torch.Tensor) -> list[int]:
    return images[:, 0, 0, 0].tolist()


def test_arrays_as_cifar10c_is_published(tmp_path: Path) -> None:
    arrays = write_npy(tmp_path / "CIFAR-10-C")
    (tmp_path / "CIFAR-10-C" / "._fog.npy").write_bytes(b"what a Mac leaves behind")
    found = open_corrupted(tmp_path / "CIFAR-10-C", clean_set())
    assert (found.name, found.origin, found.source) == ("CIFAR-10-C", "published", "CIFAR-10-C")
    assert found.corruptions == ("blur_x", "fog")
    assert found.severities == (1, 2, 3, 4, 5)
    assert found.frost_source is None
    for name, severity in (("fog", 1), ("fog", 3), ("blur_x", 5)):
        images = found.images(name, severity, range(1, 3))
        assert images.dtype == torch.uint8
        expected = arrays[name][(severity - 1) * 4 + 1 : (severity - 1) * 4 + 3]
        assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), expected)
    assert found.images("fog", 2, range(2, 2)).shape == (0, 3, 6, 6)


def test_images_come_in_the_size_of_the_clean_set(tmp_path: Path) -> None:
    arrays = write_npy(tmp_path / "c", side=5)
    images = open_corrupted(tmp_path / "c", clean_set()).images("fog", 1, range(4))
    expected = np.asarray(Image.fromarray(arrays["fog"][2]).resize((6, 6), Image.Resampling.BILINEAR))
    assert np.array_equal(images[2].permute(1, 2, 0).numpy(), expected)


def test_labels_of_one_severity_are_enough(tmp_path: Path) -> None:
    write_npy(tmp_path / "c")
    np.save(tmp_path / "c" / "labels.npy", np.array([1, 0, 1, 2], dtype=np.uint8))
    assert open_corrupted(tmp_path / "c", clean_set()).severities == (1, 2, 3, 4, 5)


def test_arrays_of_another_set_are_refused(tmp_path: Path) -> None:
    write_npy(tmp_path / "c")
    labels = np.tile([1, 0, 1, 2], 5)
    np.save(tmp_path / "c" / "labels.npy", np.where(np.arange(20) == 17, 2, labels))
    with pytest.raises(ValueError, match=r"labels\.npy: 1 of 20 labels differ from those of cifar10"):
        open_corrupted(tmp_path / "c", clean_set())
    np.save(tmp_path / "c" / "labels.npy", labels[:-1])
    with pytest.raises(ValueError, match=r"labels\.npy: shape \(19,\); expected \(20,\)"):
        open_corrupted(tmp_path / "c", clean_set())
    with pytest.raises(ValueError, match=r"blur_x\.npy: 20 pictures; expected a multiple of the clean set's 3"):
        open_corrupted(tmp_path / "c", clean_set(3))


def test_damaged_arrays_are_named(tmp_path: Path) -> None:
    write_npy(tmp_path / "c")
    path = tmp_path / "c" / "fog.npy"
    whole = path.read_bytes()
    for content in (whole[:-7], b"", b"PK\x03\x04", whole[:20]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"fog\.npy: no array that can be read"):
            open_corrupted(tmp_path / "c", clean_set())
    np.save(path, np.zeros((20, 6, 6, 3), dtype=np.float32))
    with pytest.raises(ValueError, match=r"fog\.npy: float32 of shape \(20, 6, 6, 3\); expected uint8"):
        open_corrupted(tmp_path / "c", clean_set())
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"fog\.npy: no array that can be read"):
        open_corrupted(tmp_path / "c", clean_set())
    np.save(path, np.zeros((8, 6, 6, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="files of 2 and 5 severities; expected all alike"):
        open_corrupted(tmp_path / "c", clean_set())


def test_a_tree_as_imagenetc_is_published(tmp_path: Path) -> None:
    write_tree(tmp_path / "ImageNet-C", ("snow", "fog"), ("1", "2", "3", "4", "5"))
    (tmp_path / "ImageNet-C" / "snow.tar").write_bytes(b"")
    found = open_corrupted(tmp_path / "ImageNet-C", tree_set())
    assert (found.name, found.origin) == ("ImageNet-C", "published")
    assert found.corruptions == ("fog", "snow")
    assert found.severities == (1, 2, 3, 4, 5)
    assert greys(found.images("snow", 2, range(3))) == [10, 11, 12]
    assert greys(found.images("fog", 5, range(1, 3))) == [141, 142]


def test_order_is_that_of_the_clean_set_and_a_part_of_it_will_do(tmp_path: Path) -> None:
    write_tree(tmp_path / "c", ("fog",), ("1",))
    turned = tree_set(tuple(reversed(NAMES)))
    assert greys(open_corrupted(tmp_path / "c", turned).images("fog", 1, range(3))) == [2, 1, 0]
    part = tree_set(NAMES[1:2])
    assert greys(open_corrupted(tmp_path / "c", part).images("fog", 1, range(1))) == [1]


def test_suffixes_may_differ(tmp_path: Path) -> None:
    write_tree(tmp_path / "c", ("fog",), ("1",), tuple(name.replace("JPEG", "png") for name in NAMES))
    assert greys(open_corrupted(tmp_path / "c", tree_set()).images("fog", 1, range(3))) == [0, 1, 2]


def test_families_as_the_tars_unpack_and_other_names_of_severities(tmp_path: Path) -> None:
    write_tree(tmp_path / "ImageNet-C", ("noise/shot", "blur/zoom"), ("1", "2"))
    assert open_corrupted(tmp_path / "ImageNet-C", tree_set()).corruptions == ("shot", "zoom")
    write_tree(tmp_path / "ImageNet-C-bar", ("plasma",), ("10.00", "2.50"))
    bar = open_corrupted(tmp_path / "ImageNet-C-bar", tree_set())
    assert bar.severities == (1, 2)
    assert greys(bar.images("plasma", 1, range(3))) == [10, 11, 12]  # 2.50 is the milder one


def test_numbers_as_class_names_are_no_severities(tmp_path: Path) -> None:
    names = ("00000/1.png", "00001/2.png")
    write_tree(tmp_path / "c", ("fog",), ("1", "2"), names)
    data = ImageSet(
        name="gtsrb",
        split="test",
        images=torch.zeros(2, 3, 6, 6, dtype=torch.uint8),
        labels=torch.tensor([0, 1]),
        class_names=("00000", "00001"),
        horizontal_flip=False,
        files=names,
    )
    assert open_corrupted(tmp_path / "c", data).corruptions == ("fog",)


def test_other_names_are_paired_by_class_where_each_class_is_whole(tmp_path: Path) -> None:
    other = ("n01/test_7.JPEG", "n01/test_8.JPEG", "n02/test_1.JPEG")
    write_tree(tmp_path / "c", ("fog",), ("1",), other)
    turned = tree_set((NAMES[1], NAMES[2], NAMES[0]))
    assert greys(open_corrupted(tmp_path / "c", turned).images("fog", 1, range(3))) == [1, 2, 0]
    with pytest.raises(FileNotFoundError, match=r"no copy of n01/x_1\.JPEG \(2 of 2 pictures are missing\)"):
        open_corrupted(tmp_path / "c", tree_set((NAMES[0], NAMES[2])))


def test_trees_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "c"
    write_tree(root, ("fog", "snow"), ("1", "2"))
    with pytest.raises(ValueError, match=r"the images of cifar10 have no names"):
        open_corrupted(root, clean_set())
    (root / "fog" / "1" / NAMES[1]).unlink()
    with pytest.raises(FileNotFoundError, match=r"fog/1: no copy of n01/x_2\.JPEG \(1 of 3 pictures are missing\)"):
        open_corrupted(root, tree_set())
    write_tree(root, ("fog", "snow"), ("1", "2"))
    (root / "snow" / "2" / NAMES[2]).unlink()
    found = open_corrupted(root, tree_set())
    with pytest.raises(FileNotFoundError, match=r"x_0\.JPEG"):
        found.images("snow", 2, range(3))
    (root / "snow" / "2" / "n02").rmdir()
    with pytest.raises(FileNotFoundError, match=r"snow/2: no folder n02 \(1 of 2 classes are missing\)"):
        open_corrupted(root, tree_set())
    write_tree(root, ("snow",), ("1", "2", "3"))
    with pytest.raises(ValueError, match="fog has severities 1, 2, snow has 1, 2, 3: expected the same of all"):
        open_corrupted(root, tree_set())
    with pytest.raises(FileNotFoundError, match="no such folder; expected a corrupted set"):
        open_corrupted(tmp_path / "nowhere", tree_set())
    (tmp_path / "empty" / "what").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"empty: no corruption in it; expected <corruption>\.npy"):
        open_corrupted(tmp_path / "empty", tree_set())


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    write_npy(tmp_path / "c")
    found = open_corrupted(tmp_path / "c", clean_set())
    with pytest.raises(ValueError, match="c has no 'snow': it has blur_x, fog"):
        found.images("snow", 1, range(1))
    with pytest.raises(ValueError, match="c has no severity 6: it has 1, 2, 3, 4, 5"):
        found.images("fog", 6, range(1))
    for batch in (range(3, 5), range(-1, 2), range(0, 4, 2)):
        with pytest.raises(ValueError, match="expected a range within 0 to 4, step 1"):
            found.images("fog", 1, batch)


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    write_npy(tmp_path / "c")
    manifest = tmp_path / "c" / "groupnl-corruptions.json"
    for content, message in (
        ("{", "no manifest that can be read"),
        ("[]", "no JSON object"),
        (json.dumps({"format_version": 2}), "format_version 2; this version reads 1"),
        (json.dumps({"format_version": 1, "header": {"seed": 0}, "finished": {}}), "expected a header of"),
    ):
        manifest.write_text(content)
        with pytest.raises(ValueError, match=f"groupnl-corruptions.json.*{message}"):
            open_corrupted(tmp_path / "c", clean_set())


def test_published_sets_are_found_beside_the_data(tmp_path: Path) -> None:
    data_dir = tmp_path / "sets" / "imagenet"
    data_dir.mkdir(parents=True)
    assert find_corrupted("imagenet", data_dir) is None
    (tmp_path / "sets" / "ImageNet-C").mkdir()
    (tmp_path / "sets" / "CIFAR-100-C").mkdir()
    assert find_corrupted("imagenet", data_dir) == tmp_path / "sets" / "ImageNet-C"
    assert find_corrupted("cifar100", tmp_path / "sets") == tmp_path / "sets" / "CIFAR-100-C"
    assert find_corrupted("cifar10", tmp_path / "sets") is None
    assert find_corrupted("folder", tmp_path / "sets") is None
    assert find_corrupted("openicons", None) is None


def test_real_folders_have_names_to_match_by(tmp_path: Path) -> None:
    for name in ("val/n01/x_1.png", "val/n02/sub/x_2.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (6, 6)).save(path)
    data = load("folder", split="test", data_dir=tmp_path)
    assert data.files == ("n01/x_1.png", "n02/sub/x_2.png")
    write_tree(tmp_path / "c", ("fog",), ("1",), data.files)
    assert greys(open_corrupted(tmp_path / "c", data).images("fog", 1, range(2))) == [0, 1]
