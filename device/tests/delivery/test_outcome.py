"""The account of a command."""

import json
from datetime import UTC, datetime
from pathlib import Path

from device.tests.delivery.test_slots import about, staged

from groupnl_device.delivery.errors import ExpiredError
from groupnl_device.delivery.outcome import Outcome, Received
from groupnl_device.delivery.slots import Slots


def test_all_of_it_is_plain_json(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    slots.prepare()
    slots.fill("a", staged(slots, b"one"), about(b"one"))
    slots.activate("a")
    outcome = Outcome(
        result="updated",
        made=datetime(2025, 1, 2, tzinfo=UTC),
        before=about(b"zero"),
        received=Received(
            version=1, way="full", received_bytes=9, reused_bytes=1, full_bytes=3, patch_refused="it does not fit"
        ),
        passed_over={3: "not in its rollout yet"},
        recovered="slot b was broken",
        notes=["a note"],
    )
    outcome.look(slots)
    told = json.loads(json.dumps(outcome.to_dict()))
    assert told["made"] == "2025-01-02T00:00:00+00:00"
    assert (told["active"]["slot"], told["active"]["version"], told["kept"]) == ("a", 1, None)
    assert told["received"]["patch_refused"] == "it does not fit"
    assert told["passed_over"] == [{"version": 3, "why": "not in its rollout yet"}]
    assert told["error"] is None
    assert outcome.lines() == [
        "updated: stable 1 is in use",
        "recovered: slot b was broken",
        "received: 9 bytes (full; the full file has 3)",
        "the patch was refused: it does not fit",
        "version 3 is not taken: not in its rollout yet",
        "a note",
    ]


def test_a_failure_has_a_kind_and_one_line() -> None:
    outcome = Outcome()
    outcome.fail(ExpiredError("too\n  old"))
    assert outcome.to_dict()["error"] == {"kind": "expired", "message": "too old"}
    assert outcome.lines() == ["failed: no model is in use"]
