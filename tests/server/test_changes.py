"""``/v1/apps/<app id>/changes…``: kept and counted by the server, whose tokens open the door and whose keys sign none of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mlpublish.formats.wire import dump
from mlpublish.publishing.publish import publish
from mlpublish.storage.in_sql import SqlIndex
from mlpublish.trust.changes import reviewed
from mlpublish.trust.folders import read_change
from tests.production import Production, blobs_of

TOKENS = ("monitor", "operator", "deployer", "admin")
APP = "com.acme.digits"
CHANGES = f"/v1/apps/{APP}/changes"


@pytest.fixture
def there(production: Production, serving: Any) -> Iterator[Production]:
    production.stand()
    with serving(production.folder) as server:
        yield production.served(server.url, "deployer")


@pytest.fixture
def ask(there: Production, request_to: Any) -> Callable[..., tuple[int, dict[str, Any]]]:
    """``ask(method, path, role, document)``: the status and the JSON of the answer."""

    def asked(
        method: str, path: str, role: str | None = "monitor", document: dict[str, Any] | bytes | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = [] if role is None else [("Authorization", f"Bearer {there.served(there.at, role).token}")]
        body = document if isinstance(document, bytes) else b"" if document is None else dump(document)
        headers += [("Content-Length", str(len(body)))] if method == "POST" else []
        reply = request_to(int(there.at.rpartition(":")[2]), method, path, headers, body)
        assert reply.headers["content-type"] == "application/json"
        return reply.status, json.loads(reply.body)

    return asked


def proposal(there: Production, content: bytes = b"one", *, signed: bool = True) -> dict[str, Any]:
    """A release by alice as its POST has it, its bundle uploaded."""
    release = there.signed(content)
    found = read_change(release.folder)
    for digest, file in blobs_of(release).items():
        there.where().access.endpoint._upload(digest, file)  # type: ignore[attr-defined]
    reviews = [each.to_dict() for each in found.reviews] if signed else []
    return {"change": found.change.to_dict(), "reviews": reviews}


def test_it_is_proposed_listed_shown_and_reviewed(there: Production, ask: Any) -> None:
    document = proposal(there)
    status, kept = ask("POST", CHANGES, "deployer", document)
    assert (status, kept["closed"], len(kept["reviews"])) == (201, None, 1)
    _, listed = ask("GET", CHANGES)
    assert listed["open"] == listed["changes"][1]
    change_id = listed["open"]
    assert ask("GET", f"{CHANGES}/{change_id}") == (200, kept)
    change = there.changes.read(change_id).change
    review = reviewed(change, ("targets",), there.signer("bob"))
    status, kept = ask("POST", f"{CHANGES}/{change_id}/reviews", "monitor", review.to_dict())
    assert (status, kept["closed"]["outcome"]) == (201, "committed")
    assert list(there.head().releases) == [1]
    assert ask("GET", CHANGES)[1]["open"] is None


@pytest.mark.parametrize("role", [*TOKENS, None])
def test_who_may_read_propose_and_review(there: Production, ask: Any, role: str | None) -> None:
    denied = 401 if role is None else 403
    assert ask("GET", CHANGES, role)[0] == (200 if role else denied)
    assert ask("POST", CHANGES, role, proposal(there))[0] == (201 if role in ("deployer", "admin") else denied)
    ask("POST", CHANGES, "deployer", proposal(there))
    change_id = ask("GET", CHANGES)[1]["open"]
    assert ask("GET", f"{CHANGES}/{change_id}", role)[0] == (200 if role else denied)
    review = reviewed(there.changes.read(change_id).change, ("targets",), there.signer("bob"))
    assert ask("POST", f"{CHANGES}/{change_id}/reviews", role, review.to_dict())[0] == (201 if role else denied)


def test_a_token_is_no_signature(there: Production, ask: Any) -> None:
    status, answer = ask("POST", CHANGES, "admin", proposal(there, signed=False))
    assert (status, answer["error"]["code"]) == (422, "verification_error")
    assert "signed by nobody who holds" in answer["error"]["message"]
    assert ask("GET", CHANGES)[1]["open"] is None
    ask("POST", CHANGES, "deployer", proposal(there))
    change_id = ask("GET", CHANGES)[1]["open"]
    for signer in ("mallory", "online", "olga"):
        review = reviewed(there.changes.read(change_id).change, ("targets",), there.signer(signer))
        status, answer = ask("POST", f"{CHANGES}/{change_id}/reviews", "admin", review.to_dict())
        assert 400 <= status < 500
        assert "holds none of the roles" in answer["error"]["message"]
    assert there.head().releases == {}


@pytest.mark.parametrize(
    "document",
    [
        b"", b"[]", b"null", b"{}", b"\xff", b'{"change": {}, "reviews": []}', b'{"change": 1, "reviews": 2}',
        b'{"change": {}, "change": {}}', b"[" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_document_is_a_bad_request(there: Production, ask: Any, document: bytes) -> None:
    status, answer = ask("POST", CHANGES, "admin", document)
    assert (status, answer["error"]["code"]) == (400, "format_error")
    assert ask("POST", f"{CHANGES}/targets-2-00000000000000000000000000000000/reviews", "admin", document)[0] == 400


def test_a_missing_bundle_is_named_and_nothing_is_kept(there: Production, ask: Any) -> None:
    release = there.signed(b"never uploaded")
    found = read_change(release.folder)
    document = {"change": found.change.to_dict(), "reviews": [each.to_dict() for each in found.reviews]}
    status, answer = ask("POST", CHANGES, "deployer", document)
    assert (status, answer["error"]["field"]) == (400, "releases/1/bundle.zip")
    assert len(ask("GET", CHANGES)[1]["changes"]) == 1  # its founding


@pytest.mark.parametrize("name", ["targets-9-00000000000000000000000000000000", "..%2F..%2Fserver.toml", "open.json", "%2e%2e"])
def test_another_name_is_not_found(there: Production, ask: Any, name: str) -> None:
    status, answer = ask("GET", f"{CHANGES}/{name}")
    assert (status, answer["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("app", ["..", "com.acme.digits%2F..", "x%20y", "."])
def test_what_is_no_app_is_refused(there: Production, ask: Any, app: str) -> None:
    for path in (f"/v1/apps/{app}/changes", f"/v1/apps/{app}/changes/targets-2-00000000000000000000000000000000"):
        assert 400 <= ask("GET", path)[0] < 500


def test_an_app_that_was_never_heard_of_has_no_changes(ask: Any) -> None:
    assert ask("GET", "/v1/apps/com.acme.new/changes") == (200, {"changes": [], "open": None})


def test_the_audit_tells_who_proposed_and_who_reviewed(there: Production, ask: Any) -> None:
    ask("POST", CHANGES, "monitor", proposal(there))
    ask("POST", CHANGES, "deployer", proposal(there))
    change_id = ask("GET", CHANGES)[1]["open"]
    review = reviewed(there.changes.read(change_id).change, ("targets",), there.signer("bob"))
    ask("POST", f"{CHANGES}/{change_id}/reviews", "monitor", review.to_dict())
    rows = [
        (row.who.partition(":")[0], row.app, row.outcome)
        for row in reversed(SqlIndex.in_file(there.folder / "index.sqlite").audit())
        if row.app == APP
    ]
    assert rows == [("monitor", APP, "endpoint_refused 403"), ("deployer", APP, "created"), ("monitor", APP, "created")]


def test_publishing_through_it_says_what_waits(there: Production) -> None:
    receipt = publish(there.signed(b"one"), to=there.at, token=there.token)
    assert receipt.change == there.changes.list().open


def test_what_reviewers_said_is_not_for_everybody(there: Production, ask: Any, request_to: Any) -> None:
    """Comments and names are for who has a token; the public tree is what devices need."""
    ask("POST", CHANGES, "deployer", proposal(there))
    change_id = there.changes.list().open
    for path in (f"/apps/{APP}/changes/{change_id}/change.json", f"/apps/{APP}/metadata/..%2fchanges/open.json"):
        assert request_to(int(there.at.rpartition(":")[2]), "GET", path, []).status == 404
