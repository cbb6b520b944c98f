"""Brings one version into use: get it, test it, put it into the spare slot, switch."""

from pathlib import Path
from typing import Any

from groupnl_device.delivery.acquire import Arrived, Source, acquire, clear
from groupnl_device.delivery.errors import SelfTestError
from groupnl_device.delivery.outcome import Outcome, Received
from groupnl_device.delivery.release import MODEL_FILE, Release
from groupnl_device.delivery.slots import Installed, Slot, Slots, now
from groupnl_device.delivery.state import Skipped, State
from groupnl_device.delivery.trial import try_model


def bring_into_use(
    release: Release,
    source: Source,
    slots: Slots,
    in_use: Installed | None,
    state_file: Path,
    outcome: Outcome,
    *,
    test_seconds: float,
) -> None:
    """Take a version into use. The kept model gives way only when the new one has passed its test.

    Args:
        release: The version.
        source: Where it comes from.
        slots: Where it goes.
        in_use: What the active slot holds, whole.
        state_file: Remembers a version that fails.
        outcome: Is told how the version came, and that it is in use.
        test_seconds: That its test may take.

    Raises:
        DeliveryError: It cannot be had, or it failed its test.
        OSError: The disk refuses.
    """
    spare = slots.spare()
    full_bytes = source.catalogue.file(release.path).length
    if _holds(slots, spare, release, source):  # a pull ended between filling and switching, or the way down is short
        _test(slots.model(spare), release, state_file, test_seconds)
        outcome.received = Received(
            version=release.version, way="kept", received_bytes=0, reused_bytes=0, full_bytes=full_bytes
        )
    else:
        arrived = acquire(release, source, in_use, slots.link / MODEL_FILE)
        outcome.received = Received(
            version=release.version,
            way=arrived.way,
            received_bytes=arrived.received_bytes,
            reused_bytes=arrived.reused_bytes,
            full_bytes=full_bytes,
            patch_refused=arrived.patch_refused,
        )
        try:
            figures = _test(arrived.path, release, state_file, test_seconds)
        except SelfTestError:
            clear(source.staging)
            raise
        slots.fill(spare, arrived.path, _installed(release, arrived, figures))
    slots.activate(spare)
    outcome.result = "updated"
    try:
        slots.note_active(spare)
        clear(source.staging)
    except OSError as error:  # the switch is done; the next command makes up for the rest
        outcome.notes.append(f"after the switch: {error}")


def _holds(slots: Slots, spare: Slot, release: Release, source: Source) -> bool:
    """Whether the spare slot holds this very version."""
    about = slots.about(spare)
    if about is None or (about.channel, about.version) != (release.channel, release.version):
        return False
    signed = {source.catalogue.file(release.path).sha256, release.stored_sha256}
    return about.sha256 in signed and slots.whole(spare) is not None


def _test(model: Path, release: Release, state_file: Path, seconds: float) -> dict[str, Any]:
    """Test a model; a failure is remembered before anything else happens."""
    try:
        return try_model(model, most_latency_ms=release.most_latency_ms, seconds=seconds)
    except SelfTestError as error:
        failed = Skipped(channel=release.channel, version=release.version, why=str(error), when=now())
        State.read(state_file).skip(failed).write(state_file)
        raise


def _installed(release: Release, arrived: Arrived, figures: dict[str, Any]) -> Installed:
    return Installed(
        channel=release.channel,
        version=release.version,
        model=release.model,
        sha256=arrived.sha256,
        length=arrived.length,
        way=arrived.way,
        received_bytes=arrived.received_bytes,
        installed=now(),
        self_test=figures,
    )
