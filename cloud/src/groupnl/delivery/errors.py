"""What a publisher tells apart when a repository does not take a change."""


class RepositoryError(ValueError):
    """The repository is not as it should be; the message says what was found and what to do."""


class UntrustedError(RepositoryError):
    """The repository holds metadata that the trusted keys have not signed."""


class ConflictError(RepositoryError):
    """Another publisher was first; nothing that devices see was changed. Run the command again."""


class UnfinishedError(RepositoryError):
    """Another publisher has begun a change and not ended it: it is at work, or it was killed."""
