import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl.evaluation import CLEAN, Answers, Condition, compare
from groupnl.evaluation.answers import ANSWER, About
from groupnl.evaluation.comparison import mcnemar_p_value, sign_flip_p_value


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_binomial_test(only_first: int, only_second: int) -> None:
    total = only_first + only_second
    theirs = scipy.stats.binomtest(only_first, total).pvalue if total else 1.0
    assert mcnemar_p_value(only_first, only_second) == pytest.approx(theirs, rel=1e-9)


def test_mcnemar_of_many_images() -> None:
    assert mcnemar_p_value(4900, 5100) == pytest.approx(scipy.stats.binomtest(4900, 10_000).pvalue, rel=1e-9)
    assert mcnemar_p_value(0, 5000) == 0  # 2 ** -4999 is below every float


def test_sign_flips_of_single_answers_are_mcnemar() -> None:
    differences = np.array([1] * 14 + [-1] * 5 + [0] * 40)
    assert sign_flip_p_value(differences) == pytest.approx(mcnemar_p_value(14, 5), abs=0.003)


def test_sign_flips_are_all_the_flips_of_a_small_set() -> None:
    differences = np.array([3, -1, 2, 2, 5, -4, 0, 1, 3])
    sums = [abs(int(np.dot(flips, differences))) for flips in itertools.product((1, -1), repeat=9)]
    exact = np.mean(np.array(sums) >= abs(differences.sum()))
    assert sign_flip_p_value(differences) == pytest.approx(exact, abs=0.006)


def test_sign_flips_at_the_ends() -> None:
    assert sign_flip_p_value(np.zeros(5, np.int64)) == 1
    assert sign_flip_p_value(np.full(500, 3)) == pytest.approx(1e-5)


ABOUT = About(
    name="one",
    net="1",
    preprocessing={},
    data="flat",
    split="test",
    images=8,
    classes=3,
    pictures="p",
    corrupted_by="generated",
    corrupted_source="groupnl, seed 0",
    variant="cifar",
    seed=0,
    frost_source=None,
    batch_size=4,
)
LABELS = np.arange(8) % 3


def answers(right: dict[Condition, list[int]], **changes: Any) -> Answers:
    """Answers that are right where there is a 1."""
    given = {}
    for condition, flags in right.items():
        given[condition] = np.zeros(8, ANSWER)
        given[condition]["predicted"] = np.where(flags, LABELS, (LABELS + 1) % 3)
    return Answers(about=replace(ABOUT, **changes), labels=LABELS, given=given)


FOG1, FOG2 = Condition("fog", 1), Condition("fog", 2)
FIRST = {CLEAN: [1, 1, 1, 1, 1, 1, 0, 0], FOG1: [1, 1, 1, 1, 0, 0, 0, 0], FOG2: [1, 1, 0, 0, 0, 0, 0, 0]}
SECOND = {CLEAN: [0, 0, 0, 1, 1, 1, 1, 0], FOG1: [0, 0, 1, 1, 1, 0, 0, 0], FOG2: [0, 0, 0, 0, 0, 0, 0, 0]}


def test_two_nets_worked_by_hand() -> None:
    found = compare(answers(FIRST), answers(SECOND, name="two", net="2", batch_size=8))
    assert (found.first, found.second, found.images) == ("one", "two", 8)
    assert (found.clean.only_first_right, found.clean.only_second_right) == (3, 1)
    assert found.clean.difference == pytest.approx(2 / 8)
    assert found.clean.p_value == pytest.approx(2 * (1 + 4) / 16)
    assert found.corrupted is not None
    # wrong of two, first: 0 0 1 1 2 2 2 2; second: 2 2 1 1 1 2 2 2; differences -2 -2 0 0 1 0 0 0
    assert found.corrupted.difference == pytest.approx(-3 / 16)
    # |+-2 +-2 +-1| >= 3 for 4 of the 8 flips
    assert found.corrupted.p_value == pytest.approx(0.5, abs=0.01)
    low, high = found.corrupted.interval
    assert low < -3 / 16 < high
    assert found.to_dict()["corrupted"]["interval"] == [low, high]


def test_the_other_way_round_the_signs_change() -> None:
    there, back = compare(answers(FIRST), answers(SECOND)), compare(answers(SECOND), answers(FIRST))
    assert there.clean.difference == -back.clean.difference
    assert there.clean.p_value == back.clean.p_value


def test_clean_answers_alone() -> None:
    found = compare(answers({CLEAN: FIRST[CLEAN]}), answers({CLEAN: SECOND[CLEAN]}))
    assert found.corrupted is None
    assert found.to_dict()["corrupted"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "other"}, "'one' and 'one' did not answer the same pictures .data: 'flat' against 'other'"),
        ({"pictures": "q"}, "pictures: 'p' against 'q'"),
        ({"corrupted_source": "CIFAR-10-C"}, "corrupted_source: 'groupnl, seed 0' against 'CIFAR-10-C'"),
        ({"variant": "imagenet"}, "variant"),
    ],
)
def test_answers_to_other_pictures_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(answers(FIRST), answers(SECOND, **changes))


def test_other_conditions_are_refused() -> None:
    with pytest.raises(ValueError, match="only one has fog 2: evaluate both under the same"):
        compare(answers(FIRST), answers({CLEAN: SECOND[CLEAN], FOG1: SECOND[FOG1]}))


def test_other_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="measured on other labels"):
        compare(answers(FIRST), replace(answers(SECOND), labels=LABELS[::-1].copy()))
