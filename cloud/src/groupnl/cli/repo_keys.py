"""``groupnl repo renew`` and ``rotate``: metadata signed again, and keys replaced."""

from typing import Annotated

import typer

from groupnl.cli.output import JsonOption, Output
from groupnl.cli.repo_init import DaysOption, wanted_validity
from groupnl.cli.repository_options import (
    KEYS,
    ROOT_KEYS,
    KeysOption,
    Passphrases,
    RepoOption,
    RootKeysOption,
    by_role,
    refusals,
)

MOST_KEYS = 100  # of a role: a typing error, if it were more


def renew(
    repo: RepoOption,
    keys: KeysOption = KEYS,
    root_keys: RootKeysOption = None,
    days: DaysOption = None,
    json: JsonOption = None,
) -> None:
    """Sign the metadata again before they are past their time; with --root-keys the root as well.

    Example: [bold]groupnl repo renew --repo site[/bold]
    """
    from groupnl.delivery import Repository, Validity, renew_root
    from groupnl.delivery import renew as renew_online

    with Output(json).words() as output, refusals():
        repository = Repository.open(repo, keys, Passphrases(), root_keys or ())
        if days and not root_keys:
            raise ValueError("--days is written into the root: give --root-keys as well")
        if root_keys:
            before = Validity.of_root(repository.state().root.unrecognized_fields)
            renew_root(repository, wanted_validity(days, before))
        renew_online(repository)
        state = repository.state()
        until = {
            signed.type: signed.expires.isoformat()
            for signed in (state.root, state.targets, state.snapshot, state.timestamp)
        }
        for role, moment in until.items():
            output.say(f"{role}: valid until {moment}")
        output.finish({"repo": repo, "expires": until})


def rotate(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="root, targets, snapshot or timestamp.")],
    repo: RepoOption,
    keys: KeysOption = KEYS,
    root_keys: RootKeysOption = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="M", help="How many keys it has then; default: as many as now.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="One of them is this, of a token or a service; repeat."),
    ] = None,
    threshold: Annotated[
        int | None, typer.Option("--threshold", metavar="N", help="How many of them have to sign; default: as now.")
    ] = None,
    no_passphrase: Annotated[bool, typer.Option("--no-passphrase", help="Do not encrypt keys in files.")] = False,
    json: JsonOption = None,
) -> None:
    """Replace all keys of a role; devices follow by themselves, and what the old keys sign is refused from then on.

    Example: [bold]groupnl repo rotate targets --repo site --root-keys /media/stick[/bold]
    """
    from groupnl.delivery import ROLES, Repository, add_key, import_key, make_key
    from groupnl.delivery import rotate as rotate_keys

    with Output(json).words() as output, refusals():
        [(known, _)] = by_role([f"{role}=new"], "ROLE")
        secrets = Passphrases()
        offline = root_keys or [ROOT_KEYS]
        repository = Repository.open(repo, keys, secrets, offline)
        root = repository.state().root
        before, addresses = root.roles[known], key or []
        count = max(len(before.keyids), len(addresses)) if count is None else count
        threshold = before.threshold if threshold is None else threshold
        if not max(1, len(addresses)) <= count <= MOST_KEYS or not 1 <= threshold <= count:
            raise ValueError(
                f"--threshold {threshold} of --count {count} with {len(addresses)} --key: expected at most {MOST_KEYS} "
                "keys, as many as are given at least, and no more that sign than there are"
            )
        others = [] if known == "root" else [name for name in ROLES if name not in ("root", known)]
        for name in ("root", *others):  # a missing key or a wrong passphrase is refused before new keys lie about
            repository.keyring.signers(root, name)
        folder = offline[0] if known == "root" else keys
        entries = [add_key(folder, known, *import_key(address, secrets)) for address in addresses]
        entries += [make_key(folder, known, None if no_passphrase else secrets) for _ in range(count - len(entries))]
        root = rotate_keys(repository, known, entries, threshold)
        output.say(
            f"{known} is signed by new keys: {', '.join(entry.name for entry in entries)} in {folder}\n"
            f"{keys / 'root.json'} is the new root: put it on new devices; those in use follow by themselves"
        )
        output.finish(
            {
                "repo": repo,
                "role": known,
                "root_version": root.version,
                "keys": [{"name": entry.name, "keyid": entry.public.keyid} for entry in entries],
                "threshold": threshold,
            }
        )
