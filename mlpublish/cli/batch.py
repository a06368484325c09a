"""Commands that do the same for many apps: one outcome per app, and none keeps the others from theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlpublish.artifacts import check_app_id
from mlpublish.cli import options, outcome
from mlpublish.errors import MlpublishError
from mlpublish.formats.problem import problem_of
from mlpublish.reporting.text import as_text, one_line
from mlpublish.shown import Shown

if TYPE_CHECKING:
    from mlpublish.repository.review import Where


def every_app(
    at: str | None,
    app_ids: Sequence[str],
    repository: str | None,
    *,
    root: Path | None,
    token_file: Path | None,
    key: str | None = None,
) -> Iterator[Where]:
    """One Where for each app that is named, or that stands at the endpoint (or is to be made there).

    Raises:
        UsageError: no endpoint is named; one root is given for several apps.
    """
    from mlpublish.repository import defaults
    from mlpublish.repository.endpoint import endpoint_for
    from mlpublish.repository.review import Where
    from mlpublish.trust.signer import signer_for

    place = endpoint(at, repository)
    token = options.token_in(token_file)
    for app_id in app_ids:
        check_app_id(app_id)
    if not app_ids:
        development = defaults.development_among(place, defaults.repository_for(repository))
        app_ids = endpoint_for(place, token=defaults.token_of(token, development, place)).apps(begun=True)
    if root is not None and len(app_ids) > 1:
        raise click.UsageError('One --root is for one --app; for several set root under [apps."ID"] in mlpublish.toml.')
    signer = None if key is None else signer_for(key)  # once: a passphrase is asked for once
    for app_id in app_ids:
        yield Where(app=app_id, at=place, repository=repository, root=root, signer=signer, token=token)


def endpoint(at: str | None, repository: str | None) -> str:
    """The endpoint that is meant: ``--at``, the configured one, else the repository that is named."""
    from mlpublish import settings

    configured = settings.load()
    return options.required(at or configured.endpoint or repository or configured.repository, "--at")


def in_batch(verb: str, wheres: Iterable[Where], act: Callable[[Where], Shown]) -> int:
    """Act for each app and tell all outcomes; the exit code is that of the first failure, else 0.

    A single app fails as any other command does.
    """
    listed = list(wheres)
    if len(listed) == 1:
        outcome.tell(verb, act(listed[0]))
        return 0
    told: list[dict[str, object]] = []
    texts, code = [], 0
    for where in listed:
        try:
            result = act(where)
        except MlpublishError as error:
            told.append({"app": where.app, "ok": False, "error": problem_of(error)})
            texts.append(one_line(f"{where.app}: Error: {error}"))
            code = code or error.exit_code
        else:
            told.append({"app": where.app, "ok": True, "result": result.to_dict()})
            texts.append(as_text(result))
    outcome.tell(verb, {"apps": told}, "\n\n".join(texts) or "There is no app here.")
    return code
