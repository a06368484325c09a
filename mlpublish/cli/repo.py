"""``mlpublish repo``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.artifacts import check_app_id
from mlpublish.cli import outcome


@click.group()
def command() -> None:
    """Make repositories."""


@command.command()
@click.option("--dev", "folder", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The folder to make.")
@click.option("--app", "app_ids", multiple=True, metavar="ID", help="Make this app's repository now; else sign does.")
@outcome.options
def init(folder: Path, app_ids: tuple[str, ...]) -> None:
    """Make a development folder: a repository, one key per role, tokens and a server's settings.

    Every private key lies in it unencrypted, readable by you only: it is for one machine and one person.
    """
    from mlpublish.repository.development import Development

    for app_id in app_ids:
        check_app_id(app_id)
    stood = Development.find(folder) is not None
    made = Development.make(folder)
    for app_id in app_ids:
        made.app(app_id)
    result = {"folder": str(folder), "repository": str(made.repository), "apps": list(app_ids)}
    text = (
        f"{'Stands already:' if stood else 'Made'} {folder}: keys, tokens, and the repository {made.repository}.\n"
        f"Next: export MLPUBLISH_REPOSITORY={folder.absolute()} and run mlpublish serve {folder}."
    )
    outcome.tell("repo.init", result, text)
