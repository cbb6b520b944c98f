"""What can go wrong between the repository and the device, as a small family that an operator can tell apart."""


class DeliveryError(ValueError):
    """An update did not happen; the message says why, and the device keeps the model that it has.

    Attributes:
        kind: One word for programs, such as ``signature``.
    """

    kind = "delivery"


class NetworkError(DeliveryError):
    """The repository cannot be reached, or answers with an error; worth another attempt later."""

    kind = "network"


class SlowError(NetworkError):
    """Bytes arrive more slowly than is allowed."""

    kind = "slow"


class SignatureError(DeliveryError):
    """Metadata that the trusted keys have not signed."""

    kind = "signature"


class OldMetadataError(DeliveryError):
    """The repository shows an older state than the device has seen."""

    kind = "rollback"


class ExpiredError(DeliveryError):
    """Metadata past its time: the repository is not looked after, or somebody replays an old state."""

    kind = "expired"


class ClockError(DeliveryError):
    """The device's clock is before the time at which the metadata were made."""

    kind = "clock"


class MetadataError(DeliveryError):
    """Signed, but not what a device of this version understands."""

    kind = "metadata"


class ContentError(DeliveryError):
    """A downloaded file is longer than its metadata say, or another one."""

    kind = "content"


class PatchError(DeliveryError):
    """A patch does not fit the model that is here, or does not give the promised one."""

    kind = "patch"


class UnfitError(DeliveryError):
    """A model that this device cannot run."""

    kind = "unfit"


class SelfTestError(DeliveryError):
    """A new model failed its test on this device."""

    kind = "self-test"


class BusyError(DeliveryError):
    """Another process updates this device's models at the moment."""

    kind = "busy"


class StorageError(DeliveryError):
    """The disk is full, read-only or broken."""

    kind = "storage"
