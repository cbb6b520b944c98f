"""``groupnl repo init``: an empty signed repository and its keys."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groupnl.cli.output import JsonOption, Output
from groupnl.cli.repository_options import (
    KEYS,
    ROOT_KEYS,
    KeysOption,
    Passphrases,
    RepoOption,
    by_role,
    refusals,
    whole_number,
)

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from groupnl.delivery import Role, RoleKeys, Validity

DaysOption = Annotated[
    list[str] | None,
    typer.Option("--days", metavar="ROLE=N", help="For how long its metadata are valid; repeat for several roles."),
]


def init(
    repo: RepoOption,
    keys: KeysOption = KEYS,
    root_keys: Annotated[
        Path, typer.Option("--root-keys", metavar="DIR", help="Where the root's keys are put; keep them offline.")
    ] = ROOT_KEYS,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="ROLE=N/M", help="M keys, of which N have to sign; default 1/1. Repeat."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key", metavar="ROLE=KEY", help="Use a key of a token (hsm:...) or service (awskms:...). Repeat."
        ),
    ] = None,
    days: DaysOption = None,
    no_passphrase: Annotated[bool, typer.Option("--no-passphrase", help="Do not encrypt keys in files.")] = False,
    json: JsonOption = None,
) -> None:
    """Make an empty repository: keys, and the metadata that they sign. Run again after a kill, it goes on.

    Example: [bold]groupnl repo init --repo site --keys keys --root-keys /media/stick --role root=2/3[/bold]
    """
    from groupnl.delivery import init_repository

    with Output(json).words() as output, refusals():
        secrets = Passphrases()
        repository = init_repository(
            repo,
            keys,
            root_keys,
            secrets,
            roles=wanted_keys(role, key, secrets),
            validity=wanted_validity(days),
            encrypt=not no_passphrase,
        )
        root = repository.state().root
        output.say(
            f"made a repository in {repo}\n"
            f"{keys / 'root.json'}: put it on every device\n"
            f"{keys}: the keys that publishing needs\n"
            f"{root_keys}: the root's keys; keep them offline, and a copy of them elsewhere"
        )
        output.finish(
            {
                "repo": repo,
                "root": str(keys / "root.json"),
                "roles": {
                    name: {"keys": list(found.keyids), "threshold": found.threshold}
                    for name, found in root.roles.items()
                },
            }
        )


def wanted_keys(
    counts: list[str] | None, addresses: list[str] | None, secrets: Passphrases
) -> dict["Role", "RoleKeys"]:
    """What ``--role`` and ``--key`` ask for.

    Raises:
        ValueError: An option is of another form, or they contradict each other.
    """
    from groupnl.delivery import RoleKeys, import_key

    elsewhere: dict[Role, list[tuple[str, Key]]] = {}
    for role, address in by_role(addresses, "--key"):
        elsewhere.setdefault(role, []).append(import_key(address, secrets))
    counted: dict[Role, tuple[int, int]] = {role: (1, len(known)) for role, known in elsewhere.items()}
    for role, text in by_role(counts, "--role"):
        threshold, slash, count = text.partition("/")
        if not slash:
            raise ValueError(f"--role {role}={text}: expected N/M, such as 2/3")
        counted[role] = whole_number(threshold, "--role"), whole_number(count, "--role")
    found = {}
    for role, (needed, total) in counted.items():
        known = elsewhere.get(role, [])
        if total < len(known):
            raise ValueError(f"--role {role}={needed}/{total}: {len(known)} keys are given with --key")
        found[role] = RoleKeys(threshold=needed, made=total - len(known), elsewhere=tuple(known))
    return found


def wanted_validity(days: list[str] | None, before: "Validity | None" = None) -> "Validity":
    """What ``--days`` asks for.

    Raises:
        ValueError: An option is of another form.
    """
    from groupnl.delivery import Validity

    changes = {role: whole_number(text, f"--days {role}") for role, text in by_role(days, "--days")}
    return replace(before or Validity(), **changes)
