"""What a device remembers."""

from pathlib import Path

import pytest

from groupnl_device.delivery.state import Skipped, State


def skipped(version: int, channel: str = "stable") -> Skipped:
    return Skipped(channel=channel, version=version, why=f"reason {version}", when="2025-01-01T00:00:00+00:00")


def test_it_reads_back_what_it_wrote(tmp_path: Path) -> None:
    state = State(
        skipped=(skipped(3), skipped(3, "beta")),
        last_pull="2025-01-02T00:00:00+00:00",
        last_success="2025-01-01T00:00:00+00:00",
        last_error={"kind": "network", "message": "no route"},
    )
    state.write(tmp_path / "state.json")
    assert State.read(tmp_path / "state.json") == state
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"skipped": 3, "last_error": null}',
        b"\xff",
        b'{"skipped": [{"channel": 1}]}',
    ],
)
def test_a_file_that_cannot_be_read_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    assert State.read(tmp_path / "state.json") == State()
    assert State.read(tmp_path / "absent.json") == State()


def test_a_version_is_skipped_in_its_channel_until_it_is_admitted() -> None:
    state = State().skip(skipped(3)).skip(skipped(4))
    assert state.why_skipped("stable", 3) == "reason 3"
    assert state.why_skipped("beta", 3) is None
    assert state.admit("beta", 3) == state
    assert state.admit("stable", 3).why_skipped("stable", 3) is None
    assert state.admit("stable", 3).why_skipped("stable", 4) == "reason 4"


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    state = State()
    for version in range(1, 101):
        state = state.skip(skipped(version))
    assert len(state.skipped) == 64
    assert state.why_skipped("stable", 100) == "reason 100"
    assert state.why_skipped("stable", 1) is None


def test_a_version_is_there_once() -> None:
    assert len(State().skip(skipped(1)).skip(skipped(1)).skipped) == 1
