"""``mlpublish repo``: make repositories, say who must act, replace keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlpublish.artifacts import check_app_id
from mlpublish.cli import options, outcome, repo_keys, repo_renew, repo_status

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from mlpublish.repository.founding import Holders


@click.group()
def command() -> None:
    """Make repositories, say who must act, replace keys."""


command.add_command(repo_status.command)
command.add_command(repo_renew.command)
command.add_command(repo_keys.rotate)
command.add_command(repo_keys.rekey)


@command.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False, metavar="[DIR]")
@click.option("--dev", type=click.Path(path_type=Path), metavar="DIR", help="Make a development folder: every key lies in it.")
@click.option("--app", "app_ids", multiple=True, metavar="ID", help="Make this app's repository now.")
@click.option("--root-keys", metavar="KEY,…", help="Who may replace every key: public key files, key URIs, NAME=FILE.")
@click.option("--root-threshold", type=int, default=1, show_default=True, metavar="M", help="How many of them must sign.")
@click.option("--app-keys", metavar="KEY,…", help="Publishers and reviewers: who says what the releases are.")
@click.option("--app-threshold", type=int, default=1, show_default=True, metavar="M", help="How many of them must sign.")
@click.option("--operator-keys", metavar="KEY,…", help="Who steers the channels; each alone.")
@click.option("--online-key", metavar="KEYURI", help="What a server, or repo renew, signs snapshot and timestamp with.")
@click.option("--pin", metavar="KEY", help="The predecessor's pinned RSA key, which has to co-sign the first root.")
@click.option("--app-days", type=int, default=90, show_default=True, metavar="N", help="How long an app role holds; up to 365.")
@click.option("--publisher-may-not-approve", is_flag=True, help="A proposer's own signature does not count.")
@click.option("--sign", "signers", multiple=True, metavar="KEYURI", help="Sign the new repositories with this key at once.")
@outcome.options
def init(
    folder: Path | None,
    dev: Path | None,
    app_ids: tuple[str, ...],
    app_days: int,
    publisher_may_not_approve: bool,
    signers: tuple[str, ...],
    pin: str | None,
    online_key: str | None,
    **held: str | int | None,
) -> None:
    """Make a repository: for one developer (--dev DIR), or for production (DIR, and who will hold which role).

    In production no offline key comes near this machine: the holders sign with mlpublish review sign, and an app's repository
    stands as soon as enough of them have.
    """
    for app_id in app_ids:
        check_app_id(app_id)
    if (dev is None) == (folder is None):
        raise click.UsageError("Give either --dev DIR (development) or DIR (production).")
    if dev is not None:
        if any(held[name] is not None for name in ("root_keys", "app_keys", "operator_keys")) or online_key or pin or signers:
            raise click.UsageError("--dev makes its own keys; leave out the others.")
        _develop(dev, app_ids)
        return
    assert folder is not None
    from mlpublish.formats.key_uri import KeyUri
    from mlpublish.repository import production

    if online_key is None:
        raise click.UsageError("Missing option '--online-key'.")
    online = KeyUri.parse(online_key).under(Path.cwd())
    production.make(folder, _holders(held, online, pin), snapshot=online, timestamp=online)
    _add(folder, app_ids, app_days, publisher_may_not_approve, signers, verb="repo.init")


@command.command("add-app")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--app", "app_ids", multiple=True, required=True, metavar="ID", help="May be given several times.")
@click.option("--app-days", type=int, default=90, show_default=True, metavar="N", help="How long an app role holds; up to 365.")
@click.option("--publisher-may-not-approve", is_flag=True, help="A proposer's own signature does not count.")
@click.option("--sign", "signers", multiple=True, metavar="KEYURI", help="Sign the new repositories with this key at once.")
@outcome.options
def add_app(
    folder: Path, app_ids: tuple[str, ...], app_days: int, publisher_may_not_approve: bool, signers: tuple[str, ...]
) -> None:
    """Add an app to the repository in DIR, with the holders that repo init was given."""
    from mlpublish.repository.development import Development

    for app_id in app_ids:
        check_app_id(app_id)
    if Development.find(folder) is not None:
        _develop(folder, app_ids, verb="repo.add-app")
        return
    _add(folder, app_ids, app_days, publisher_may_not_approve, signers, verb="repo.add-app")


def _develop(folder: Path, app_ids: Sequence[str], verb: str = "repo.init") -> None:
    from mlpublish.repository.development import Development

    stood = Development.find(folder) is not None
    made = Development.make(folder)
    for app_id in app_ids:
        made.app(app_id)
    result = {"folder": str(folder), "repository": str(made.repository), "apps": list(app_ids)}
    text = (
        f"{'Stands already:' if stood else 'Made'} {folder}: keys, tokens, and the repository {made.repository}.\n"
        f"Next: export MLPUBLISH_REPOSITORY={folder.absolute()} and run mlpublish serve {folder}."
    )
    outcome.tell(verb, result, text)


def _add(folder: Path, app_ids: Sequence[str], days: int, strict: bool, signers: Sequence[str], *, verb: str) -> None:
    from mlpublish.formats.policy import LONGEST_EXPIRY_DAYS, Policy
    from mlpublish.reporting.text import as_text
    from mlpublish.repository import production
    from mlpublish.trust.signer import signer_for

    if not 1 <= days <= LONGEST_EXPIRY_DAYS:
        raise click.UsageError(f"--app-days must be from 1 to {LONGEST_EXPIRY_DAYS}.")
    opened = [signer_for(uri) for uri in signers]  # once for all apps: a passphrase is asked for once
    reports = [
        production.add_app(folder, Policy(app_id=each, expiry_days=days, publisher_may_approve=not strict), signers=opened)
        for each in app_ids
    ]
    result = {"folder": str(folder), "repository": str(folder / "repository"), "apps": [each.to_dict() for each in reports]}
    told = [f"{folder}: the repository {folder / 'repository'}.", *(as_text(each) for each in reports)]
    if any(each.missing for each in reports):
        told.append(
            f"Each holder: mlpublish review sign --at {folder} --app ID --key KEYURI (by files: review show --save DIR)."
        )
    outcome.tell(verb, result, "\n\n".join(told))


def _holders(held: dict[str, str | int | None], online: str, pin: str | None) -> Holders:
    from mlpublish.repository.founding import Held, Holders
    from mlpublish.trust.keys import read_public

    signs = read_public(online)
    roles = {
        "root": Held(keys=_keys(held["root_keys"], "--root-keys"), threshold=int(held["root_threshold"] or 1)),
        "targets": Held(keys=_keys(held["app_keys"], "--app-keys"), threshold=int(held["app_threshold"] or 1)),
        "channels": Held(keys=_keys(held["operator_keys"], "--operator-keys")),
        "snapshot": Held(keys=(signs,)),
        "timestamp": Held(keys=(signs,)),
    }
    return Holders(roles=roles, pin=None if pin is None else read_public(pin))


def _keys(text: str | int | None, option: str) -> tuple[Key, ...]:
    if not text:
        raise click.UsageError(f"Missing option '{option}'.")
    return tuple(options.public_key(each.strip()) for each in str(text).split(",") if each.strip())
