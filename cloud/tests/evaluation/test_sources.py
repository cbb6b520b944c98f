"""Corrupted images that are read: a copy on the disk in CIFAR-10-C's layout."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from groupnl.corruptions import names
from groupnl.data import CorruptedSet, ImageSet, open_corrupted
from groupnl.evaluation import Answers, Condition, compare, evaluate
from groupnl.evaluation.sources import family_of, set_of
from groupnl_device.preprocessing import Preprocessing

RAW = Preprocessing(input_size=(3, 32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)


@pytest.fixture
def grey() -> ImageSet:
    """Grey levels 10, 20, .. 60 of classes 0 to 5."""
    levels = torch.arange(10, 70, 10, dtype=torch.uint8)
    return ImageSet(
        name="cifar10",
        split="test",
        images=levels.reshape(-1, 1, 1, 1).expand(-1, 3, 32, 32).clone(),
        labels=torch.arange(6),
        class_names=tuple("abcdef"),
        horizontal_flip=True,
    )


@pytest.fixture
def published(grey: ImageSet, tmp_path: Path) -> CorruptedSet:
    """At severity s, fog adds s to the level, and twirl (of another benchmark) 10 s."""
    folder = tmp_path / "CIFAR-10-C"
    folder.mkdir()
    clean = grey.images.permute(0, 2, 3, 1).numpy()
    for name, step in (("fog", 1), ("twirl", 10)):
        np.save(folder / f"{name}.npy", np.concatenate([clean + step * severity for severity in range(1, 6)]))
    np.save(folder / "labels.npy", np.tile(np.arange(6, dtype=np.uint8), 5))
    return open_corrupted(folder, grey)


def by_level(images: Tensor) -> Tensor:
    """The class whose level is nearest below, from 10 for class 0 in steps of 10."""
    level = (images.mean((1, 2, 3)) * 255).round() // 10 - 1
    return torch.nn.functional.one_hot(level.clamp(0, 5).long(), 6).float()


def test_what_lies_there_is_what_is_answered(grey: ImageSet, published: CorruptedSet, tmp_path: Path) -> None:
    found = evaluate(
        by_level,
        grey,
        preprocessing=RAW,
        corrupted=published,
        batch_size=4,
        answers_dir=tmp_path / "answers",
        net_id="levels",
    )
    assert found.clean_accuracy == 1
    assert found.corruptions["fog"]["error"] == 0
    # + 10 s: everything moves up by s classes; those that reach class 5 stay there, so only the last one is right
    assert found.corruptions["twirl"]["severities"] == dict.fromkeys("12345", 5 / 6)
    assert found.corruptions["twirl"]["family"] == "other"
    assert found.families == {"weather": 0.0, "other": pytest.approx(5 / 6)}
    assert (found.corrupted_by, found.corrupted_source, found.corruption_set) == ("published", "CIFAR-10-C", "custom")
    assert (found.variant, found.seed, found.frost_source) == (None, None, None)
    answers = Answers.load(tmp_path / "answers")
    assert answers.given[Condition("twirl", 2)]["predicted"].tolist() == [2, 3, 4, 5, 5, 5]


def test_a_part_of_it(grey: ImageSet, published: CorruptedSet) -> None:
    found = evaluate(by_level, grey, preprocessing=RAW, corrupted=published, corruptions=["twirl"], severities=[4])
    assert list(found.corruptions) == ["twirl"]
    assert found.severities == (4,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corruptions": ["fog", "snow"]}, "CIFAR-10-C has no corruptions snow; it has fog, twirl"),
        ({"corruptions": "mce15"}, "CIFAR-10-C has no corruptions gaussian_noise, shot_noise"),
        ({"corruptions": "haze"}, "corruptions='haze': expected 'all', 'mce15', a family .* names are fog, twirl"),
        ({"severities": [6]}, "expected integers from 1"),
    ],
)
def test_what_it_does_not_have_is_refused(
    grey: ImageSet, published: CorruptedSet, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(by_level, grey, preprocessing=RAW, corrupted=published, **arguments)


def test_read_and_generated_are_not_compared(grey: ImageSet, published: CorruptedSet, tmp_path: Path) -> None:
    options: dict[str, Any] = {"preprocessing": RAW, "corruptions": ["fog"], "net_id": "levels"}
    read = evaluate(by_level, grey, corrupted=published, answers_dir=tmp_path / "read", **options)
    made = evaluate(by_level, grey, answers_dir=tmp_path / "made", **options)
    assert made.corrupted_by == "generated"
    with pytest.raises(ValueError, match="corrupted_by: 'published' against 'generated'"):
        compare(Answers.load(tmp_path / "read"), Answers.load(tmp_path / "made"))
    with pytest.raises(ValueError, match="corruptions generated"):
        evaluate(by_level, grey, preprocessing=RAW, corrupted=published, corruptions=["fog"], baseline=made)
    with pytest.raises(ValueError, match="corrupted_by: 'published' against 'generated'"):
        evaluate(by_level, grey, answers_dir=tmp_path / "read", **options)
    assert read.mean_error == 0


def test_names_of_sets_and_families() -> None:
    assert set_of(names("all")) == "all"
    assert set_of(names("mce15")[::-1]) == "mce15"
    assert set_of(()) == set_of(["fog"]) == "custom"
    assert (family_of("glass_blur"), family_of("twirl")) == ("blur", "other")
