"""What can be wrong with a bundle, as a small family of errors that a caller can tell apart."""


class BundleError(ValueError):
    """A bundle cannot be used; the message says which file and why."""


class NotABundleError(BundleError):
    """The file is something else: no zip, or a zip without ``manifest.json``."""


class TruncatedBundleError(BundleError):
    """The file ends early."""


class TamperedBundleError(BundleError):
    """The content is not what the manifest says: another hash or size, an entry too many or too few, stray bytes."""


class UnsafeBundleError(BundleError):
    """The archive holds what no bundle holds: a path outside, a link, a double name, encryption, overlaps."""


class BundleTooLargeError(BundleError):
    """More entries or bytes than the reader's limits allow."""


class FormatVersionError(BundleError):
    """The bundle's format is newer than this reader."""


class InvalidManifestError(BundleError):
    """``manifest.json`` is not valid: not JSON, or not by the schema."""


class NoRunnableArtifactError(BundleError):
    """None of the bundle's artifacts can run on this device."""
