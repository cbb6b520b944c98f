"""The progress bar of a run: epoch, loss, accuracy and time left, on standard error and only where a person looks."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """A bar over all steps of the run; does nothing when it is switched off or standard error is no terminal."""

    def __init__(self, *, enabled: bool, steps: int, done: int, epochs: int):
        """Args: ``steps`` of the whole run, ``done`` of them before it was resumed, ``epochs`` of the whole run."""
        self._console = Console(stderr=True)
        self._speaks = enabled
        self._epochs = epochs
        self._bar: Progress | None = None
        self._measured = "-"
        if enabled and self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self._console,
                refresh_per_second=4,
            )
            self._task = self._bar.add_task("training", total=steps, completed=done, figures="")

    def __enter__(self) -> "TrainingProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def visible(self) -> bool:
        """Whether figures are worth fetching from the device."""
        return self._bar is not None

    def say(self, message: str) -> None:
        """Print a line, on any standard error, unless the progress is switched off."""
        if self._speaks:
            self._console.print(message, highlight=False, markup=False, soft_wrap=True)

    def show(self, *, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """Move the bar: ``epoch`` from 1, ``loss`` and ``accuracy`` of the epoch so far."""
        if self._bar is not None:
            figures = f"loss {loss:.3f}  train {accuracy:.1%}  test {self._measured}"
            self._bar.update(self._task, completed=step, description=f"epoch {epoch}/{self._epochs}", figures=figures)

    def measured(self, accuracy: float) -> None:
        """Remember the last test accuracy, in [0, 1]."""
        self._measured = f"{accuracy:.1%}"
