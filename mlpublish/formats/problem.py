"""The one JSON shape of an error, on the wire and on the command line, and the way back to the error's class.

    {"code": "already_published", "message": "…", "field": "number", "remedy": "…", "retryable": false}

``code`` is the class name in snake_case, so an error that a server raised is raised again as the same class at its client.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlpublish.errors import EndpointRefused, MlpublishError
from mlpublish.formats.wire import Reader, dump


def problem_of(error: MlpublishError) -> dict[str, Any]:
    """The members that every door shows of an error."""
    return {
        "code": error.code,
        "message": error.problem,
        "field": error.field,
        "remedy": error.remedy,
        "retryable": error.retryable,
    }


def to_document(error: MlpublishError) -> bytes:
    """A server's answer that carries an error."""
    return dump({"error": problem_of(error)})


def from_document(data: bytes, *, status: int) -> MlpublishError:
    """The error that a server's answer carries.

    Args:
        data: the answer's body.
        status: its HTTP status, which an EndpointRefused keeps.

    Returns:
        An error of the class that ``code`` names; of an unknown class, an EndpointRefused.

    Raises:
        FormatError: the body carries no error.
    """
    reader = Reader.parse(data, what="the server's answer").inner("error")
    code, problem, remedy = reader.text("code"), reader.text("message"), reader.text("remedy")
    field = reader.optional("field", reader.text)
    kind = _classes().get(code, EndpointRefused)
    if issubclass(kind, EndpointRefused):
        return kind(problem, remedy=remedy, field=field, status=status)
    return kind(problem, remedy=remedy, field=field)


def _classes() -> dict[str, type[MlpublishError]]:
    return {kind("", remedy="").code: kind for kind in _below(MlpublishError)}


def _below(kind: type[MlpublishError]) -> Iterator[type[MlpublishError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _below(each)
