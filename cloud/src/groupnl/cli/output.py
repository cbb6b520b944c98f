"""Where a command's words and figures go: words for people, JSON for programs, never mixed."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

JsonOption = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON to FILE; - is stdout, then alone there."),
]

_PIPED_WIDTH = 160  # columns: a table in a file or a log is cut nowhere that matters


class ResultFailedError(Exception):
    """A command worked and its result did not pass: exit code 1."""


class Output:
    """A command's output. With ``--json -`` all words go to stderr, also those of libraries.

    Args:
        target: A file, ``-`` for stdout, or None for no JSON.
    """

    def __init__(self, target: str | None) -> None:
        self._target = target
        self._text: str | None = None  # JSON that waits for stdout to be free
        self.console = Console(stderr=target == "-", highlight=False)
        if not self.console.is_terminal:
            self.console = Console(stderr=target == "-", highlight=False, width=_PIPED_WIDTH)

    @contextmanager
    def words(self) -> Iterator["Output"]:
        """Keep stdout clean while the command works."""
        if self._target != "-":
            yield self
            return
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(2, 1)  # libraries in C++ write to the descriptor itself (gloo does)
        try:
            with redirect_stdout(sys.stderr):
                yield self
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            if self._text is not None:
                sys.stdout.write(self._text)
                sys.stdout.flush()

    def say(self, shown: Any) -> None:
        """Show text or a table to a person."""
        self.console.print(shown, soft_wrap=isinstance(shown, str), markup=False)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result where ``--json`` said."""
        if self._target is None:
            return
        text = json.dumps(result, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        if self._target == "-":
            self._text = text
            return
        from groupnl_device.atomic import write_atomically

        write_atomically(Path(self._target), lambda file: file.write(text.encode()))


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr, for people only; gives a callback of (what, done, total)."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=None)

        def show(what: str, done: int, total: int) -> None:
            progress.update(task, description=f"{label}: {what}", completed=done, total=total)

        yield show
