"""What becomes of an error at the door: its exit code, its name, one line, and a traceback for those who ask."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator

import click
import pytest

from mlpublish import errors
from mlpublish.cli import outcome
from mlpublish.errors import EndpointRefused, MlpublishError

# error -> (exit code, error.code, whether trying again can help): the table of DESIGN §7
TABLE = {
    errors.MlpublishError: (1, "mlpublish_error", False),
    errors.RecipeError: (2, "recipe_error", False),
    errors.UnknownScheme: (2, "unknown_scheme", False),
    errors.InternalError: (1, "internal_error", True),
    errors.MissingExtra: (1, "missing_extra", False),
    errors.NotFound: (6, "not_found", False),
    errors.FormatError: (1, "format_error", False),
    errors.NewerFormat: (1, "newer_format", False),
    errors.BundleError: (1, "bundle_error", False),
    errors.SigningError: (1, "signing_error", False),
    errors.StorageError: (1, "storage_error", False),
    errors.ConversionError: (1, "conversion_error", False),
    errors.ParityError: (1, "parity_error", False),
    errors.VerificationError: (3, "verification_error", False),
    errors.ThresholdNotMet: (3, "threshold_not_met", False),
    errors.Expired: (3, "expired", False),
    errors.RolledBack: (3, "rolled_back", False),
    errors.DigestMismatch: (3, "digest_mismatch", False),
    errors.PublishError: (1, "publish_error", False),
    errors.EndpointRefused: (1, "endpoint_refused", False),
    errors.EndpointUnreachable: (7, "endpoint_unreachable", True),
    errors.AlreadyPublished: (5, "already_published", False),
    errors.Conflict: (5, "conflict", False),
}
Ending = tuple[int, str, str]


def tree(kind: type[MlpublishError]) -> Iterator[type[MlpublishError]]:
    """An error and those below it that the toolkit's errors.py defines."""
    if kind.__module__ == errors.__name__:
        yield kind
        for each in kind.__subclasses__():
            yield from tree(each)


@pytest.fixture
def ending(capsys) -> Callable[..., Ending]:
    """How a command that raises this ends: exit code, stdout, stderr."""

    def run(error: BaseException, *options: str) -> Ending:
        @click.command()
        @outcome.options
        def verb() -> None:
            raise error

        group = click.Group(commands={"verb": verb})
        with pytest.raises(SystemExit) as left:
            outcome.run(group, ["verb", *options])
        told = capsys.readouterr()
        return left.value.code, told.out, told.err

    return run


def test_the_table_knows_every_error():
    assert set(tree(MlpublishError)) == set(TABLE)


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_an_error_has_its_exit_code_and_its_name(ending, kind):
    error = kind("The fact.", remedy="The way out.", field="place")
    code, name, retryable = TABLE[kind]
    assert ending(error) == (code, "", "Error: The fact. The way out.\n")
    ended, out, err = ending(error, "--json")
    assert (ended, err) == (code, "")
    assert json.loads(out) == {
        "schema": "mlpublish.verb/1",
        "ok": False,
        "error": {"code": name, "message": "The fact.", "field": "place", "remedy": "The way out.", "retryable": retryable},
    }


@pytest.mark.parametrize(("status", "code"), [(400, 1), (401, 4), (403, 4), (404, 6), (413, 1)])
def test_a_refusal_of_an_endpoint_ends_by_its_status(ending, status, code):
    assert ending(EndpointRefused("No.", remedy="Ask.", status=status))[0] == code


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (click.UsageError("What?"), 2, "usage"),
        (OSError(errno.ENOSPC, "No space left on device", "out.zip"), 1, "os_error"),
        (ZeroDivisionError("division by zero"), 1, "internal"),
    ],
)
def test_what_is_no_error_of_ours_ends_in_one_line_too(ending, error, code, name):
    ended, out, err = ending(error)
    assert (ended, out) == (code, "")
    assert "Traceback" not in err
    ended, out, _ = ending(error, "--json")
    assert (ended, json.loads(out)["error"]["code"]) == (code, name)


def test_an_error_of_the_system_names_the_file(ending):
    assert "out.zip" in ending(OSError(errno.ENOSPC, "No space left on device", "out.zip"))[2]


def test_debug_shows_where_it_came_from(ending):
    assert "Traceback" in ending(ZeroDivisionError(), "--debug")[2]


def test_an_error_is_one_line_and_cannot_steer_the_terminal(ending):
    """A message may come from a server that wishes its reader no good."""
    _, out, err = ending(MlpublishError("one\r\ntwo\x1b[31m\x9b", remedy="\tthree\n"))
    assert (out, err) == ("", "Error: one two\\x1b[31m\\x9b three\n")
