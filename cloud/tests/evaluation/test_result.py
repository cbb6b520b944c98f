import dataclasses
import json
from typing import Any

import pytest

from groupnl.corruptions import names
from groupnl.evaluation import Evaluation


def record(**changes: Any) -> dict[str, Any]:
    """A right record as JSON has it, with changes."""
    right = {
        "name": "resnet8",
        "data": "openicons",
        "split": "test",
        "images": 10,
        "clean_accuracy": 0.9,
        "clean_ece": 0.05,
        "mean_error": 0.375,
        "mean_ece": 0.2,
        "corruptions": {
            "contrast": {"family": "digital", "error": 0.25, "ece": 0.1, "severities": {"1": 0.2, "3": 0.3}},
            "fog": {"family": "weather", "error": 0.5, "ece": 0.3, "severities": {"1": 0.5, "3": 0.5}},
        },
        "families": {"digital": 0.25, "weather": 0.5},
        "variant": "cifar",
        "severities": [1, 3],
        "seed": 0,
        "baseline": None,
        "mce": None,
        "relative_mce": None,
        "corruption_set": "custom",
        "corrupted_by": "generated",
        "corrupted_source": "groupnl 0.1.0, seed 0",
        "frost_source": None,
        "intervals": {"clean_accuracy": [0.7, 1.0], "mean_error": [0.2, 0.6]},
    }
    return right | changes


def with_ce(ce: Any, **more: Any) -> dict[str, Any]:
    changed = record(baseline="vanilla")
    changed["corruptions"] = {name: found | {"ce": ce, **more} for name, found in changed["corruptions"].items()}
    return changed


def clean_only(**changes: Any) -> dict[str, Any]:
    nothing = {"corruptions": {}, "families": {}, "mean_error": None, "mean_ece": None}
    return record(**nothing, intervals={"clean_accuracy": [0.7, 1.0]}) | changes


def with_mce(mce: Any, relative: Any) -> dict[str, Any]:
    """All 15 at all severities; error .4, CE .8, relative CE .5."""
    row = {"family": "any", "error": 0.4, "ece": 0.2, "severities": dict.fromkeys("12345", 0.4)}
    rows = {corruption: row | {"ce": 0.8, "relative_ce": 0.5} for corruption in names("mce15")}
    return record(
        corruptions=rows,
        families={"any": 0.4},
        mean_error=0.4,
        severities=[1, 2, 3, 4, 5],
        baseline="AlexNet",
        corruption_set="mce15",
        mce=mce,
        relative_mce=relative,
    )


@pytest.mark.parametrize(
    "given",
    [
        record(),
        with_ce(0.8),
        with_ce(0.8, relative_ce=-0.1),
        clean_only(),
        with_mce(0.8, 0.5),
        record(variant=None, seed=None, corrupted_by="published"),
    ],
)
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


def nested(**changes: Any) -> dict[str, Any]:
    """A record whose first corruption is changed; None takes a key away."""
    changed = record()
    row = changed["corruptions"]["contrast"] | changes
    changed["corruptions"]["contrast"] = {key: value for key, value in row.items() if value is not None}
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
        (record(mean_error=0.4), r"mean_error=0.4; expected the mean of its parts, 0.375"),
        (record(mean_ece=0.4), r"mean_ece=0.4; expected the mean of its parts, 0.2"),
        (record(clean_ece=-0.1), "clean_ece=-0.1; expected a number from 0 to 1"),
        (record(families={"digital": 0.25}), "families=.*expected the families of the corruptions"),
        (record(families={"digital": 0.3, "weather": 0.5}), r"families\['digital'\]=0.3; expected the mean .* 0.25"),
        (record(mce=0.8), "mce=0.8; expected None"),
        (with_mce(0.7, 0.5), r"mce=0.7; expected the mean of its parts, 0\.8"),
        (with_mce(None, 0.5), "mce=None; expected the mean"),
        (with_mce(0.8, None), "relative_mce=None; expected the mean"),
        (record(corruption_set="most"), "corruption_set='most'; expected mce15 or all or custom"),
        (record(corrupted_by="me"), "corrupted_by='me'; expected published or generated"),
        (record(corrupted_source=""), "corrupted_source=''"),
        (record(frost_source=""), "frost_source=''"),
        (record(intervals={}), "intervals={}; expected those of clean_accuracy and mean_error"),
        (record(intervals={"clean_accuracy": [1.0, 0.7], "mean_error": [0.2, 0.6]}), "two shares, lowest and highest"),
        (record(intervals={"clean_accuracy": [1.0], "mean_error": [0.2, 0.6]}), "two shares"),
        (record(mean_error=None), "mean_error=None"),
        (clean_only(mean_error=0.375), "mean_error=0.375; expected None: there is nothing"),
        (record(corruptions=[]), r"corruptions=\[\]; expected an object"),
        (record(variant="mnist"), "variant='mnist'; expected cifar or imagenet"),
        (record(severities=[3, 1]), r"severities=\[3, 1\]; expected integers from 1 to 5, ascending"),
        (record(severities=[1, 6]), "severities"),
        (record(severities=[]), "severities"),
        (record(severities="13"), "severities='13'"),
        (record(severities=[1, 2, 3]), r"corruptions\['contrast'\].severities=.*each severity 1, 2, 3"),
        (record(seed=1.5), "seed=1.5; expected an integer or None"),
        (record(baseline=""), "baseline=''; expected a text that is not empty, or None"),
        (with_ce(-1), r"corruptions\['contrast'\].ce=-1; expected a number of at least 0"),
        (with_ce(None), r"\.ce=None"),
        (with_ce(0.5, relative_ce=float("inf")), r"\.relative_ce=inf; expected a finite number"),
        (with_ce(0.5) | {"baseline": None}, r"ece, error, family, severities \(ce only with a baseline\)"),
        (nested(error=None), r"corruptions\['contrast'\]=\{'family'"),
        (nested(family=""), r"\.family=''"),
        (nested(ece=2), r"\.ece=2; expected a number from 0 to 1"),
        (nested(error=0.3), r"\.error=0.3; expected the mean over the severities"),
        (nested(severities={"1": 0.2, "3": 1.3}), r"\.severities=.*from 0 to 1"),
        (nested(severities={1: 0.2, 3: 0.3}), r"\.severities=\{1: 0.2, 3: 0.3\}"),
        (nested(severities=[0.2, 0.3]), r"\.severities=\[0.2, 0.3\]"),
        (nested(severities={"1": "0.2", "3": 0.3}), r"\.severities="),
        (record(corruptions={"contrast": "0.25"}), r"corruptions\['contrast'\]='0.25'"),
    ],
)
def test_a_record_that_is_wrong_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Evaluation.from_dict(given)
