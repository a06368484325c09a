"""How every command tells its outcome: the result on stdout, the rest on stderr, one envelope with ``--json``.

The envelope is ``{"schema": "mlpublish.<verb>/1", "ok": true, "result": …}`` or ``{…, "ok": false, "error": {"code",
"message", "field", "remedy", "retryable"}}``, also for errors of usage. Exit codes: docs/exit-codes.md.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click

from mlpublish.errors import MlpublishError
from mlpublish.formats.problem import problem_of
from mlpublish.reporting.text import as_text, one_line
from mlpublish.shown import Shown

F = TypeVar("F", bound=Callable[..., Any])
INTERRUPTED = 130
TERMINATED = 143


class Terminated(SystemExit):
    """SIGTERM came; no ``except Exception`` on the way takes it for an error of the work."""


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
    _hear_sigterm()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 must not undo what was done
    try:
        result = group.main(args=list(arguments), prog_name="mlpublish", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except (Exception, KeyboardInterrupt, Terminated) as exc:  # noqa: BLE001 - a door: whatever happens gets one line and a code
        if "--debug" in arguments:
            traceback.print_exc()
        sys.exit(_fail(group, arguments, exc))


def _hear_sigterm() -> None:
    """Let SIGTERM end a command as Ctrl-C does, so that what it had begun is cleared away.

    Not where it is ignored, or somebody else's business already; a command that lives until SIGTERM hears it itself.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated(TERMINATED)


def _fail(group: click.Group, arguments: Sequence[str], exc: BaseException) -> int:
    error, code = _described(exc)
    if "--json" in arguments:
        with _output_may_fail():
            _print_envelope(_verb(group, arguments), {"ok": False, "error": error})
    elif isinstance(exc, click.UsageError):
        exc.show()
    else:
        click.echo(f"Error: {_one_line(error['message'], error['remedy'])}", err=True)
    return code


@contextmanager
def _output_may_fail() -> Iterator[None]:
    """A reader of stdout that is gone, or a disk that is full, does not change how the command ended.

    Where all went well, click sees to the first, and ``run`` to the second.
    """
    try:
        yield
    except OSError as exc:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes at exit
        if not isinstance(exc, BrokenPipeError):
            click.echo(f"Error: Nothing can be written to stdout: {exc.strerror}.", err=True)


def _one_line(*parts: str) -> str:
    """Texts in one line; what a server said must not move a terminal's cursor or colour it."""
    return " ".join(one_line(re.sub(r"\s+", " ", part)).strip() for part in parts if part)


def _described(exc: BaseException) -> tuple[dict[str, Any], int]:
    """An error as the envelope has it, and the exit code."""
    match exc:
        case MlpublishError():
            return problem_of(exc), exc.exit_code
        case click.UsageError():
            field = getattr(getattr(exc, "param", None), "name", None)
            return _error("usage", exc.format_message(), "See --help.", field=field), 2
        case click.ClickException():
            return _error("usage", exc.format_message(), "See --help."), exc.exit_code
        case Terminated():
            return _error("terminated", "Terminated.", "Run the command again."), TERMINATED
        case KeyboardInterrupt() | click.Abort():
            return _error("interrupted", "Interrupted.", "Run the command again."), INTERRUPTED
        case OSError():
            where = f" ({exc.filename})" if exc.filename else ""
            return _error("os_error", f"The system refused: {exc.strerror or exc}{where}.", "Check path and permissions."), 1
        case _:
            message = f"An error that mlpublish did not expect: {type(exc).__name__}: {exc}."
            return _error("internal", message, "Run again with --debug and report what it prints."), 1


def _error(code: str, message: str, remedy: str, *, field: str | None = None) -> dict[str, Any]:
    """The shape of ``problem_of`` for what is no error of ours."""
    return {"code": code, "message": message, "field": field, "remedy": remedy, "retryable": False}


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
    plain = codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"
    click.echo(json.dumps({"schema": f"mlpublish.{verb}/1", **content}, indent=2, ensure_ascii=plain, allow_nan=False))
