import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from groupnl.corruptions import FrostPhotographs, corrupt, names
from groupnl.data import ImageSet, load
from groupnl.evaluation import Evaluation, evaluate
from groupnl_device.preprocessing import Preprocessing


def test_clean_accuracy_worked_by_hand(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    # answers 0 0 1 1 2 2 to labels 0 1 1 1 2 0: four of six
    found = evaluate(net, flat, preprocessing=plain, corruptions=())
    assert found.clean_accuracy == 4 / 6
    assert found.mean_error is None
    assert found.corruptions == {}
    assert (found.name, found.data, found.split, found.images) == ("ByLevel", "flat", "test", 6)
    assert (found.variant, found.severities, found.seed, found.baseline) == ("cifar", (1, 2, 3, 4, 5), 0, None)


def test_errors_under_brightness_worked_by_hand(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    # Grey levels 10 40 100 150 200 250 rise by .05 .1 .15 .2 .3 of 255: 12.75 25.5 38.25 51 76.5; limits 60 and 180.
    # severity 1: 22  52 112 162 212 255 -> 0 0 1 1 2 2: wrong 40 250            -> 2
    # severity 2: 35  65 125 175 225 255 -> 0 1 1 1 2 2: wrong 250               -> 1
    # severity 3: 48  78 138 188 238 255 -> 0 1 1 2 2 2: wrong 150 250           -> 2
    # severity 4: 61  91 151 201 251 255 -> 1 1 1 2 2 2: wrong 10 150 250        -> 3
    # severity 5: 86 116 176 226 255 255 -> 1 1 1 2 2 2: wrong 10 150 250        -> 3
    found = evaluate(net, flat, preprocessing=plain, corruptions=["brightness"], name="toy", seed=9)
    expected = {"1": 2 / 6, "2": 1 / 6, "3": 2 / 6, "4": 3 / 6, "5": 3 / 6}
    assert found.corruptions["brightness"]["severities"] == expected
    assert found.corruptions["brightness"]["error"] == pytest.approx(11 / 30)
    assert found.mean_error == pytest.approx(11 / 30)
    assert found.families == {"weather": found.mean_error}
    assert set(found.corruptions["brightness"]) == {"family", "error", "ece", "severities"}
    # the net's one-hot logits give e / (e + 2) to the chosen class, always in one bin
    sure = np.e / (np.e + 2)
    assert found.clean_ece == pytest.approx(abs(sure - 4 / 6), abs=1e-6)
    calibration = [abs(sure - (1 - error)) for error in expected.values()]
    assert found.corruptions["brightness"]["ece"] == found.mean_ece == pytest.approx(np.mean(calibration), abs=1e-6)
    assert (found.corruption_set, found.corrupted_by, found.frost_source) == ("custom", "generated", None)
    assert found.corrupted_source.endswith(", seed 9")
    assert (found.name, found.seed) == ("toy", 9)


def test_flat_pictures_survive_contrast_and_pixelate(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    found = evaluate(net, flat, preprocessing=plain, corruptions=("contrast", "pixelate", "brightness"))
    assert list(found.corruptions) == ["contrast", "pixelate", "brightness"]
    assert found.corruptions["contrast"]["severities"] == dict.fromkeys("12345", 2 / 6)
    assert found.corruptions["pixelate"]["severities"] == dict.fromkeys("12345", 2 / 6)
    assert found.mean_error == pytest.approx((2 / 6 + 2 / 6 + 11 / 30) / 3)


def test_a_subset_of_the_severities_is_recorded(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    found = evaluate(net, flat, preprocessing=plain, corruptions=["brightness"], severities=[5, 2])
    assert found.severities == (2, 5)
    assert found.corruptions["brightness"]["severities"] == {"2": 1 / 6, "5": 3 / 6}
    assert found.corruptions["brightness"]["error"] == pytest.approx(4 / 12)


NO_ERROR = {"family": "weather", "error": 0.0, "ece": 0.1, "severities": {"1": 0.0, "2": 0.0}}
WHITE_PANE = FrostPhotographs(images=(torch.full((3, 60, 60), 240, dtype=torch.uint8),) * 5, source="a white pane")


def textured(count: int = 90) -> ImageSet:
    """Stripes of two directions and three widths under noise, six classes."""
    rng = np.random.default_rng(4)
    images = np.empty((count, 3, 24, 20), np.uint8)
    labels = rng.integers(0, 6, count)
    rows, columns = np.mgrid[:24, :20]
    for image, label in zip(images, labels, strict=True):
        along, width = (rows, columns)[label % 2], 1 + label // 2
        image[:] = np.clip(110 + 7 * (along // width % 2) + rng.normal(0, 45, (3, 24, 20)), 0, 255)
    return ImageSet(
        name="stripes",
        split="test",
        images=torch.from_numpy(images),
        labels=torch.from_numpy(labels),
        class_names=tuple("abcdef"),
        horizontal_flip=True,
    )


STRIPES = Preprocessing(input_size=(3, 24, 20), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def matched(images: Tensor) -> Tensor:
    """Answers by template; sums of exact numbers, so that the batch size cannot matter."""
    rows, columns = np.mgrid[:24, :20]
    templates = [(along // width % 2) * 2.0 - 1 for width in (1, 2, 3) for along in (rows, columns)]
    levels = (images.double() * 0.25 + 0.5).mul(255).round()
    return torch.stack([(levels * torch.from_numpy(t)).sum((1, 2, 3)) for t in templates], 1)


@pytest.mark.parametrize("variant", ["cifar", "imagenet"])
def test_every_figure_recounted_with_numpy(variant: Any) -> None:
    data = textured()
    found = evaluate(matched, data, preprocessing=STRIPES, variant=variant, seed=3, batch_size=32, severities=(1, 5))
    assert tuple(found.corruptions) == names("all")
    labels = data.labels.numpy()

    def recount(images: Tensor) -> float:
        return float((matched(torch.from_numpy(STRIPES.normalize(images.numpy()))).numpy().argmax(1) != labels).mean())

    assert found.clean_accuracy == pytest.approx(1 - recount(data.images))
    figures = []
    for corruption, errors in found.corruptions.items():
        for severity in (1, 5):
            figure = recount(corrupt(data.images, corruption, severity=severity, variant=variant, seed=3))
            assert errors["severities"][str(severity)] == pytest.approx(figure)
            figures.append(figure)
    assert found.mean_error == pytest.approx(np.mean(figures))
    assert len(set(figures)) > 3  # the corruptions do something here


@pytest.mark.parametrize("batch_size", [1, 7, 29, 1000])
def test_batch_size_does_not_matter(batch_size: int) -> None:
    data = textured(30)
    options: dict[str, Any] = {"preprocessing": STRIPES, "corruptions": ["gaussian_noise", "glass_blur"]}
    options |= {"severities": (2, 5), "variant": "imagenet", "seed": 5}
    assert evaluate(matched, data, batch_size=batch_size, **options) == evaluate(matched, data, **options)


def test_the_batch_size_can_be_left_to_the_memory(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    options: dict[str, Any] = {"preprocessing": plain, "corruptions": ["contrast"]}
    assert evaluate(net, flat, batch_size="auto", **options) == evaluate(net, flat, **options)


def test_each_image_keeps_its_own_noise() -> None:
    data = textured(40)
    seen: list[Tensor] = []

    def spy(images: Tensor) -> Tensor:
        seen.append(images)
        return torch.zeros(len(images), 6)

    evaluate(spy, data, preprocessing=STRIPES, corruptions=["shot_noise"], severities=[4], seed=6, batch_size=16)
    expected = STRIPES.normalize(corrupt(data.images, "shot_noise", severity=4, seed=6).numpy())
    assert np.array_equal(torch.cat(seen[3:]).numpy(), expected)


def test_data_are_left_alone() -> None:
    data = textured(12)
    images, labels = data.images.clone(), data.labels.clone()
    evaluate(matched, data, preprocessing=STRIPES)
    assert torch.equal(data.images, images)
    assert torch.equal(data.labels, labels)


def constant(images: Tensor) -> Tensor:
    """Always class 0: wrong on four of the six, whatever happens."""
    return torch.eye(3)[[0] * len(images)]


def test_ce_worked_by_hand(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    chosen = ["brightness", "contrast"]
    mine = evaluate(net, flat, preprocessing=plain, corruptions=chosen)
    other = evaluate(constant, flat, preprocessing=plain, corruptions=[*chosen[::-1], "pixelate"], name="constant")
    baseline = Evaluation.from_dict(json.loads(json.dumps(other.to_dict())))
    found = evaluate(net, flat, preprocessing=plain, corruptions=chosen, baseline=baseline)
    assert found.baseline == "constant"
    assert found.corruptions["brightness"]["ce"] == pytest.approx((11 / 6) / (5 * 4 / 6))
    assert found.corruptions["contrast"]["ce"] == pytest.approx(0.5)
    assert "relative_ce" not in found.corruptions["contrast"]  # the constant net loses nothing
    assert (found.mce, found.relative_mce) == (None, None)
    assert found.mean_error == mine.mean_error
    subset = evaluate(net, flat, preprocessing=plain, corruptions=["brightness"], severities=[2, 5], baseline=baseline)
    assert subset.corruptions["brightness"]["ce"] == pytest.approx((4 / 6) / (2 * 4 / 6))


def test_relative_ce_worked_by_hand(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    baseline = evaluate(net, flat, preprocessing=plain, corruptions=["brightness"], severities=[4], name="base")
    found = evaluate(constant, flat, preprocessing=plain, corruptions=["brightness"], severities=[4], baseline=baseline)
    # the baseline goes from 2/6 to 3/6, the constant net stays at 4/6
    assert found.corruptions["brightness"]["ce"] == pytest.approx(4 / 3)
    assert found.corruptions["brightness"]["relative_ce"] == 0


def test_several_seeds_of_a_baseline_count_by_their_mean(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    options: dict[str, Any] = {"preprocessing": plain, "corruptions": ["brightness"], "severities": [4]}
    seeds = [evaluate(one, flat, name="base", **options) for one in (net, constant)]
    found = evaluate(constant, flat, baseline=seeds, **options)
    assert found.corruptions["brightness"]["ce"] == pytest.approx((4 / 6) / ((3 / 6 + 4 / 6) / 2))


@pytest.fixture(scope="module")
def against_itself() -> tuple[Evaluation, Evaluation]:
    """All 19 at all severities, alone and with itself as the baseline."""
    data = textured(24)
    options: dict[str, Any] = {"preprocessing": STRIPES, "variant": "imagenet", "frost_photographs": WHITE_PANE}
    itself = evaluate(matched, data, name="itself", **options)
    return itself, evaluate(matched, data, name="again", baseline=itself, **options)


def test_a_net_against_itself_has_ce_and_mce_1(against_itself: tuple[Evaluation, Evaluation]) -> None:
    itself, again = against_itself
    assert {found["ce"] for found in again.corruptions.values()} == {1.0}
    assert (again.mce, itself.mce) == (pytest.approx(1), None)
    relative = [found.get("relative_ce") for found in again.corruptions.values()]
    assert set(relative) <= {1.0, None}
    assert again.relative_mce == (pytest.approx(1) if None not in relative[:15] else None)
    assert again.corruption_set == "all"
    assert again.frost_source == WHITE_PANE.source


def test_intervals_hold_what_they_are_of(against_itself: tuple[Evaluation, Evaluation]) -> None:
    for key, (low, high) in against_itself[0].intervals.items():
        assert low <= getattr(against_itself[0], key) <= high
        assert low < high


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        (
            {"data": "other"},
            {},
            r"measured on other/test \(6 images, cifar constants, corruptions generated\), this run",
        ),
        ({"split": "train"}, {}, "flat/train"),
        ({"images": 7}, {}, "7 images"),
        ({"variant": "imagenet"}, {}, "imagenet constants"),
        ({"corrupted_by": "published"}, {}, "corruptions published"),
        ({}, {"corruptions": ["brightness", "contrast"]}, r"has no contrast \(it has brightness\)"),
        ({}, {"severities": [1, 5]}, "baseline 'base' has no severity 5: evaluate it at the same severities"),
        ({}, {"corruptions": ()}, "no corruption is run"),
        (
            {"corruptions": {"brightness": NO_ERROR}, "families": {"weather": 0.0}, "mean_error": 0.0, "mean_ece": 0.1},
            {},
            "'base', brightness: the baseline makes no error, so CE is undefined",
        ),
    ],
)
def test_a_baseline_that_does_not_cover_the_run_is_refused_before_it(
    net, flat: ImageSet, plain: Preprocessing, changes: dict[str, Any], arguments: dict[str, Any], message: str
) -> None:
    baseline = evaluate(net, flat, preprocessing=plain, corruptions=["brightness"], severities=[1, 2], name="base")
    net.seen.clear()
    options: dict[str, Any] = {"corruptions": ["brightness"], "severities": [1, 2]} | arguments
    with pytest.raises(ValueError, match=message):
        evaluate(net, flat, preprocessing=plain, baseline=dataclasses.replace(baseline, **changes), **options)
    assert net.seen == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corruptions": ["brightness", "fogg"]}, "'fogg' is unknown: expected one of gaussian_noise"),
        ({"corruptions": "brightness"}, r"corruptions='brightness': expected 'all', 'mce15', a family \(noise"),
        ({"severities": (True,)}, r"severities=\(True,\)"),
        ({"corruptions": ["contrast", "contrast"]}, "each may be named once"),
        ({"severities": ()}, r"severities=\(\): expected one or more different integers"),
        ({"severities": (0, 1)}, r"severities=\(0, 1\): expected integers from 1"),
        ({"severities": (1, 1)}, "different"),
        ({"severities": (1.0,)}, r"severities=\(1.0,\)"),
        ({"severities": "12"}, "severities='12'"),
        ({"severities": 3}, "severities=3"),
        ({"variant": "tiny"}, "variant='tiny'"),
        ({"seed": "0"}, "seed='0'"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(
    net, flat: ImageSet, plain: Preprocessing, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(net, flat, preprocessing=plain, **arguments)
    assert net.seen == []


def test_progress_counts_every_image_to_the_end(net: nn.Module, flat: ImageSet, plain: Preprocessing) -> None:
    calls: list[tuple[str, int, int]] = []
    evaluate(
        net,
        flat,
        preprocessing=plain,
        corruptions=["contrast"],
        severities=[2, 4],
        batch_size=4,
        progress=lambda label, done, total: calls.append((label, done, total)),
    )
    assert calls == [
        ("clean", 4, 18),
        ("clean", 6, 18),
        ("contrast 2", 10, 18),
        ("contrast 2", 12, 18),
        ("contrast 4", 16, 18),
        ("contrast 4", 18, 18),
    ]


def test_on_the_embedded_pictures() -> None:
    train, test = (load("openicons", split=split) for split in ("train", "test"))
    test = test.subset(range(0, len(test), 4))
    chosen = ("fog", "contrast", "pixelate")
    size = tuple(test.images.shape[1:])
    preprocessing = Preprocessing(input_size=size, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    pixels = train.images.flatten(1).double() / 255
    means = torch.stack([pixels[train.labels == label].mean(0) for label in range(len(train.class_names))])

    def nearest_mean(images: Tensor) -> Tensor:
        return -torch.cdist(images.flatten(1).double(), means)

    found = evaluate(
        nearest_mean, test, preprocessing=preprocessing, corruptions=chosen, severities=(1, 5), batch_size=100
    )
    distance = (((test.images.flatten(1).double() / 255)[:, None] - means) ** 2).sum(2)
    assert found.clean_accuracy == pytest.approx((distance.argmin(1) == test.labels).double().mean().item(), abs=0.011)
    assert found.clean_accuracy > 3 / len(test.class_names)
    assert tuple(found.corruptions) == chosen
    contrast = found.corruptions["contrast"]["severities"]
    assert contrast["5"] > contrast["1"]
    assert found.mean_error == pytest.approx(np.mean([e["error"] for e in found.corruptions.values()]))
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found
