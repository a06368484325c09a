"""``mlpublish repo``: a production place by its commands alone, as text and as JSON, with exit codes and one-line errors."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlpublish.repository import review
from mlpublish.repository.development import Development
from tests.production import Production, rotation

if TYPE_CHECKING:
    from tests.cli.conftest import Ran

Cli = Callable[..., "Ran"]
APP = "com.acme.digits"
TRIO = "alice,bob,carol"


@pytest.fixture
def keys(production: Production) -> Callable[[str], str]:
    """``keys("alice,bob")``: their public halves, as files that an option names."""

    def named(names: str) -> str:
        return ",".join(str(production.pin_file(name)) for name in names.split(","))

    return named


@pytest.fixture
def init(cli: Cli, keys: Callable[[str], str], production: Production, here: Path) -> Callable[..., Ran]:
    """``repo init place`` with the usual holders, some of its options others."""

    def run(*arguments: object, **options: str | None) -> Ran:
        usual: dict[str, str | None] = {
            "root_keys": keys(TRIO), "root_threshold": "2", "app_keys": keys(TRIO), "app_threshold": "2",
            "operator_keys": keys("olga,otto"), "online_key": production.uri("online"),
        }  # fmt: skip
        given = {name: value for name, value in (usual | options).items() if value is not None}
        words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
        return cli("repo", "init", here / "place", *words, *arguments)

    return run


# ── making ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_whole_ceremony(cli: Cli, init: Callable[..., Ran], production: Production, here: Path) -> None:
    told = init("--app", APP, "--sign", production.uri("alice"), "--json")
    assert told.code == 0
    (waiting,) = told.result["apps"]
    assert (waiting["state"], waiting["missing"]) == ("waiting", 3)
    assert told.result["repository"] == str(here / "place" / "repository")
    status = cli("repo", "status", "--at", "place", "--json")
    assert (status.code, status.result["must_act"]) == (8, True)
    for name in ("bob", "olga"):
        signed = cli("review", "sign", "--yes", "--at", "place", "--app", APP, "--key", production.uri(name), "--json")
        assert signed.code == 0
    assert signed.result["state"] == "committed"
    status = cli("repo", "status", "--at", "place", "--json")
    assert (status.code, status.result["must_act"]) == (0, False)
    (app,) = status.result["apps"]
    names = {role["role"]: [each["name"].split()[0] for each in role["holders"]] for role in app["roles"]}
    assert {role["role"]: (role["threshold"], names[role["role"]]) for role in app["roles"]} == {
        "root": (2, ["alice", "bob", "carol"]), "targets": (2, ["alice", "bob", "carol"]), "channels": (1, ["olga", "otto"]),
        "snapshot": (1, ["online"]), "timestamp": (1, ["online"]),
    }  # fmt: skip


def test_as_text_it_says_what_each_holder_does_next(init: Callable[..., Ran], production: Production, here: Path) -> None:
    told = init("--app", APP)
    assert told.code == 0
    assert told.err == ""
    assert f"Each holder: mlpublish review sign --at {here}/place --app ID --key KEYURI" in told.out
    assert f"id {production.id('alice')}" in told.out
    assert "BEGIN PUBLIC" not in told.out
    assert max(map(len, told.out.splitlines())) < 320


def test_no_offline_key_is_read_and_none_lies_there(init: Callable[..., Ran], here: Path) -> None:
    init("--app", APP)
    for file in (here / "place").rglob("*"):
        assert not file.is_file() or b"PRIVATE" not in file.read_bytes()
    online = tomllib.loads((here / "place" / "server.toml").read_text())["online"]
    assert online["snapshot"].startswith("file:/")  # where it is run from later does not matter


def test_several_apps_at_once_and_more_later(cli: Cli, init: Callable[..., Ran], production: Production) -> None:
    signers = [word for name in ("alice", "bob", "olga") for word in ("--sign", production.uri(name))]
    told = init("--app", "com.acme.one", "--app", "com.acme.two", *signers, "--json")
    assert [each["state"] for each in told.result["apps"]] == ["committed", "committed"]
    added = cli("repo", "add-app", "place", "--app", "com.acme.three", "--app-days", "365", *signers, "--json")
    assert (added.code, added.result["apps"][0]["state"]) == (0, "committed")
    status = cli("repo", "status", "--at", "place", "--json")
    assert [each["app"] for each in status.result["apps"]] == ["com.acme.one", "com.acme.three", "com.acme.two"]
    days = {each["app"]: each["roles"][1]["days_left"] for each in status.result["apps"]}
    assert days["com.acme.one"] in {89, 90}  # a second may have passed, or not
    assert days["com.acme.three"] in {364, 365}


def test_holders_are_named_by_option(init: Callable[..., Ran], production: Production) -> None:
    told = init("--app", APP, operator_keys=f"Olga Ops={production.pin_file('olga')}", online_key=production.uri("online"))
    assert "Olga Ops" in told.out


@pytest.mark.parametrize("option", ["root_keys", "app_keys", "operator_keys", "online_key"])
def test_every_role_must_be_named(init: Callable[..., Ran], here: Path, option: str) -> None:
    told = init("--app", APP, **{option: None})
    assert told.code == 2
    assert f"--{option.replace('_', '-')}" in told.err
    assert not (here / "place").exists()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"root_threshold": "4"}, 1, "needs 4 signatures and has 3 keys"),
        ({"root_keys": "nobody.pub"}, 6, "nobody.pub"),
        ({"operator_keys": "text.txt"}, 1, "text.txt holds no key"),
        ({"online_key": "file:nothing.pem"}, 6, "nothing.pem"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(
    init: Callable[..., Ran], here: Path, options: dict[str, str], code: int, words: str
) -> None:
    (here / "text.txt").write_text("hello")
    told = init("--app", APP, **options)
    assert (told.code, words in told.line) == (code, True), told.err
    assert not (here / "place").exists()


def test_usage_is_refused_before_anything_is_made(cli: Cli, here: Path) -> None:
    for words in (
        ("repo", "init"),
        ("repo", "init", "place", "--dev", "dev"),
        ("repo", "init", "--dev", "dev", "--root-keys", "a.pub"),
        ("repo", "init", "--dev", "dev", "--app", "not an id"),
        ("repo", "add-app", "place"),
    ):
        assert cli(*words).code == 2, words
    assert list(here.iterdir()) == []


def test_a_second_time_it_is_a_conflict(init: Callable[..., Ran], production: Production, here: Path) -> None:
    signers = [word for name in ("alice", "bob", "olga") for word in ("--sign", production.uri(name))]
    assert init("--app", APP, *signers).code == 0
    assert init(*signers).code == 0  # the place itself stands as it should
    told = init("--app", APP, "--app-days", "30", *signers)
    assert (told.code, "has a repository already" in told.line) == (5, True)
    told = init("--app", APP, operator_keys=production.uri("otto"))
    assert (told.code, "made for other holders" in told.line) == (2, True)


def test_a_development_folder_takes_more_apps_too(cli: Cli, here: Path) -> None:
    assert cli("repo", "init", "--dev", "dev", "--app", APP).code == 0
    told = cli("repo", "add-app", "dev", "--app", "com.acme.two", "--json")
    assert told.result["apps"] == ["com.acme.two"]
    status = cli("repo", "status", "--repository", "dev")
    assert status.code == 0
    assert "One signature is enough for the root role" in status.out  # told, and nobody must act
    assert Development(here / "dev").app("com.acme.two").head().targets.signed.version == 1


# ── who must act ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_status_in_words(cli: Cli, production: Production) -> None:
    production.stand().publish(b"one")
    told = cli("repo", "status", "--at", production.folder)
    assert told.code == 8
    lines = told.out.splitlines()
    assert lines[0].split() == ["app", APP]
    assert any(line.startswith("root 1") and "2 of alice (" in line for line in lines)
    (todo,) = [line for line in lines if line.startswith("to do")]
    assert "Run: mlpublish review show targets-2-" in todo
    assert lines[-1].split() == ["must", "anybody", "act", "yes"]


def test_status_of_one_app_among_several(cli: Cli, production: Production) -> None:
    production.stand()
    production.for_app("com.acme.waiting").add_app("alice")
    assert cli("repo", "status", "--at", production.folder, "--app", APP).code == 0
    told = cli("repo", "status", "--at", production.folder, "--json")
    assert {each["app"]: each["must_act"] for each in told.result["apps"]} == {APP: False, "com.acme.waiting": True}
    assert told.code == 8
    gone = cli("repo", "status", "--at", production.folder, "--app", "com.acme.gone")
    assert (gone.code, "com.acme.gone has no repository at" in gone.out) == (8, True)


def test_status_of_nothing(cli: Cli, production: Production, here: Path) -> None:
    assert cli("repo", "status", "--at", production.folder).out == "There is no app here.\n"
    assert cli("repo", "status", "--at", "nowhere").code == 6
    assert cli("repo", "status").code == 2


def test_status_of_a_server_that_is_down(cli: Cli, production: Production) -> None:
    production.stand()
    told = cli("repo", "status", "--at", "http://127.0.0.1:9", "--app", APP, "--root", production.first_root)
    assert (told.code, "cannot be reached" in told.line) == (7, True)


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def rotate(cli: Cli, production: Production, *words: object, key: str = "alice") -> Ran:
    return cli("repo", "rotate", *words, "--at", production.folder, "--key", production.uri(key))


def test_rotate_names_keys_by_file_by_id_and_with_a_name(cli: Cli, production: Production, here: Path) -> None:
    production.stand().trusted_in(here)
    told = rotate(
        cli, production, "app", "--add", f"Dave D.={production.pin_file('dave')}", "--drop", production.pin_file("carol")
    )
    assert told.code == 0
    assert "Dave D." in told.out
    assert "1 of bob" in told.out
    cli("review", "sign", "--yes", "--at", production.folder, "--app", APP, "--key", production.uri("bob"))
    assert sorted(production.head().root.signed.roles["targets"].keyids) == sorted(map(production.id, ("alice", "bob", "dave")))
    assert rotate(cli, production, "operators", "--drop", production.id("otto")[:10]).code == 0


def test_rotate_over_many_apps_tells_each_and_none_keeps_the_others_from_theirs(
    cli: Cli, production: Production, here: Path
) -> None:
    apps = ("com.acme.one", "com.acme.three", "com.acme.two")
    for app_id in apps:
        production.for_app(app_id).stand()
    production.trusted_in(here, *apps)
    production.for_app("com.acme.three").agree(rotation("root", add=production.publics(("dave",))), "alice", "bob")
    told = rotate(cli, production, "root", "--add", production.pin_file("dave"), "--json")
    assert told.code == 2  # of the one that failed
    outcomes = {each["app"]: each for each in told.result["apps"]}
    assert {app_id: each["ok"] for app_id, each in outcomes.items()} == {apps[0]: True, apps[1]: False, apps[2]: True}
    assert "has the key" in outcomes["com.acme.three"]["error"]["message"]
    signed = cli("review", "sign", "--yes", "--all", "--at", production.folder, "--key", production.uri("bob"), "--json")
    assert signed.code == 0
    assert [(each["app"], each["result"]["state"]) for each in signed.result["apps"]] == [
        ("com.acme.one", "committed"), ("com.acme.two", "committed"),
    ]  # fmt: skip
    assert {production.for_app(app_id).head().root.signed.version for app_id in apps} == {2}


def test_rotate_says_what_is_wrong_in_one_line(cli: Cli, production: Production, here: Path) -> None:
    production.stand().trusted_in(here)
    for words, code, told in (
        (("nonsense",), 2, "nonsense"),
        (("online",), 2, "Neither a key nor a threshold"),
        (("root", "--drop", "ffffffffffff"), 6, "Its keys are"),
        (("root", "--threshold", "9"), 1, "nobody can reach"),
        (("root", "--add", "nobody.pub"), 6, "nobody.pub"),
    ):
        ran = rotate(cli, production, *words)
        assert (ran.code, told in ran.err) == (code, True), ran.err
        assert "Traceback" not in ran.err
    assert rotate(cli, production, "root", key="mallory").code == 1
    assert production.changes.list().open is None


def test_rekey_over_all_apps(cli: Cli, production: Production, here: Path) -> None:
    for app_id in ("com.acme.one", "com.acme.two"):
        production.for_app(app_id).stand()
    production.trusted_in(here, "com.acme.one", "com.acme.two")
    pin = production.uri("rsa-legacy")
    told = cli("repo", "rekey", "--pin", pin, "--at", production.folder, "--json")
    assert [(each["app"], each["result"]["changed"]) for each in told.result["apps"]] == [
        ("com.acme.one", True), ("com.acme.two", True),
    ]  # fmt: skip
    again = cli("repo", "rekey", "--pin", pin, "--at", production.folder, "--app", "com.acme.one")
    assert (again.code, "it had signed already" in again.out) == (0, True)
    wrong = cli("repo", "rekey", "--pin", production.uri("alice"), "--at", production.folder, "--app", "com.acme.one")
    assert (wrong.code, "the predecessor's apps pin RSA" in wrong.line) == (1, True)


def test_one_root_is_not_for_several_apps(cli: Cli, production: Production) -> None:
    for app_id in ("com.acme.one", "com.acme.two"):
        production.for_app(app_id).stand()
    told = cli("repo", "status", "--at", production.folder, "--root", production.for_app("com.acme.one").first_root)
    assert told.code == 2
    assert "One --root is for one --app" in told.err


def test_through_a_server_with_a_token_from_a_file(cli: Cli, production: Production, serving: Any) -> None:
    production.stand()
    with serving(production.folder) as server:
        common = ("--at", server.url, "--app", APP, "--root", production.first_root)
        tokens = {role: ("--token-file", production.folder / "tokens" / role) for role in ("admin", "deployer", "monitor")}
        rotated = cli("repo", "rotate", "root", *common, *tokens["deployer"], "--key", production.uri("alice"))
        assert (rotated.code, "token" in rotated.line) == (4, True)
        rotated = cli("repo", "rotate", "root", *common, *tokens["admin"], "--key", production.uri("alice"))
        assert rotated.code == 0
        assert cli("repo", "status", *common, *tokens["monitor"]).code == 8
        assert review.sign(production.served(server.url, "monitor").where("bob")).state == "committed"
        assert cli("repo", "status", *common, *tokens["monitor"]).code == 0
