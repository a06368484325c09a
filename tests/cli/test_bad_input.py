"""Bad input: one line with the remedy, the documented exit code, the same in the envelope, and nothing left behind."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

APP = ("--app", "com.acme.digits", "--app-version", "2.0")
Arguments = tuple[object, ...]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections for as long as the test runs, because it is bound and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def _truncated(street) -> Path:
    place = street.bundle.parent / "truncated.zip"
    place.write_bytes(street.bundle.read_bytes()[:-30])
    return place


def _altered(street) -> Path:
    (zipped,) = street.second.glob("*.zip")
    content = bytearray(zipped.read_bytes())
    content[40] ^= 1
    zipped.write_bytes(content)
    return street.second


def _written(place: Path, text: str) -> Path:
    place.write_text(text)
    return place


# what is wrong -> (what is called, exit code, error.code, a part of the remedy)
CASES: dict[str, tuple[Callable[..., Arguments], int, str, str]] = {
    "a model that is no object and no URI": (lambda s: ("convert", "m.pt2", "-o", "out"), 1, "conversion_error", "in MLflow"),
    "a folder without a model": (lambda s: ("bundle", s.development, "-o", "x.zip"), 1, "bundle_error", "mlpublish convert"),
    "a bundle's name that is none": (lambda s: ("bundle", "--file", s.bundle, "--name", "a b"), 2, "recipe_error", "letters"),
    "files without a name for the bundle": (lambda s: ("bundle", "--file", s.bundle), 2, "recipe_error", "--name"),
    "a truncated zip to sign": (
        lambda s: ("sign", _truncated(s), "--repository", s.development, *APP, "-o", "signed"),
        1,
        "bundle_error",
        "",
    ),
    "a truncated zip to verify": (lambda s: ("verify", _truncated(s)), 3, "verification_error", ""),
    "a bundle that is not there": (lambda s: ("verify", "nothing.zip"), 6, "not_found", "a bundle's zip"),
    "an empty path to inspect": (lambda s: ("inspect", ""), 6, "not_found", "Name a .mlmodel"),
    "nowhere to sign": (lambda s: ("sign", s.bundle, *APP), 2, "recipe_error", "mlpublish repo init --dev DIR"),
    "an app version that is none": (
        lambda s: ("sign", s.bundle, "--repository", s.development, "--app", "com.acme.digits", "--app-version", "two"),
        2,
        "recipe_error",
        "such as 2.0",
    ),
    "an app id that is none": (
        lambda s: ("sign", s.bundle, "--repository", s.development, "--app", "../etc", "--app-version", "2.0"),
        2,
        "recipe_error",
        "such as com.acme.insurance",
    ),
    "a platform that is none": (
        lambda s: ("check", "--at", s.to, *APP, "--platform", "symbian"),
        2,
        "recipe_error",
        "ios, ipados",
    ),
    "a key that is not there": (
        lambda s: ("sign", s.bundle, "--repository", s.development, *APP, "--key", "file:no.pem", "-o", "signed"),
        1,
        "signing_error",
        "PEM file",
    ),
    "a key of a scheme that nobody knows": (
        lambda s: ("sign", s.bundle, "--repository", s.development, *APP, "--key", "vault:prod", "-o", "signed"),
        2,
        "unknown_scheme",
        "file",
    ),
    "a number that stands for other bytes": (
        lambda s: ("sign", s.bundle, "--repository", s.development, *APP, "--number", 1, "-o", "signed"),
        5,
        "already_published",
        "--number",
    ),
    "an altered release": (lambda s: ("verify", _altered(s), "--repository", s.development), 3, "digest_mismatch", ""),
    "an altered release to publish": (lambda s: ("publish", _altered(s), "--to", s.to), 3, "digest_mismatch", ""),
    "a release without anything to trust": (lambda s: ("verify", s.first), 2, "recipe_error", "--root"),
    "a folder that is no release": (lambda s: ("publish", s.development, "--to", s.to), 6, "not_found", "mlpublish sign"),
    "an endpoint of an unknown scheme": (
        lambda s: ("publish", s.first, "--to", "ftp://example.org"),
        2,
        "unknown_scheme",
        "http",
    ),
    "a release number that is not published": (
        lambda s: ("channel", "set", *APP, "--release", 9, "--to", s.to),
        6,
        "not_found",
        "there are: 1",
    ),
    "a channel that moved on": (
        lambda s: ("channel", "set", *APP, "--release", 1, "--if-current", 7, "--to", s.to),
        5,
        "conflict",
        "channel show",
    ),
    "a rollout of more than everybody": (
        lambda s: ("channel", "rollout", 101, *APP, "--to", s.to),
        2,
        "recipe_error",
        "0 to 100",
    ),
    "a channel that is not there": (
        lambda s: ("channel", "show", "--app", "com.acme.digits", "--channel", "beta", "--at", s.to),
        6,
        "not_found",
        "channel set",
    ),
    "nothing to trust": (lambda s: ("check", "--at", "http://127.0.0.1:9", *APP), 2, "recipe_error", "--root"),
    "a device folder that is none": (
        lambda s: ("check", "--at", s.to, *APP, "--device", s.development),
        2,
        "recipe_error",
        "--device",
    ),
    "a development folder that is a file": (lambda s: ("repo", "init", "--dev", s.bundle), 2, "recipe_error", "new or empty"),
    "a development folder of something else": (lambda s: ("repo", "init", "--dev", s.first), 2, "recipe_error", "new or empty"),
    "a folder that is not served": (lambda s: ("serve", s.first, "--port", 0), 6, "not_found", "mlpublish repo init"),
    "a step that is none": (lambda s: ("step", "train", "--payload", _written(Path("p"), "{}")), 2, "recipe_error", "convert"),
    "a payload that is no JSON": (
        lambda s: ("step", "convert", "--payload", _written(Path("p"), "model: x")),
        1,
        "format_error",
        "",
    ),
    "an endpoint that nobody names": (lambda s: ("release", "models:/digits/1", *APP), 2, "recipe_error", "MLPUBLISH_ENDPOINT"),
    "an app that nobody names": (lambda s: ("release", "models:/digits/1", "--to", s.to), 2, "recipe_error", "--app"),
    "no app version": (
        lambda s: ("release", "models:/digits/1", "--to", s.to, "--app", "com.acme.digits"),
        2,
        "recipe_error",
        "--app-version",
    ),
    "nowhere to sign a whole release": (
        lambda s: ("release", "models:/digits/1", *APP, "--to", "http://127.0.0.1:9"),
        2,
        "recipe_error",
        "mlpublish repo init --dev DIR",
    ),
    "a folder for the demo that is not empty": (lambda s: ("demo", "--keep", s.development), 2, "recipe_error", "new or empty"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line_the_exit_code_and_nothing_left_behind(cli, street, below, tmp_path, case):
    call, code, name, remedy = CASES[case]
    arguments = call(street)
    before = below(tmp_path)
    told, in_json = cli(*arguments), cli(*arguments, "--json")
    assert (told.code, in_json.code) == (code, code)
    assert told.line.startswith("Error: ")
    assert remedy in told.line
    assert in_json.error["code"] == name
    assert told.line == f"Error: {in_json.error['message']} {in_json.error['remedy']}"
    assert set(in_json.error) == {"code", "message", "field", "remedy", "retryable"}
    assert below(tmp_path) == before


def test_an_unknown_key_of_the_configuration_is_answered_with_the_nearest(cli, street):
    Path("mlpublish.toml").write_text(f'repositry = "{street.development}"\n')
    ran = cli("channel", "show", "--app", "com.acme.digits", "--at", street.to)
    assert ran.code == 2
    assert "unknown key 'repositry'. Did you mean 'repository'?" in ran.line


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda s: ("publish", s.second), id="publish"),
        pytest.param(lambda s: ("channel", "set", *APP, "--release", 1, "--repository", s.development), id="channel set"),
        pytest.param(lambda s: ("release", "models:/digits/1", *APP, "--repository", s.development), id="release"),
    ],
)
def test_a_server_that_is_down_is_told_as_worth_another_try(cli, street, below, tmp_path, closed_port, call):
    before = below(tmp_path)
    ran = cli(*call(street), "--to", f"http://127.0.0.1:{closed_port}", "--json")
    assert (ran.code, ran.error["code"], ran.error["retryable"]) == (7, "endpoint_unreachable", True)
    assert below(tmp_path) == before


def test_a_port_in_use_is_told_with_a_way_out(cli, street, below):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        before = below(street.development / "repository")
        ran = cli("serve", street.development, "--port", taken.getsockname()[1])
    assert ran.code == 1
    assert "is in use" in ran.line
    assert "--port 0" in ran.line
    assert below(street.development / "repository") == before


@pytest.mark.parametrize(
    ("token", "told"), [(None, "knows no such token"), ("x" * 43, "knows no such token"), ("monitor", "may not")], ids=str
)
def test_a_server_lets_nobody_publish_without_the_right_token(cli, street, serving, below, token, told):
    options: Arguments = ()
    if token is not None:
        role = street.development / "tokens" / token
        options = ("--token-file", role if role.is_file() else _written(Path("token"), token))
    with serving(street.development) as server:
        before = below(street.development / "repository")
        ran = cli("publish", street.second, "--to", server.url, *options)
        assert ran.code == 4
        assert told in ran.line
        assert below(street.development / "repository") == before
