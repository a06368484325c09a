"""How every command tells its outcome: the result on stdout, the rest on stderr, one envelope with ``--json``.

The envelope is ``{"schema": "mlpublish.<verb>/1", "ok": true, "result": …}`` or ``{…, "ok": false, "error": {"code",
"message", "field", "remedy", "retryable"}}``, also for errors of usage. Exit codes: docs/exit-codes.md.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, NoReturn, TypeVar

import click

from mlpublish.artifacts import Shown
from mlpublish.errors import MlpublishError
from mlpublish.reporting.text import as_text

F = TypeVar("F", bound=Callable[..., Any])
INTERRUPTED = 130


def options(command: F) -> F:
    """``--json`` and ``--debug``, which every command has; ``tell`` and ``main`` look for them."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, also on failure.")
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @click.pass_context
    @wraps(command)
    def wrapped(ctx: click.Context, /, *args: object, as_json: bool, debug: bool, **kwargs: object) -> object:
        ctx.ensure_object(dict).update(as_json=as_json, debug=debug)
        return ctx.invoke(command, *args, **kwargs)

    return wrapped  # type: ignore[return-value]


def tell(verb: str, result: Shown | Mapping[str, Any], text: str | None = None) -> None:
    """Print a command's result.

    Args:
        verb: for the envelope's schema.
        result: what the verb gave, or a plain object for the envelope.
        text: what a reader sees instead of the result's rows.
    """
    if wants_json():
        value = result.to_dict() if isinstance(result, Shown) else dict(result)
        _print_envelope(verb, {"ok": True, "result": value})
    else:
        click.echo(text if text is not None else as_text(result) if isinstance(result, Shown) else "")


def wants_json() -> bool:
    """Whether the running command was called with ``--json``."""
    ctx = click.get_current_context(silent=True)
    return bool(ctx is not None and (ctx.obj or {}).get("as_json"))


def run(group: click.Group, arguments: Sequence[str]) -> NoReturn:
    """Run the command line and exit with the documented code; no traceback but with ``--debug``."""
    try:
        result = group.main(args=list(arguments), prog_name="mlpublish", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - a door: whatever happens gets one line and a code
        if "--debug" in arguments:
            traceback.print_exc()
        code = _fail(group, arguments, exc)
    sys.exit(code)


def _fail(group: click.Group, arguments: Sequence[str], exc: BaseException) -> int:
    error, code = _described(exc)
    if "--json" in arguments:
        _print_envelope(_verb(group, arguments), {"ok": False, "error": error})
    elif isinstance(exc, click.UsageError):
        exc.show()
    else:
        click.echo(f"Error: {' '.join(part for part in (error['message'], error['remedy']) if part)}", err=True)
    return code


def _described(exc: BaseException) -> tuple[dict[str, Any], int]:
    """An error as the envelope has it, and the exit code."""
    match exc:
        case MlpublishError():
            error = _error(exc.code, exc.problem, exc.remedy, field=exc.field, retryable=exc.retryable)
            return error, exc.exit_code
        case click.UsageError():
            field = getattr(getattr(exc, "param", None), "name", None)
            return _error("usage", exc.format_message(), "See --help.", field=field), 2
        case click.ClickException():
            return _error("usage", exc.format_message(), "See --help."), exc.exit_code
        case KeyboardInterrupt() | click.Abort():
            return _error("interrupted", "Interrupted.", "Run the command again; what was finished stays."), INTERRUPTED
        case BrokenPipeError():
            return _error("broken_pipe", "The reader of stdout is gone.", "Keep it open."), 1
        case OSError():
            where = f" ({exc.filename})" if exc.filename else ""
            return _error("os_error", f"The system refused: {exc.strerror or exc}{where}.", "Check path and permissions."), 1
        case _:
            message = f"An error that mlpublish did not expect: {type(exc).__name__}: {exc}."
            return _error("internal", message, "Run again with --debug and report what it prints."), 1


def _error(code: str, message: str, remedy: str, *, field: str | None = None, retryable: bool = False) -> dict[str, Any]:
    return {"code": code, "message": message, "field": field, "remedy": remedy, "retryable": retryable}


def _verb(group: click.Group, arguments: Sequence[str]) -> str:
    """The command that the arguments name, as the schema has it (``channel.set``)."""
    names: list[str] = []
    here: click.Command = group
    for argument in arguments:
        if not isinstance(here, click.Group):
            break
        found = None if argument.startswith("-") else here.get_command(click.Context(here), argument)
        if found is not None:
            names.append(argument)
            here = found
    return ".".join(names) or "mlpublish"


def _print_envelope(verb: str, content: Mapping[str, Any]) -> None:
    click.echo(json.dumps({"schema": f"mlpublish.{verb}/1", **content}, indent=2, ensure_ascii=False, allow_nan=False))
