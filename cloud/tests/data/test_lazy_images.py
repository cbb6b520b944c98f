from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from groupnl.data import ImageSet, LazyImages
from groupnl.data.lazy_images import open_pictures
from groupnl_device.preprocessing import Preprocessing

FIT = Preprocessing(input_size=(3, 5, 7), mean=(0.0,) * 3, std=(1.0,) * 3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("pictures")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(root / f"{number}.png")
    return [root / f"{number}.png" for number in range(6)]


@pytest.fixture(scope="module")
def plain(paths: list[Path]) -> Tensor:
    return torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in paths])).permute(0, 3, 1, 2)


KEYS = [
    slice(1, 4), slice(4, 99), slice(0, 0), slice(None, None, 2), 3, -1, [4, 0, 4], torch.tensor([5, 2]),
    torch.tensor([[0, 1], [2, 3]]), torch.tensor([True, False, True, False, False, True]), np.array([1, 3]),
    (slice(1, 3), 1), (2, slice(None), 4), (slice(0, 4), slice(None), slice(1, 3), slice(None, None, 3)), Ellipsis,
    (Ellipsis, 0), None,
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_any_index_gives_what_a_plain_tensor_gives(paths: list[Path], plain: Tensor, key: object) -> None:
    lazy = LazyImages(paths, FIT)
    got = lazy[key]
    assert type(got) is Tensor
    assert torch.equal(got, plain[key])


@settings(deadline=None, max_examples=25)
@given(start=st.integers(-8, 8), stop=st.integers(-8, 8), step=st.integers(1, 3))
def test_slices(paths: list[Path], plain: Tensor, start: int, stop: int, step: int) -> None:
    assert torch.equal(LazyImages(paths, FIT)[start:stop:step], plain[start:stop:step])


def test_only_what_is_asked_for_is_decoded(paths: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    lazy = LazyImages([*paths, broken], FIT)
    assert lazy[:6].shape == (6, 3, 5, 7)
    with pytest.raises(ValueError, match=r"broken\.png: not a picture"):
        lazy[6]
    with pytest.raises(IndexError):
        lazy[7]


def test_looks_like_a_tensor_and_computes_like_one(paths: list[Path], plain: Tensor) -> None:
    lazy = LazyImages(paths, FIT)
    assert isinstance(lazy, Tensor)
    assert (len(lazy), lazy.ndim, lazy.dtype, lazy.device.type) == (6, 4, torch.uint8, "cpu")
    assert lazy.shape == plain.shape
    assert lazy.numel() == plain.numel()
    assert repr(lazy) == "LazyImages(6 pictures of 5 x 7 pixels)"
    assert torch.equal(lazy.float().mean((0, 2, 3)), plain.float().mean((0, 2, 3)))
    assert torch.equal(torch.cat([lazy, plain]), torch.cat([plain, plain]))
    assert type(lazy + 1) is Tensor
    assert np.array_equal(lazy.numpy(), plain.numpy())


def test_an_image_set_takes_them(paths: list[Path], plain: Tensor) -> None:
    def build(images: Tensor) -> ImageSet:
        return ImageSet(
            name="made",
            split="test",
            images=images,
            labels=torch.tensor([0, 1, 0, 1, 0, 1]),
            class_names=("a", "b"),
            horizontal_flip=False,
            files=tuple(path.name for path in paths),
        )

    lazy, whole = build(LazyImages(paths, FIT)), build(plain.contiguous())
    assert lazy.channel_stats() == whole.channel_stats()
    some = lazy.subset([4, 1])
    assert torch.equal(some.images, plain[[4, 1]])
    assert some.files == ("4.png", "1.png")
    assert isinstance(lazy.to("cpu").images, LazyImages)


def test_decoded_at_once_only_where_memory_suffices(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    needed = 6 * 3 * 5 * 7
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * needed))
    assert type(open_pictures(paths, FIT, in_memory=None)) is Tensor
    assert isinstance(open_pictures(paths, FIT, in_memory=False), LazyImages)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * needed - 2))
    lazy = open_pictures(paths, FIT, in_memory=None)
    assert isinstance(lazy, LazyImages)
    assert lazy[:3].shape == (3, 3, 5, 7)
    for refused in (lambda: open_pictures(paths, FIT, in_memory=True), lazy.whole, lambda: lazy + 1, lazy.numpy):
        with pytest.raises(ValueError, match="more than half"):
            refused()
