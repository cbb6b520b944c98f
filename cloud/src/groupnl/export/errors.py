"""Why a net cannot be exported."""


class ExportError(ValueError):
    """The net, or what was given with it, cannot become a bundle; nothing was written."""


class DisagreementError(ExportError):
    """The bundle runs, and answers otherwise than the net; nothing was written."""
