"""The segmentation net, its training and its measures: against hand-worked numbers and a plain numpy count."""

import math

import numpy as np
import pytest
import torch
from benchmarks.openicons_scenes import Scenes
from benchmarks.scenes import FORMS, all_ground, make_net, measure
from benchmarks.segmentation import (
    SegmentationNet,
    class_iou,
    confusion_matrix,
    mean_iou,
    pixel_accuracy,
    predict,
    train_,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl import GroupNLConv2d


def test_the_measures_by_hand():
    true = torch.tensor([[0, 0, 0, 0], [1, 1, 2, 2]])
    predicted = torch.tensor([[0, 0, 0, 1], [1, 0, 2, 2]])
    confusion = confusion_matrix(predicted, true, 3)
    assert confusion.tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 2]]
    assert pixel_accuracy(confusion) == pytest.approx(6 / 8)
    assert class_iou(confusion).tolist() == pytest.approx([3 / 5, 1 / 3, 1])
    assert mean_iou(confusion) == pytest.approx((3 / 5 + 1 / 3 + 1) / 3)


def test_a_class_that_is_nowhere_does_not_count_and_one_that_is_only_named_counts_as_zero():
    confusion = confusion_matrix(torch.tensor([0, 2]), torch.tensor([0, 0]), 4)
    iou = class_iou(confusion).tolist()
    assert iou[0] == 0.5
    assert iou[2] == 0
    assert math.isnan(iou[1])
    assert math.isnan(iou[3])
    assert mean_iou(confusion) == 0.25


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(1, 6), size=st.integers(1, 40))
def test_the_measures_agree_with_counting_pixel_by_pixel(seed, classes, size):
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, classes, (2, size))
    counts = np.zeros((classes, classes), int)
    for is_, said in zip(true, predicted, strict=True):
        counts[is_, said] += 1
    unions = [np.sum((true == c) | (predicted == c)) for c in range(classes)]
    shares = [np.sum((true == c) & (predicted == c)) / unions[c] for c in range(classes) if unions[c]]
    confusion = confusion_matrix(torch.from_numpy(predicted), torch.from_numpy(true), classes)
    np.testing.assert_array_equal(confusion.numpy(), counts)
    assert mean_iou(confusion) == pytest.approx(np.mean(shares))
    assert pixel_accuracy(confusion) == pytest.approx(np.mean(true == predicted))


def test_the_score_of_saying_ground_everywhere():
    classes = torch.zeros(2, 4, 4, dtype=torch.int64)
    classes[0, :2] = 3
    scores = all_ground(classes)
    assert scores["pixel_accuracy"] == pytest.approx(24 / 32)
    assert scores["mean_iou"] == pytest.approx(24 / 32 / 2)  # one other class occurs


def test_the_net_scores_every_class_at_every_pixel_of_any_size():
    model = SegmentationNet(5)
    assert model(torch.randn(2, 3, 48, 80)).shape == (2, 5, 48, 80)
    model(torch.randn(2, 3, 50, 33)).sum().backward()  # sizes that do not divide by the strides
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_forms_differ_in_the_function_alone():
    nets = {form: make_net(form, seed=3) for form in FORMS}
    layers = {form: [m for m in net.modules() if isinstance(m, GroupNLConv2d)] for form, net in nets.items()}
    assert [len(layers[form]) for form in ("vanilla", "GroupNL", "identity")] == [0, 14, 14]
    assert {layer.nlf for layer in layers["GroupNL"]} == {"sine"}
    assert {layer.nlf for layer in layers["identity"]} == {"identity"}
    for ours, control in zip(nets["GroupNL"].parameters(), nets["identity"].parameters(), strict=True):
        assert torch.equal(ours, control)


def test_training_learns_to_tell_two_colours_and_repeats_itself():
    generator = torch.Generator().manual_seed(0)
    classes = (
        (torch.rand(32, 1, 4, 4, generator=generator) < 0.5).long().repeat_interleave(8, 2).repeat_interleave(8, 3)
    )
    scenes = Scenes((classes * 200 + 20).to(torch.uint8).expand(-1, 3, -1, -1), classes[:, 0], ("dark", "light"))
    losses, scores = [], []
    for _ in range(2):
        torch.manual_seed(0)
        model = SegmentationNet(2)
        losses.append(train_(model, scenes, epochs=8, seed=0))
        scores.append(mean_iou(confusion_matrix(predict(model, scenes.images), scenes.classes, 2)))
    assert losses[0] == losses[1]
    assert scores[0] == scores[1] > 0.8


def test_less_than_a_batch_is_refused():
    scenes = Scenes(torch.zeros(3, 3, 64, 64, dtype=torch.uint8), torch.zeros(3, 64, 64, dtype=torch.int64), ("a", "b"))
    with pytest.raises(ValueError, match="3 scenes, 1 epochs: expected at least one batch of 16"):
        train_(SegmentationNet(2), scenes, epochs=1, seed=0)


def test_measure_counts_each_corruption_and_leaves_out_what_does_not_occur():
    classes = torch.zeros(2, 64, 64, dtype=torch.int64)
    scenes = Scenes(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), classes, ("ground", "hand", "heart"))

    class Ground(torch.nn.Module):
        def forward(self, images):
            return torch.tensor([1.0, 0.0, 0.0])[:, None, None].expand(len(images), 3, 64, 64)

    found = measure(Ground(), scenes)
    assert found["mean_iou"] == found["pixel_accuracy"] == found["corrupted_mean_iou"] == 1
    assert found["class_iou"] == {"ground": 1, "hand": None, "heart": None}
    assert set(found["corruptions"]) == {"gaussian_noise", "defocus_blur", "contrast", "jpeg_compression"}
