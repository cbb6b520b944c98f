"""The device client: pull the next version, or go back to the model before."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from groupnl_device.delivery.acquire import Source, clear
from groupnl_device.delivery.device import Device
from groupnl_device.delivery.disk import storage_error
from groupnl_device.delivery.errors import DeliveryError, StorageError, UnfitError
from groupnl_device.delivery.fetch import Fetcher
from groupnl_device.delivery.lock import only_one
from groupnl_device.delivery.outcome import Outcome, told
from groupnl_device.delivery.patience import Patience
from groupnl_device.delivery.recovery import settle
from groupnl_device.delivery.release import check_channel
from groupnl_device.delivery.selection import Choice, select
from groupnl_device.delivery.slots import Slots, now
from groupnl_device.delivery.state import Skipped, State
from groupnl_device.delivery.trial import DEFAULT_SECONDS
from groupnl_device.delivery.trust import refresh
from groupnl_device.delivery.update import bring_into_use

STATE, LOCK, METADATA, STAGING = "state.json", "lock", "metadata", "staging"  # in the device folder


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of a pull.

    Attributes:
        repo: The repository's address, http or https.
        root: File with the trusted root, which came with the device.
        channel: Of the models.
        folder: The device folder.
        device: Who it is, and what it can run.
        patience: With the network.
        test_seconds: That a self-test may take.
    """

    repo: str
    root: Path
    channel: str
    folder: Path
    device: Device
    patience: Patience = field(default_factory=Patience)
    test_seconds: float = DEFAULT_SECONDS

    def __post_init__(self) -> None:
        check_channel(self.channel)
        if not self.test_seconds > 0:
            raise ValueError(f"test_seconds={self.test_seconds!r}: expected more than 0")


def pull(settings: Settings) -> Outcome:
    """Take the next version of the channel, if there is one for this device.

    Whatever goes wrong, and whenever the process is killed, ``current`` leads to the whole old model or to the whole
    new one, and the next pull goes on from there.

    Returns:
        What happened, failures included.

    Raises:
        ValueError: An address that is none.
        OSError: The file of the trusted root cannot be read.
    """
    root = settings.root.read_bytes()

    def work(slots: Slots, outcome: Outcome) -> None:
        try:
            slots.prepare()
            _pull(settings, root, slots, outcome)
        except (DeliveryError, OSError) as error:
            outcome.fail(_delivery_error(error))
            if isinstance(outcome.error, StorageError):
                _give_back(settings.folder / STAGING, outcome)
        _remember(settings.folder / STATE, outcome)

    return _alone(settings.folder, work)


def rollback(folder: Path) -> Outcome:
    """Take the model of the other slot into use again; the version that is left is not taken any more.

    Args:
        folder: The device folder.

    Raises:
        ValueError: There is no such folder.
    """
    check_folder(folder)
    return _alone(folder, lambda slots, outcome: _rollback(slots, folder / STATE, outcome))


def _alone(folder: Path, work: Callable[[Slots, Outcome], None]) -> Outcome:
    """Work on a folder while nobody else does, and give the account."""
    slots, outcome = Slots(folder), Outcome()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with only_one(folder / LOCK):
            outcome.look(slots)
            outcome.before = None if outcome.active is None else outcome.active.what
            work(slots, outcome)
    except (DeliveryError, OSError) as error:
        outcome.fail(_delivery_error(error))
    try:
        outcome.look(slots)
    except (DeliveryError, OSError) as error:
        outcome.notes.append(str(_delivery_error(error)))
    return outcome


def _pull(settings: Settings, root: bytes, slots: Slots, outcome: Outcome) -> None:
    in_use, outcome.recovered = settle(slots)
    with Fetcher(settings.patience) as fetcher:
        catalogue = refresh(settings.repo, settings.folder / METADATA, root, fetcher)
        outcome.made = catalogue.made
        outcome.notes += [f"{path}: {why}" for path, why in catalogue.unreadable.items()]
        choice = select(
            catalogue.releases,
            catalogue.withdrawn,
            channel=settings.channel,
            active=in_use,
            device=settings.device,
            state=State.read(settings.folder / STATE),
        )
        outcome.passed_over = choice.passed_over
        if choice.release is not None:
            source = Source(catalogue=catalogue, staging=settings.folder / STAGING, fetcher=fetcher)
            state_file = settings.folder / STATE
            bring_into_use(
                choice.release, source, slots, in_use, state_file, outcome, test_seconds=settings.test_seconds
            )
            return
        if in_use is None:
            raise UnfitError(_nothing_for(settings.channel, choice))
        clear(settings.folder / STAGING)  # what an earlier pull began is not wanted any more
        if choice.withdrawn:
            outcome.notes.append(f"{in_use.label} was withdrawn, and nothing else is there for this device")


def _rollback(slots: Slots, state_file: Path, outcome: Outcome) -> None:
    active, spare = slots.active(), slots.spare()
    kept = slots.whole(spare)
    if kept is None:
        raise DeliveryError(f"there is nothing to roll back to: slot {spare} holds no whole model")
    if kept.activated is None:
        raise DeliveryError(f"slot {spare} holds {kept.label}, which was never in use; the next pull goes on with it")
    left = None if active is None else slots.about(active)
    state = State.read(state_file).admit(kept.channel, kept.version)
    if left is not None:
        left_here = Skipped(channel=left.channel, version=left.version, why="rolled back from it", when=now())
        state = state.skip(left_here)
    state.write(state_file)  # first: a kill in between must not bring the next pull back to the version that is left
    slots.activate(spare)
    outcome.result = "rolled back"


def _nothing_for(channel: str, choice: Choice) -> str:
    if not choice.passed_over:
        return f"the repository has no version of the channel {channel!r} for this device"
    reasons = "; ".join(f"version {version}: {why}" for version, why in choice.passed_over.items())
    return f"no version of the channel {channel!r} is for this device ({reasons})"


def _remember(state_file: Path, outcome: Outcome) -> None:
    """Note how the pull ended; where that cannot be written, the account says so."""
    try:
        time = now()
        state = replace(State.read(state_file), last_pull=time, last_error=None)
        if outcome.error is None:
            state = replace(state, last_success=time)
        else:
            state = replace(state, last_error=told(outcome.error))
        state.write(state_file)
    except OSError as error:
        outcome.notes.append(f"{STATE} is not written: {storage_error(error)}")


def _give_back(staging: Path, outcome: Outcome) -> None:
    """Where the disk is full, free what a download has taken: the rest of the device needs it."""
    try:
        clear(staging)
    except OSError as error:
        outcome.notes.append(str(storage_error(error)))


def _delivery_error(error: DeliveryError | OSError) -> DeliveryError:
    return storage_error(error) if isinstance(error, OSError) else error


def check_folder(folder: Path) -> None:
    """Refuse a folder that is not there.

    Raises:
        ValueError: It is not.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; expected the one that was given to pull as --dir")
