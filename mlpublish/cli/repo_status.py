"""``mlpublish repo status``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import batch, options, outcome

MUST_ACT = 8


@click.command("status")
@click.option("--at", metavar="URI", help="http(s)://host[:port], file:DIR or DIR. [MLPUBLISH_ENDPOINT]")
@click.option("--app", "app_ids", multiple=True, metavar="ID", help="Only this app; may be given several times.")
@options.repository
@click.option("--root", type=click.Path(path_type=Path), help="The app's trusted 1.root.json.")
@options.token_file
@outcome.options
def command(
    at: str | None, app_ids: tuple[str, ...], repository: str | None, root: Path | None, token_file: Path | None
) -> int:
    """Say who holds what, what runs out when, and who must act. The exit code is 8 if anybody must, else 0."""
    from mlpublish.reporting.text import as_text
    from mlpublish.repository.status import status

    wheres = list(batch.every_app(at, app_ids, repository, root=root, token_file=token_file))
    found = [status(each) for each in wheres]
    must = any(each.todos or each.failure for each in found)
    result = {"apps": [each.to_dict() for each in found], "must_act": must}
    outcome.tell("repo.status", result, "\n\n".join(as_text(each) for each in found) or "There is no app here.")
    return MUST_ACT if must else 0
