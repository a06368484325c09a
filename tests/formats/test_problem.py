from __future__ import annotations

import pytest

from mlpublish import errors
from mlpublish.errors import EndpointRefused, FormatError, MlpublishError
from mlpublish.formats.problem import from_document, to_document

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MlpublishError)]


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("field", [None, "files[3].path"])
def test_every_error_comes_back_as_it_went(kind: type[MlpublishError], field: str | None) -> None:
    error = from_document(to_document(kind("the fact ✓", remedy="the way out", field=field)), status=409)
    assert (type(error), error.problem, error.remedy, error.field) == (kind, "the fact ✓", "the way out", field)


def test_a_refusal_keeps_its_status_and_so_its_exit_code() -> None:
    document = to_document(EndpointRefused("no", remedy="ask"))
    assert [from_document(document, status=status).exit_code for status in (400, 401, 403, 404)] == [1, 4, 4, 6]


def test_an_error_of_a_newer_server_is_a_refusal() -> None:
    error = from_document(b'{"error": {"code": "too_new", "message": "fact", "remedy": "way out"}}', status=403)
    assert isinstance(error, EndpointRefused)
    assert (error.status, error.problem) == (403, "fact")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"error": "text"}', b'{"error": {"code": 1}}', b'{"detail": "x"}']
)
def test_what_carries_no_error_is_told(body: bytes) -> None:
    with pytest.raises(FormatError):
        from_document(body, status=400)
