import dataclasses
import json
from typing import Any

import pytest

from groupnl.evaluation import Evaluation


def record(**changes: Any) -> dict[str, Any]:
    """A right record as JSON has it, with changes."""
    right = {
        "name": "resnet8",
        "data": "openicons",
        "split": "test",
        "images": 10,
        "clean_accuracy": 0.9,
        "mean_error": 0.375,
        "corruptions": {
            "contrast": {"error": 0.25, "severities": {"1": 0.2, "3": 0.3}},
            "pixelate": {"error": 0.5, "severities": {"1": 0.5, "3": 0.5}},
        },
        "variant": "cifar",
        "severities": [1, 3],
        "seed": 0,
        "baseline": None,
    }
    return right | changes


def with_ce(ce: Any) -> dict[str, Any]:
    changed = record(baseline="vanilla")
    changed["corruptions"] = {name: found | {"ce": ce} for name, found in changed["corruptions"].items()}
    return changed


@pytest.mark.parametrize("given", [record(), with_ce(0.8), record(corruptions={}, mean_error=None)])
def test_json_there_and_back(given: dict[str, Any]) -> None:
    evaluation = Evaluation.from_dict(json.loads(json.dumps(given)))
    assert evaluation.to_dict() == given
    assert json.loads(json.dumps(evaluation.to_dict())) == given
    assert Evaluation.from_dict(evaluation.to_dict()) == evaluation


def test_it_is_frozen_and_shares_nothing() -> None:
    given = record()
    evaluation = Evaluation.from_dict(given)
    with pytest.raises(dataclasses.FrozenInstanceError):
        evaluation.images = 3  # type: ignore[misc]
    given["corruptions"]["contrast"]["severities"]["1"] = 0.9
    evaluation.to_dict()["corruptions"]["contrast"]["severities"]["1"] = 0.8
    assert evaluation.corruptions["contrast"]["severities"]["1"] == 0.2


def nested(corruption: dict[str, Any]) -> dict[str, Any]:
    changed = record()
    changed["corruptions"] = changed["corruptions"] | {"contrast": corruption}
    return changed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "list given; expected an object with name, data, split"),
        (record(extra=1), "unknown extra; known are name, data"),
        ({k: v for k, v in record().items() if k not in ("seed", "split")}, "split, seed missing"),
        (record(name=""), "name=''; expected a text that is not empty"),
        (record(data=3), "data=3; expected a text"),
        (record(images=0), "images=0; expected an integer of at least 1"),
        (record(images=True), "images=True"),
        (record(images=10.0), "images=10.0"),
        (record(clean_accuracy=90), "clean_accuracy=90; expected a number from 0 to 1"),
        (record(clean_accuracy="0.9"), "clean_accuracy='0.9'"),
        (record(clean_accuracy=float("nan")), "clean_accuracy=nan"),
        (record(mean_error=0.4), r"mean_error=0.4; expected the mean of the errors, 0.375"),
        (record(mean_error=None), "mean_error=None"),
        (record(corruptions={}), "mean_error=0.375; expected None, since no corruption was run"),
        (record(corruptions=[]), r"corruptions=\[\]; expected an object"),
        (record(variant="mnist"), "variant='mnist'; expected cifar or imagenet"),
        (record(severities=[3, 1]), r"severities=\[3, 1\]; expected integers from 1 to 5, ascending"),
        (record(severities=[1, 6]), "severities"),
        (record(severities=[]), "severities"),
        (record(severities="13"), "severities='13'"),
        (record(severities=[1, 2, 3]), r"corruptions\['contrast'\].severities=.*each severity 1, 2, 3"),
        (record(seed=1.5), "seed=1.5; expected an integer"),
        (record(baseline=""), "baseline=''; expected a net's name or None"),
        (record(baseline="vanilla"), r"corruptions\['contrast'\]=.*exactly ce, error, severities"),
        (with_ce(-1), r"corruptions\['contrast'\].ce=-1; expected a number of at least 0"),
        (with_ce(None), r"\.ce=None"),
        (with_ce(0.5) | {"baseline": None}, r"exactly error, severities \(ce only with a baseline\)"),
        (nested({"error": 0.25}), r"corruptions\['contrast'\]=\{'error': 0.25\}"),
        (
            nested({"error": 0.3, "severities": {"1": 0.2, "3": 0.3}}),
            r"\.error=0.3; expected the mean over the severities",
        ),
        (nested({"error": 0.25, "severities": {"1": 0.2, "3": 1.3}}), r"\.severities=.*from 0 to 1"),
        (nested({"error": 0.25, "severities": {1: 0.2, 3: 0.3}}), r"\.severities=\{1: 0.2, 3: 0.3\}"),
        (nested({"error": 0.25, "severities": [0.2, 0.3]}), r"\.severities=\[0.2, 0.3\]"),
        (nested({"error": 0.25, "severities": {"1": "0.2", "3": 0.3}}), r"\.severities="),
        (nested("0.25"), r"corruptions\['contrast'\]='0.25'"),  # type: ignore[arg-type]
    ],
)
def test_a_record_that_is_wrong_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Evaluation.from_dict(given)
