"""What can go wrong with a run whose arguments were right."""


class TrainingError(RuntimeError):
    """The run cannot go on: it diverged, its state cannot be written or read. The message says what to do."""
