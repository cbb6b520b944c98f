"""The door, and the real datasets where GROUPNL_DATA_DIR says they lie."""

import os
from collections import Counter
from pathlib import Path

import pytest
import torch

from groupnl.data import load, names, protocols
from groupnl_device.preprocessing import Preprocessing

REAL = os.environ.get("GROUPNL_DATA_DIR")


def real(folder: str) -> Path:
    if REAL is None:
        pytest.skip("GROUPNL_DATA_DIR is not set: no real data to read")
    if not (Path(REAL) / folder).is_dir():
        pytest.skip(f"no {folder} under GROUPNL_DATA_DIR")
    return Path(REAL)


def test_names_and_protocols() -> None:
    assert names() == (
        "openicons", "cifar10", "cifar100", "gtsrb", "icons50", "tiny-imagenet", "imagenet", "folder"
    )  # fmt: skip
    assert all(protocols(name)[0] == "random" for name in names())
    assert protocols("icons50") == ("random", "style", "subtype", "subtype-reference")


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dataset 'mnist' is unknown: expected one of openicons, cifar10"):
        load("mnist", split="train")
    with pytest.raises(ValueError, match="split='val': expected 'train' or 'test'"):
        load("openicons", split="val")
    with pytest.raises(ValueError, match="protocol='subtype': expected one of random for cifar10"):
        load("cifar10", split="train", data_dir=tmp_path, protocol="subtype")
    with pytest.raises(ValueError, match="protocol='style:x': expected one of random for gtsrb"):
        load("gtsrb", split="train", data_dir=tmp_path, protocol="style:x")
    with pytest.raises(ValueError, match="image_size=0"):
        load("openicons", split="train", image_size=0)
    for name in names()[1:]:
        with pytest.raises(ValueError, match=f"data_dir is needed for {name}"):
            load(name, split="train")


def test_a_preprocessing_gives_the_side_of_sets_that_keep_whole_pictures(tmp_path: Path) -> None:
    square = Preprocessing(input_size=(3, 40, 40), mean=(0.5,) * 3, std=(0.5,) * 3, crop_pct=0.5, crop_mode="center")
    by_size = load("openicons", split="test", image_size=40)
    assert torch.equal(load("openicons", split="test", preprocessing=square).images, by_size.images)
    with pytest.raises(ValueError, match="a preprocessing to 40 x 40 pixels and image_size=32: expected a square"):
        load("openicons", split="test", preprocessing=square, image_size=32)
    wide = Preprocessing(input_size=(3, 40, 50), mean=(0.5,) * 3, std=(0.5,) * 3)
    with pytest.raises(ValueError, match="a preprocessing to 40 x 50 pixels"):
        load("openicons", split="test", preprocessing=wide)


def test_the_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "pictures")):
        load("cifar10", split="test", data_dir="~/pictures")


def test_real_cifar10() -> None:
    data_dir = real("cifar-10-batches-py")
    train, test = (load("cifar10", split=split, data_dir=data_dir) for split in ("train", "test"))
    assert set(Counter(train.labels.tolist()).values()) == {5000}
    assert set(Counter(test.labels.tolist()).values()) == {1000}
    mean, std = train.channel_stats()
    assert mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=2e-3)  # as often published
    assert std == pytest.approx((0.2470, 0.2435, 0.2616), abs=4e-3)
    assert train.class_names[3] == "cat"


def test_real_gtsrb() -> None:
    data_dir = real("gtsrb")
    test = load("gtsrb", split="test", data_dir=data_dir)
    assert len(test) == 12_630
    assert len(test.labels.unique()) == 43
    assert test.labels[:5].tolist() == [16, 1, 38, 33, 11]


@pytest.mark.parametrize(
    ("protocol", "count"), [("style", 1265), ("subtype", 1155), ("subtype-reference", 1486), ("random", 1001)]
)
def test_real_icons50(protocol: str, count: int) -> None:
    data_dir = real("Icons-50")
    test = load("icons50", split="test", data_dir=data_dir, protocol=protocol)
    assert len(test) == count
    assert len(test.class_names) == 50


def test_real_imagenet_sample_has_the_labels_of_pretrained_nets() -> None:
    data_dir = real("imagenet-sample")
    sample = load("imagenet", split="test", data_dir=data_dir / "imagenet-sample")
    assert sample.labels.tolist() == list(range(0, 1000, 10))
    assert sample.images.shape == (100, 3, 224, 224)
    assert sample.class_names[:1] == ("tench",)
