"""What the commands about a repository share: where it lies, the keys, passphrases, and how refusals end."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groupnl.cli.output import ResultFailedError

if TYPE_CHECKING:
    from groupnl.delivery import Repository, Role

RepoOption = Annotated[
    str, typer.Option("--repo", metavar="URL", help="A folder, s3://BUCKET/FOLDER or sftp://USER@HOST/FOLDER.")
]
KeysOption = Annotated[
    Path, typer.Option("--keys", metavar="DIR", help="The keys of targets, snapshot and timestamp, and root.json.")
]
RootKeysOption = Annotated[
    list[Path] | None,
    typer.Option("--root-keys", metavar="DIR", help="The offline keys of root; repeat for several media."),
]
ChannelOption = Annotated[str, typer.Option("--channel", metavar="C", help="The line of versions, such as stable.")]
PercentOption = Annotated[
    float, typer.Option("--percent", metavar="P", help="Of the devices; who is in at 10 stays in at 50.")
]
GroupOption = Annotated[
    list[str] | None, typer.Option("--group", metavar="G", help="Only devices of this group; repeat for several.")
]
KEYS = Path("keys")
ROOT_KEYS = Path("root-keys")


class Passphrases:
    """Gives passphrases and pins: from the environment, or asked for once at the terminal.

    Args:
        environment: ``GROUPNL_PASSPHRASE``; ``GROUPNL_ROOT_PASSPHRASE`` for keys of root, where it is another one;
            ``GROUPNL_PIN`` for tokens.
        ask: Asks a question without showing the answer.
        is_terminal: Whether there is somebody to ask.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        ask: Callable[[str, bool], str] | None = None,
        is_terminal: bool | None = None,
    ) -> None:
        self._environment = environment
        self._ask = ask or _ask
        self._is_terminal = sys.stdin.isatty() if is_terminal is None else is_terminal
        self._known: dict[str, str] = {}

    def __call__(self, kind: str, name: str) -> str:
        """The secret of a kind for a key.

        Raises:
            ValueError: The environment has none, and there is nobody to ask.
        """
        if kind == "pin":
            variables, asked = ["GROUPNL_PIN"], f"pin for {name}"
        elif name.startswith("root"):
            variables, asked = ["GROUPNL_ROOT_PASSPHRASE", "GROUPNL_PASSPHRASE"], "passphrase of the root's keys"
        else:
            variables, asked = ["GROUPNL_PASSPHRASE"], "passphrase of the keys for publishing"
        for variable in variables:
            if variable in self._environment:
                return self._environment[variable]
        if asked not in self._known:
            if not self._is_terminal:
                raise ValueError(f"{asked}: there is no terminal to ask at; set {variables[-1]}")
            self._known[asked] = self._ask(asked, kind == "new passphrase")
        return self._known[asked]


@contextmanager
def refusals() -> Iterator[None]:
    """A repository that does not take the change ends the command with exit code 1; wrong arguments with 2."""
    from groupnl.delivery import RepositoryError

    try:
        yield
    except RepositoryError as error:
        raise ResultFailedError(str(error)) from error


def open_repository(repo: str, keys: Path, root_keys: Sequence[Path] | None = None) -> "Repository":
    """The repository of a command."""
    from groupnl.delivery import Repository

    return Repository.open(repo, keys, Passphrases(), root_keys or ())


def by_role(given: Sequence[str] | None, option: str) -> list[tuple["Role", str]]:
    """Options of the form ``ROLE=VALUE``.

    Raises:
        ValueError: One is of another form.
    """
    from groupnl.delivery import ROLES

    found: list[tuple[Role, str]] = []
    for text in given or []:
        name, _, value = text.partition("=")
        role = next((role for role in ROLES if role == name), None)
        if role is None or not value:
            raise ValueError(f"{option} {text}: expected ROLE=VALUE with one of the roles {', '.join(ROLES)}")
        found.append((role, value))
    return found


def whole_number(text: str, option: str) -> int:
    """A number that was given as a part of an option.

    Raises:
        ValueError: It is none.
    """
    if not text.isdecimal():
        raise ValueError(f"{option}: {text!r} is no whole number")
    return int(text)


def _ask(question: str, twice: bool) -> str:
    answer: str = typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=True)
    return answer
