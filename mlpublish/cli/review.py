"""``mlpublish review``: look at changes, sign them, reject them, make them again; through an endpoint or by files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlpublish.cli import batch, options, outcome

if TYPE_CHECKING:
    from mlpublish.repository.change_report import ChangeReport
    from mlpublish.repository.review import Where

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def command() -> None:
    """Look at changes of who may what and of what the releases are; sign them, reject them, make them again.

    A change is named by its id or the beginning of one, by the folder that sign or review show --save wrote, or not at all:
    then the open one of the app is meant.
    """


def _where(command: F) -> F:
    """The options that say whose changes, and who looks."""
    for option in (
        options.token_file,
        click.option("--root", type=click.Path(path_type=Path), help="The app's trusted 1.root.json."),
        options.repository,
        click.option("--at", metavar="URI", help="http(s)://host[:port], file:DIR or DIR. [MLPUBLISH_ENDPOINT]"),
        click.option("--app", "app_id", metavar="ID", help="The app's bundle id, such as com.acme.digits."),
    ):
        command = option(command)
    return command


@command.command("list")
@_where
@click.option("--open", "only_open", is_flag=True, help="Only what waits for signatures.")
@outcome.options
def list_(only_open: bool, **where: Any) -> None:
    """The changes of an app, or of every app there, the newest first."""
    from mlpublish.reporting.text import one_line
    from mlpublish.repository import review
    from mlpublish.repository.change_state import OPEN_STATES

    found = [
        report for each in _every(where) for report in review.changes(each) if not only_open or report.state in OPEN_STATES
    ]
    lines = [one_line(f"{each.app_id}  {each.change.id}  {_state(each)}  {each.change.intent.summary}") for each in found]
    outcome.tell("review.list", {"changes": [each.to_dict() for each in found]}, "\n".join(lines) or "There is no change.")


@command.command()
@click.argument("change", required=False)
@_where
@click.option("--save", type=click.Path(path_type=Path), metavar="DIR", help="Write it into a folder, to be signed elsewhere.")
@click.option(
    "--mac-result",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Show with it what compare-on-mac wrote of its bundle; one of other bytes is refused.",
)
@outcome.options
def show(change: str | None, save: Path | None, mac_result: Path | None, **where: Any) -> None:
    """What a change does, recomputed here from what is verified; its bundle is held against what would be signed."""
    from mlpublish.formats.mac_result import MacResult

    result = None if mac_result is None else MacResult.read(mac_result)
    report = _look(change, save, where)
    outcome.tell("review.show", report if result is None else report.with_mac_result(result))


@command.command()
@click.argument("change", required=False)
@_where
@options.key
@click.option("--comment", default="", metavar="TEXT", help="Kept for ever beside the signature.")
@click.option("--yes", is_flag=True, help="Do not ask on a terminal.")
@click.option("--all", "every", is_flag=True, help="The open change of every app there.")
@outcome.options
def sign(change: str | None, key: str | None, comment: str, yes: bool, every: bool, **where: Any) -> int:
    """Sign a change with your key. It commits by itself with the last signature that it needs.

    Everything that show verifies is verified first. A change's folder gets your signature as a file in reviews/; send that
    back to whoever submits it.
    """
    from mlpublish.repository import review_files

    if change is None and not yes and not _on_a_terminal():
        raise click.UsageError(
            "There is no terminal to show it at: name the change that you looked at (review show tells its id), or pass --yes "
            "to sign whatever is open."
        )
    folder = _folder(change)
    if folder is not None:
        if key is None:
            raise click.UsageError("Missing option '--key'.")
        trust = {"root": where["root"], "repository": where["repository"]}
        outcome.tell("review.sign", review_files.sign(folder, signer=key, comment=comment, confirm=_asking(yes), **trust))
        return 0
    if every:
        wheres = [each for each in _every(where, key) if _is_open(each)]
        return batch.in_batch("review.sign", wheres, lambda each: _signed(each, None, comment, yes))
    outcome.tell("review.sign", _signed(_one(where, key), change, comment, yes))
    return 0


@command.command()
@click.argument("change", required=False)
@_where
@options.key
@click.option("--reason", required=True, metavar="TEXT", help="Kept for ever.")
@outcome.options
def reject(change: str | None, key: str | None, reason: str, **where: Any) -> None:
    """Close a change, signed with your key; then only a complete set of signatures, by submit, commits it."""
    from mlpublish.repository import review

    outcome.tell("review.reject", review.reject(_one(where, key), change, reason=reason))


@command.command()
@click.argument("change", required=False)
@_where
@options.key
@outcome.options
def rebase(change: str | None, key: str | None, **where: Any) -> None:
    """Make a change again from what is current now; old signatures count no more."""
    from mlpublish.repository import review

    outcome.tell("review.rebase", review.rebase(_one(where, key), change))


@command.command()
@_where
@options.key
@click.option("--withdraw", multiple=True, type=int, metavar="N", help="Devices leave this release; needs --reason.")
@click.option("--reason", metavar="TEXT", help="Why; devices and reports tell it.")
@click.option("--reinstate", multiple=True, type=int, metavar="N", help="This release is withdrawn no more.")
@click.option("--floor", "floors", multiple=True, metavar="P/V=N", help="No release below N for an app version: ios/2.0=15.")
@click.option("--remove", multiple=True, type=int, metavar="N", help="Retire this release; whoever has it keeps it.")
@click.option("--publisher-may-approve/--publisher-may-not-approve", "may", default=None, help="Whose signature counts.")
@click.option("--app-days", type=click.IntRange(1, 365), metavar="N", help="How long versions of the app role hold.")
@click.option("--even-if-offered", is_flag=True, help="In an emergency: also what a channel offers now.")
@outcome.options
def propose(
    withdraw: tuple[int, ...],
    reason: str | None,
    reinstate: tuple[int, ...],
    floors: tuple[str, ...],
    remove: tuple[int, ...],
    may: bool | None,
    app_days: int | None,
    even_if_offered: bool,
    key: str | None,
    **where: Any,
) -> None:
    """Withdraw or remove releases, set floors, change the rules of the app role; with nothing named, a later expiry."""
    from mlpublish.repository import review
    from mlpublish.trust.intents import Intent

    if withdraw and not (reason or "").strip():
        raise click.UsageError("--withdraw needs --reason TEXT.")
    intent = Intent(
        kind="policy",
        withdraw={number: str(reason).strip() for number in withdraw},
        reinstate=reinstate,
        floors=dict(_floor(each) for each in floors),
        remove=remove,
        publisher_may_approve=may,
        expiry_days=app_days,
    )
    outcome.tell("review.propose", review.propose(_one(where, key), intent, even_if_offered=even_if_offered))


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--to", metavar="URI", help="http(s)://host[:port], file:DIR or DIR. [MLPUBLISH_ENDPOINT]")
@options.repository
@options.token_file
@outcome.options
def submit(folder: Path, to: str | None, repository: str | None, token_file: Path | None) -> None:
    """Hand in a change's folder with everybody's reviews; with enough signatures it is committed."""
    from mlpublish.repository import review_files

    place = batch.endpoint(to, repository)
    report = review_files.submit(folder, to=place, token=options.token_in(token_file), repository=repository)
    outcome.tell("review.submit", report)


@command.command()
@_where
@outcome.options
def log(**where: Any) -> None:
    """Who signed, rejected and committed what, and when, from the beginning; every statement is verified."""
    from mlpublish.repository import review_log

    outcome.tell("review.log", review_log.log(_one(where)))


def _state(report: ChangeReport) -> str:
    return f"waiting for {report.missing}" if report.state == "waiting" else report.state


def _look(change: str | None, save: Path | None, where: dict[str, Any]) -> ChangeReport:
    from mlpublish.repository import review, review_files

    folder = _folder(change)
    if folder is not None:
        if save is not None:
            raise click.UsageError("--save takes a change from an endpoint; this is a folder already.")
        return review_files.look(folder, root=where["root"], repository=where["repository"])
    if save is not None:
        return review_files.save(_one(where), save, change)
    return review.show(_one(where), change)


def _signed(where: Where, change: str | None, comment: str, yes: bool) -> ChangeReport:
    from mlpublish.repository import review

    return review.sign(where, change, comment=comment, confirm=_asking(yes))


def _asking(yes: bool) -> Callable[[ChangeReport], None]:
    """On a terminal a reviewer sees what a change does, and says so, before anything is signed."""
    if yes or not _on_a_terminal():
        return lambda _: None
    from mlpublish.reporting.text import as_text

    def ask(report: ChangeReport) -> None:
        click.echo(as_text(report), err=True)
        click.confirm("Sign this?", abort=True, err=True)

    return ask


def _on_a_terminal() -> bool:
    return not outcome.wants_json() and sys.stdin.isatty() and sys.stderr.isatty()


def _folder(change: str | None) -> Path | None:
    """The folder that an argument names, if it names one."""
    if change is None or not Path(change).is_dir():
        return None
    return Path(change)


def _is_open(where: Where) -> bool:
    return where.access.endpoint.changes(where.app).open is not None


def _one(where: dict[str, Any], key: str | None = None) -> Where:
    from mlpublish import settings

    app_id = options.required(where["app_id"] or settings.load().only_app, "--app")
    return next(iter(_every({**where, "app_id": app_id}, key)))


def _every(where: dict[str, Any], key: str | None = None) -> list[Where]:
    app_ids = () if where["app_id"] is None else (where["app_id"],)
    return list(
        batch.every_app(where["at"], app_ids, where["repository"], root=where["root"], token_file=where["token_file"], key=key)
    )


def _floor(text: str) -> tuple[str, int]:
    from mlpublish.artifacts import App

    where, equals, number = text.partition("=")
    platform, slash, version = where.partition("/")
    if not (equals and slash and number.isdecimal()):
        raise click.UsageError(f"{text!r} is no floor; write PLATFORM/APP_VERSION=RELEASE, such as ios/2.0=15.")
    app = App(id="com.example.app", platform=platform, version=version)
    return f"{app.platform}/{app.version}", int(number)
