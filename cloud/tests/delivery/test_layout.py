"""Names of files, and how long metadata are valid."""

import pytest

from groupnl.delivery.layout import Validity, metadata_name, target_name


def test_names() -> None:
    assert metadata_name("snapshot", 12) == "metadata/12.snapshot.json"
    assert target_name("stable/3/model.gnl", "ab" * 32) == f"targets/stable/3/{'ab' * 32}.model.gnl"


def test_validity_in_a_root() -> None:
    validity = Validity(root=1, targets=2, snapshot=3, timestamp=4)
    assert Validity.of_root({"groupnl": validity.to_field(), "other": 1}) == validity
    assert Validity.of_root({}) == Validity()
    assert Validity.of_root({"groupnl": {"days": {"timestamp": 9, "unknown": 1}}}) == Validity(timestamp=9)


@pytest.mark.parametrize("days", [0, -1, 36501, 1.5, True, "7"])
def test_days_that_are_refused(days: object) -> None:
    with pytest.raises(ValueError, match=r"snapshot=.* days: expected 1 to 36500"):
        Validity(snapshot=days)
