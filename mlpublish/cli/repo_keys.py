"""``mlpublish repo rotate`` and ``repo rekey``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import batch, options, outcome

_ROLES = {"root": "root", "app": "targets", "targets": "targets", "operators": "channels", "channels": "channels"} | {
    name: name for name in ("online", "snapshot", "timestamp")
}


@click.command("rotate")
@click.argument("role", type=click.Choice(list(_ROLES)), metavar="ROLE")
@click.option("--add", multiple=True, metavar="KEY", help="A key that the role gets: a public key file, key URI, NAME=FILE.")
@click.option("--drop", multiple=True, metavar="KEY", help="A key that it loses: the beginning of its id, or its file.")
@click.option("--threshold", type=int, metavar="M", help="How many must sign from then on.")
@click.option("--at", metavar="URI", help="http(s)://host[:port], file:DIR or DIR. [MLPUBLISH_ENDPOINT]")
@click.option("--app", "app_ids", multiple=True, metavar="ID", help="May be given several times.  [default: every app there]")
@options.repository
@options.key
@click.option("--root", type=click.Path(path_type=Path), help="The app's trusted 1.root.json.")
@options.token_file
@outcome.options
def rotate(
    role: str,
    add: tuple[str, ...],
    drop: tuple[str, ...],
    threshold: int | None,
    at: str | None,
    app_ids: tuple[str, ...],
    repository: str | None,
    key: str | None,
    root: Path | None,
    token_file: Path | None,
) -> int:
    """Replace keys of ROLE (root, app, operators, online): a change that the holders sign.

    With neither --add nor --drop the role is made again with a later expiry. A new key of the app role or of root signs
    before the old one goes, so no device is ever left behind; one change is made per app.
    """
    from mlpublish.repository import review
    from mlpublish.trust.intents import Intent

    intent = Intent(
        kind="rotate",
        role=_ROLES[role],
        add=tuple(options.public_key(each) for each in add),
        drop=tuple(_keyid(each) for each in drop),
        threshold=threshold,
    )
    wheres = batch.every_app(at, app_ids, repository, root=root, token_file=token_file, key=key)
    return batch.in_batch("repo.rotate", wheres, lambda where: review.propose(where, intent))


@click.command("rekey")
@click.option("--pin", required=True, metavar="KEYURI", help="The predecessor's RSA key that apps pin; it signs.")
@click.option("--at", metavar="URI", help="http(s)://host[:port], file:DIR or DIR. [MLPUBLISH_ENDPOINT]")
@click.option("--app", "app_ids", multiple=True, metavar="ID", help="May be given several times.  [default: every app there]")
@options.repository
@click.option("--root", type=click.Path(path_type=Path), help="The app's trusted 1.root.json.")
@options.token_file
@outcome.options
def rekey(
    pin: str, at: str | None, app_ids: tuple[str, ...], repository: str | None, root: Path | None, token_file: Path | None
) -> int:
    """Let the key that old apps pin co-sign the first root: they begin there, and every key can be replaced after."""
    from mlpublish.repository.pinning import cosign
    from mlpublish.trust.signer import signer_for

    opened = signer_for(pin)
    wheres = batch.every_app(at, app_ids, repository, root=root, token_file=token_file)
    return batch.in_batch("repo.rekey", wheres, lambda where: cosign(where, opened))


def _keyid(text: str) -> str:
    """The id of a key, or the beginning of one; or the id of the key in a file."""
    from mlpublish.trust.keys import read_public

    return read_public(text).keyid if Path(text).is_file() else text
