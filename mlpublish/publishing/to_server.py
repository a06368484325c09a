"""Publish to a server of ours (``http(s)://host[:port]``); how requests are sent is in ``transport.py``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from mlpublish.errors import EndpointRefused, FormatError, NotFound
from mlpublish.formats.problem import from_document
from mlpublish.formats.wire import Reader, dump, is_relative_path
from mlpublish.publishing.transport import PAGE, Answer, Transport
from mlpublish.repository import commits
from mlpublish.repository.endpoint import Commit, Endpoint
from mlpublish.repository.records import ChangeList, Kept
from mlpublish.trust.changes import Change, Review


class ServerEndpoint:
    """A server that holds apps' repositories; reading needs no token, so none is sent with it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def uri(self) -> str:
        return self._transport.base

    def read(self, app_id: str, path: str) -> bytes:
        answer = self._transport.ask("GET", _file(app_id, path), token=False)
        self._must_be_there(answer, app_id, path)
        return answer.body

    def apps(self, *, begun: bool = False) -> tuple[str, ...]:
        document = self._document(self._transport.ask("GET", "/v1/apps"))
        more = document.texts("begun") if begun and document.has("begun") else ()
        return tuple(sorted({*document.texts("apps"), *more}))

    def download(self, app_id: str, path: str, to: Path, *, length: int) -> None:
        self._must_be_there(self._transport.download(_file(app_id, path), to, length), app_id, path)

    def changes(self, app_id: str) -> ChangeList:
        document = self._document(self._transport.ask("GET", _changes(app_id)))
        return ChangeList(ids=document.texts("changes"), open=document.optional("open", document.text))

    def change(self, app_id: str, change_id: str) -> Kept:
        answer = self._transport.ask("GET", f"{_changes(app_id)}/{quote(change_id, safe='')}")
        return Kept.from_reader(self._document(answer))

    def propose(self, app_id: str, change: Change, reviews: tuple[Review, ...], blobs: Mapping[str, bytes | Path]) -> Kept:
        for digest, content in blobs.items():
            self._upload(digest, content)
        body = dump({"change": change.to_dict(), "reviews": [review.to_dict() for review in reviews]})
        return Kept.from_reader(self._document(self._transport.ask("POST", _changes(app_id), body=body)))

    def review(self, app_id: str, change_id: str, review: Review) -> Kept:
        address = f"{_changes(app_id)}/{quote(change_id, safe='')}/reviews"
        return Kept.from_reader(self._document(self._transport.ask("POST", address, body=review.to_bytes())))

    def commit(self, app_id: str, commit: Commit) -> bool:
        for digest, content in commit.blobs.items():
            self._upload(digest, content)
        body = commits.to_document(commit.edits)
        answer = self._transport.ask("POST", f"/v1/apps/{quote(app_id, safe='')}/commits", body=body)
        return self._document(answer).truth("created")

    def _upload(self, digest: str, content: bytes | Path) -> None:
        """Asked for first, so that neither a refusal nor a blob that is there costs the upload."""
        address = f"/v1/blobs/sha256/{quote(digest, safe='')}"
        present = self._transport.ask("HEAD", address)
        if present.status == 404:
            self._document(self._transport.ask("PUT", address, body=content))
        elif present.status != 200:
            self._refuse(present)

    def _must_be_there(self, answer: Answer, app_id: str, path: str) -> None:
        """Only "there is none" may pass for that: what a server would not give today is not missing, nor altered."""
        if answer.status == 404:
            raise NotFound(f"There is no {path} of {app_id} at {self.uri}.", remedy="Check the names, or publish it first.")
        if answer.status != 200 or answer.media_type == PAGE:
            self._refuse(answer)

    def _document(self, answer: Answer) -> Reader:
        """The JSON of an answer that says yes."""
        if answer.status not in (200, 201) or answer.media_type != "application/json":
            self._refuse(answer)
        return Reader.parse(answer.body, what=f"the answer of {self.uri}")

    def _refuse(self, answer: Answer) -> NoReturn:
        """Raise the error that an answer carries; of one that is not ours, what its status tells."""
        try:
            error = from_document(answer.body, status=answer.status)
        except FormatError:
            problem, remedy = _told_by(answer)
            status = answer.status if answer.status >= 400 else 400
            error = EndpointRefused(f"{self.uri} {problem}.", remedy=remedy, field="to", status=status)
        raise error


def open_server(uri: str, *, token: str | None = None, ca: Path | None = None) -> Endpoint:
    """The endpoint of an ``http(s):`` URI.

    Args:
        uri: ``http(s)://host[:port]``. Over plain ``http:`` a token is sent to this machine only; reading works anywhere.
        token: the bearer token; by default ``MLPUBLISH_TOKEN``, else none, which is enough for reading.
        ca: a PEM file of the certificate authorities that are trusted; by default the system's.

    Raises:
        RecipeError: the URI names no server, or carries credentials, a query or a fragment; the token cannot be one; or
            ``ca`` is no such file.
    """
    return ServerEndpoint(Transport(uri, token or os.environ.get("MLPUBLISH_TOKEN") or None, ca=ca))


def _file(app_id: str, path: str) -> str:
    """Where a file of an app's repository is asked for."""
    if not is_relative_path(path):
        raise NotFound(f"{path!r} is no path of an app's repository.", remedy="Use plain names joined by slashes.")
    return f"/apps/{quote(app_id, safe='')}/{quote(path)}"


def _changes(app_id: str) -> str:
    return f"/v1/apps/{quote(app_id, safe='')}/changes"


def _told_by(answer: Answer) -> tuple[str, str]:
    match answer.status:
        case 401:
            return (
                "knows no such token, or got none",
                "Set MLPUBLISH_TOKEN, or pass --token-file FILE, with a token of this server.",
            )
        case 403:
            return "says that the token's role may not do this", "Use a token of a role that may."
        case status if 300 <= status < 400:
            return f"sends elsewhere (HTTP {status})", "Give the address that it sends to, if you trust that."
    kind = answer.media_type or "no content type"
    return f"answered HTTP {answer.status} with {kind}", "Check that the address is that of an mlpublish server."
