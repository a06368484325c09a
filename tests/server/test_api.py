from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpublish.formats.wire import digest_of
from mlpublish.repository import commits
from mlpublish.repository.development import TOKENS, Development
from mlpublish.repository.endpoint import Commit, Edit
from mlpublish.storage.in_sql import SqlIndex

APP = "com.acme.digits"
COMMITS = f"/v1/apps/{APP}/commits"
WRITERS = ("admin", "deployer", "operator")


@pytest.fixture
def post(send: Any, bearer: Any) -> Callable[..., Any]:
    """Uploads a commit's blobs and posts its edits, as one role."""

    def posted(commit: Commit, *, role: str = "admin", app: str = APP) -> Any:
        for digest, content in commit.blobs.items():
            send("PUT", f"/v1/blobs/sha256/{digest}", bearer("admin"), content)
        return send("POST", f"/v1/apps/{app}/commits", bearer(role), commits.to_document(commit.edits))

    return posted


def error_of(reply: Any) -> dict[str, Any]:
    """The error of an answer, in the one shape that every answer has."""
    document = json.loads(reply.body)
    assert set(document) == {"error"}
    assert set(document["error"]) == {"code", "message", "field", "remedy", "retryable"}
    assert reply.headers["content-type"] == "application/json"
    return document["error"]


def audit(development: Development) -> list[tuple[str, str | None, str, str]]:
    """The audit's rows, oldest first, without the token ids."""
    rows = SqlIndex.in_file(development.folder / "index.sqlite").audit()
    return [(row.who.partition(":")[0], row.app, row.what, row.outcome) for row in reversed(rows)]


def test_a_commit_is_made_once(post: Any, release_commit: Any, development: Development) -> None:
    commit = release_commit(b"bundle")
    assert [(reply.status, json.loads(reply.body)) for reply in (post(commit), post(commit))] == [
        (201, {"created": True}),
        (200, {"created": False}),
    ]
    [(digest, content)] = commit.blobs.items()
    place = development.repository / APP / "targets" / "releases" / "1" / f"{digest}.bundle.zip"
    assert place.read_bytes() == content
    assert list(development.app(APP).head().releases) == [1]


@pytest.mark.parametrize("role", TOKENS)
def test_releasing_is_for_deployers(post: Any, release_commit: Any, role: str) -> None:
    assert post(release_commit(b"x"), role=role).status == (201 if role in ("admin", "deployer") else 403)


@pytest.mark.parametrize("role", TOKENS)
def test_steering_is_for_operators_and_those_above(post: Any, channel_commit: Any, role: str) -> None:
    assert post(channel_commit(), role=role).status == (201 if role in WRITERS else 403)


@pytest.mark.parametrize("role", TOKENS)
def test_both_at_once_is_for_who_may_release(post: Any, channel_commit: Any, release_commit: Any, role: str) -> None:
    release, channel = release_commit(b"x"), channel_commit()
    both = Commit(edits={**release.edits, **channel.edits}, blobs={**release.blobs, **channel.blobs})
    assert post(both, role=role).status == (201 if role in ("admin", "deployer") else 403)


@pytest.mark.parametrize("role", TOKENS)
def test_monitors_read_and_upload_nothing(send: Any, bearer: Any, role: str) -> None:
    listed = send("GET", "/v1/apps", bearer(role))
    assert (listed.status, json.loads(listed.body)) == (200, {"apps": [APP], "begun": []})
    address = f"/v1/blobs/sha256/{digest_of(b'x')}"
    assert send("HEAD", address, bearer(role)).status == (404 if role in WRITERS else 403)
    assert send("PUT", address, bearer(role), b"x").status == (201 if role in WRITERS else 403)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer unknown-token-of-nobody")],
        [("Authorization", "Basic YWRtaW46YWRtaW4=")],
        [("Authorization", "Bearer {token}"), ("Authorization", "Bearer {token}")],
        [("Authorization", "Bearer {token}x")],
    ],
)
def test_nobody_gets_in_without_a_known_token(send: Any, development: Development, headers: list[tuple[str, str]]) -> None:
    shown = [(name, value.format(token=development.token())) for name, value in headers]
    for method, path in (("GET", "/v1/apps"), ("PUT", f"/v1/blobs/sha256/{'0' * 64}"), ("POST", COMMITS)):
        reply = send(method, path, shown, b"x" if method != "GET" else b"")
        assert (reply.status, error_of(reply)["field"]) == (401, "token")
        assert reply.headers["www-authenticate"].startswith("Bearer")


def refused(reply: Any) -> tuple[int, str]:
    return reply.status, error_of(reply)["code"]


def test_a_stale_edit_is_a_conflict(post: Any, channel_commit: Any) -> None:
    stale = channel_commit("beta")
    post(channel_commit("stable"))
    assert refused(post(stale)) == (409, "conflict")


def test_a_release_number_stands_for_one_content(post: Any, release_commit: Any, development: Development) -> None:
    one = release_commit(b"one")
    post(one)
    assert refused(post(release_commit(b"two"))) == (409, "already_published")
    assert next(iter(one.blobs)) in str(development.app(APP).head().targets.signed.targets["releases/1/bundle.zip"].hashes)


def test_a_role_that_nobody_appointed_signed_is_not_trusted(post: Any, release_commit: Any, development: Development) -> None:
    before = (development.repository / APP / "metadata" / "timestamp.json").read_bytes()
    assert refused(post(release_commit(b"x", key="snapshot"))) == (422, "threshold_not_met")
    assert (development.repository / APP / "metadata" / "timestamp.json").read_bytes() == before


def test_blobs_come_before_the_commit_that_names_them(send: Any, bearer: Any, release_commit: Any) -> None:
    reply = send("POST", COMMITS, bearer("admin"), commits.to_document(release_commit(b"x").edits))
    assert refused(reply) == (400, "endpoint_refused")
    assert "Upload" in error_of(reply)["remedy"]


def test_an_app_without_a_repository_is_not_found(post: Any, release_commit: Any) -> None:
    for app in ("com.acme.other", "nothing", ".."):
        assert refused(post(release_commit(b"x"), app=app))[0] == 404


def test_an_app_role_is_for_the_app_that_it_names(post: Any, release_commit: Any, development: Development) -> None:
    commit = release_commit(b"x")
    (development.repository / APP).rename(development.repository / "com.acme.other")  # the keys are the same
    assert refused(post(commit, app="com.acme.other")) == (422, "verification_error")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"format": 1}',
        b'{"format": 1, "edits": {}}',
        b'{"format": 1, "edits": {"root": {"base": 1, "metadata": "{}"}}}',
        b'{"format": 1, "edits": {"snapshot": {"base": 1, "metadata": "{}"}}}',
        b'{"format": 1, "edits": {"targets": {"base": "1", "metadata": "{}"}}}',
        b'{"format": 1, "edits": {"targets": {"base": 1, "metadata": {}}}}',
        b'{"format": 1, "edits": {"targets": {"base": 1, "metadata": "\\ud800"}}}',
        b'{"format": 1, "edits": {"\\ud800": {"base": 1, "metadata": "{}"}}}',
        b'{"format": 1, "edits": {"targets": {"base": 0, "metadata": "{}"}}}',
        b'{"format": 1, "edits": {"targets": {"base": 1, "metadata": "{}"}}}',
        b'{"format": 1, "format": 1, "edits": {"targets": {"base": 1, "metadata": "{}"}}}',
    ],
)
def test_what_is_no_commit_is_refused(send: Any, bearer: Any, document: bytes) -> None:
    assert refused(send("POST", COMMITS, bearer("admin"), document)) == (400, "format_error")


def test_a_newer_commit_format_is_refused_by_name(send: Any, bearer: Any) -> None:
    document = b'{"format": 2, "edits": {"targets": {"base": 1, "metadata": "{}"}}}'
    assert refused(send("POST", COMMITS, bearer("admin"), document)) == (400, "newer_format")


@pytest.mark.parametrize("name", ["%ff", "%ed%a0%80", "%00", "%0a", "a" * 5000])
def test_no_name_in_an_address_breaks_anything(send: Any, bearer: Any, release_commit: Any, server: Any, name: str) -> None:
    document = commits.to_document(release_commit(b"x").edits)
    assert refused(send("POST", f"/v1/apps/{name}/commits", bearer("admin"), document))[0] == 404
    assert refused(send("GET", f"/apps/{name}/metadata/timestamp.json"))[0] == 404
    assert refused(send("GET", f"/apps/{APP}/metadata/{name}"))[0] == 404
    assert server.log.read_text() == ""


def test_a_role_of_another_type_is_refused(post: Any, development: Development) -> None:
    root = development.first_root(APP)
    assert refused(post(Commit(edits={"targets": Edit(base=1, metadata=root)}))) == (400, "format_error")


def test_a_commit_has_a_bound(send: Any, bearer: Any) -> None:
    assert refused(send("POST", COMMITS, bearer("admin"), bytes((16 << 20) + 1))) == (413, "endpoint_refused")


def test_the_length_that_a_role_says_is_that_of_the_bytes(post: Any, release_commit: Any, development: Development) -> None:
    from mlpublish.trust import roles

    head = development.app(APP).head()
    good = release_commit(b"x")
    facts = roles.releases_of(roles.parse(good.edits["targets"].metadata, type(head.targets.signed), "t").signed)[1]
    role = roles.with_release(head.targets, facts, length=99, sha256=next(iter(good.blobs)), version=2)
    signed = roles.signed_by(role, development.signer("targets")).to_bytes()
    assert refused(post(replace(good, edits={"targets": Edit(base=1, metadata=signed)}))) == (400, "digest_mismatch")


def test_other_addresses_and_methods_are_answered_in_the_same_shape(send: Any) -> None:
    assert refused(send("GET", "/v2/apps")) == (404, "not_found")
    reply = send("DELETE", "/v1/apps")
    assert (*refused(reply), reply.headers["allow"]) == (405, "endpoint_refused", "GET,HEAD")


def test_the_audit_tells_who_did_what_and_who_was_refused(
    post: Any, send: Any, bearer: Any, release_commit: Any, channel_commit: Any, development: Development
) -> None:
    commit = release_commit(b"x")
    post(commit, role="deployer")
    post(commit, role="deployer")
    post(channel_commit(), role="monitor")
    post(replace(commit, edits={"targets": replace(commit.edits["targets"], metadata=b"{}")}), role="admin")
    send("HEAD", f"/v1/blobs/sha256/{digest_of(b'x')}", bearer("monitor"))
    send("POST", COMMITS, {"Authorization": "Bearer unknown-token-of-nobody"}, b"x")
    assert audit(development) == [
        ("deployer", APP, "commit targets", "created"),
        ("deployer", APP, "commit targets", "unchanged"),
        ("monitor", APP, "upload", "endpoint_refused 403"),
        ("admin", APP, "commit targets", "format_error"),
        ("monitor", None, "upload", "endpoint_refused 403"),
        ("nobody", APP, f"POST {COMMITS}", "endpoint_refused 401"),
    ]


def test_strangers_cannot_fill_the_audit(send: Any, development: Development) -> None:
    for _ in range(150):
        assert send("GET", "/v1/apps").status == 401
    assert len(SqlIndex.in_file(development.folder / "index.sqlite").audit(limit=1000)) <= 120  # sixty a minute


def test_no_token_is_written_down_anywhere(post: Any, release_commit: Any, development: Development, server: Any) -> None:
    post(release_commit(b"x"))
    written = [each for each in development.folder.rglob("*") if each.is_file() and each.parent.name != "tokens"]
    assert {"index.sqlite", "server.log"} <= {each.name for each in written}
    tokens = [development.token(role).encode() for role in TOKENS]
    assert not [each for each in written if any(token in each.read_bytes() for token in tokens)]


def test_a_token_that_left_its_file_is_forgotten_at_the_next_start(
    development: Development, serving: Any, request_to: Any, bearer: Any
) -> None:
    old, file = bearer("monitor"), development.folder / "tokens" / "monitor"
    with serving(development.folder) as server:
        assert request_to(server.port, "GET", "/v1/apps", list(old.items())).status == 200
    file.write_text("a-new-token-for-the-monitor\nand-another-one-beside-it\n")
    with serving(development.folder) as server:
        assert request_to(server.port, "GET", "/v1/apps", list(old.items())).status == 401
        for token in Path(file).read_text().split():
            assert request_to(server.port, "GET", "/v1/apps", [("Authorization", f"bearer {token}")]).status == 200
