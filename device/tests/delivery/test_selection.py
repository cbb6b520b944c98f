"""Which version is next, against a plain search over all of them."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from groupnl_device.delivery.device import Device
from groupnl_device.delivery.release import Needs, Release, Rollout
from groupnl_device.delivery.selection import select
from groupnl_device.delivery.slots import Installed
from groupnl_device.delivery.state import Skipped, State

DEVICE = Device(device_id="x", runtimes=frozenset({"onnxruntime"}), groups=("lab",))


def release(version: int, channel: str = "stable", **changes: Any) -> Release:
    given = {"rollout": Rollout(), "runtimes": ("onnxruntime",), **changes}
    return Release(
        channel=channel,
        version=version,
        model="tiny",
        published="2025-01-01T00:00:00+00:00",
        rollout=given["rollout"],
        needs=Needs(runtimes=given["runtimes"], input_size=(3, 6, 8)),
        stored_sha256="0" * 64,
        stored_bytes=1,
    )


def installed(version: int, channel: str = "stable") -> Installed:
    return Installed(
        channel=channel,
        version=version,
        model="tiny",
        sha256="0" * 64,
        length=1,
        way="full",
        received_bytes=1,
        installed="2025-01-01T00:00:00+00:00",
        self_test={},
    )


def skipping(*versions: int) -> State:
    state = State()
    for version in versions:
        state = state.skip(Skipped(channel="stable", version=version, why="it failed", when="now"))
    return state


def chosen(releases: list[Release], active: Installed | None = None, **changes: Any) -> int | None:
    given = {"withdrawn": {}, "channel": "stable", "device": DEVICE, "state": State(), **changes}
    choice = select(releases, given.pop("withdrawn"), active=active, **given)
    return None if choice.release is None else choice.release.version


ALL = [release(version) for version in (1, 2, 3)]


def test_the_highest_above_what_is_in_use() -> None:
    assert chosen(ALL) == 3
    assert chosen(ALL, installed(2)) == 3
    assert chosen(ALL, installed(3)) is None
    assert chosen(ALL, installed(4)) is None
    assert chosen([]) is None


def test_other_channels_do_not_count() -> None:
    assert chosen([*ALL, release(9, "beta")]) == 3
    assert chosen(ALL, installed(7, "beta")) == 3


def test_a_withdrawn_version_is_neither_taken_nor_kept() -> None:
    assert chosen(ALL, withdrawn={"stable": frozenset({3})}) == 2
    assert chosen(ALL, installed(3), withdrawn={"stable": frozenset({3})}) == 2
    assert chosen(ALL, installed(3), withdrawn={"stable": frozenset({2})}) is None
    assert chosen(ALL, installed(3), withdrawn={"beta": frozenset({3})}) is None
    assert chosen(ALL, installed(3, "beta"), withdrawn={"beta": frozenset({3})}, channel="beta") is None


def test_skipped_versions_and_those_for_others_are_passed_over_with_the_reason() -> None:
    releases = [
        release(1),
        release(2, runtimes=("ncnn",)),
        release(3, rollout=Rollout(percent=0)),
        release(4, rollout=Rollout(groups=("field",))),
        release(5),
    ]
    choice = select(releases, {}, channel="stable", active=None, device=DEVICE, state=skipping(5))
    assert choice.release is not None
    assert choice.release.version == 1
    assert choice.passed_over == {
        5: "skipped here: it failed",
        4: "not in its rollout yet",
        3: "not in its rollout yet",
        2: "runs on ncnn; the runtimes here: onnxruntime",
    }


@settings(deadline=None, max_examples=200)
@given(
    versions=st.sets(st.integers(1, 8)),
    gone=st.sets(st.integers(1, 8)),
    skipped=st.sets(st.integers(1, 8)),
    active=st.none() | st.integers(1, 8),
)
def test_it_never_goes_down_unless_what_is_in_use_was_withdrawn(
    versions: set[int], gone: set[int], skipped: set[int], active: int | None
) -> None:
    version = chosen(
        [release(v) for v in versions],
        None if active is None else installed(active),
        withdrawn={"stable": frozenset(gone)},
        state=skipping(*skipped),
    )
    allowed = {v for v in versions if v not in gone and v not in skipped}
    if active is not None and active not in gone:
        allowed = {v for v in allowed if v > active}
    assert version == (max(allowed) if allowed else None)
