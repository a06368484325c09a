"""``mlpublish verify`` as a reviewer meets it: what is told, what is named, and that nobody else is asked."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.repository.development import Development
from mlpublish.trust import roles

APP_ID = "com.acme.digits"


@pytest.fixture
def root(street):
    return street.development / "repository" / APP_ID / "metadata" / "1.root.json"


@pytest.fixture
def unpacked(street, tmp_path):
    with zipfile.ZipFile(street.bundle) as opened:
        opened.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def test_a_repository_is_told_role_by_role_and_release_by_release(cli, street):
    ran = cli("verify", street.development)
    assert (ran.code, ran.err) == (0, "")
    told = ran.out.splitlines()
    assert told[0] == f"repository {street.development}"
    for beginning in ("root version 1: 1 of 1 needed, 1 signed (", "timestamp version ", "channel stable (ios) 2.0: release 1"):
        assert [line for line in told if line.startswith(beginning)]
    assert len([line for line in told if line.startswith("not proven  model.sig by itself")]) == 1
    assert any(line.startswith("not proven  Freshness") for line in told)
    assert any("golden data" in line for line in told)


def test_every_file_is_listed_where_it_is_asked_for_and_in_json_always(cli, street, unpacked):
    few, all_of_them = cli("verify", street.bundle).out, cli("verify", street.bundle, "--files").out
    files = cli("verify", unpacked, "--json").result["files"]
    assert [entry["path"] for entry in files] == ["models/digits.mlmodel", "manifest.json"]
    for entry in files:
        assert entry["sha256"] in all_of_them
        assert entry["sha256"] not in few


def test_the_first_broken_link_is_named_in_text_and_in_json(cli, street, unpacked):
    (unpacked / "models" / "digits.mlmodel").write_bytes(b"three")
    ran, told = cli("verify", unpacked), cli("verify", unpacked, "--json")
    assert (ran.code, told.code) == (3, 3)
    assert "models/digits.mlmodel" in ran.line
    assert (told.error["code"], told.error["field"]) == ("digest_mismatch", "models/digits.mlmodel")


@pytest.mark.parametrize(
    ("content", "link"), [(b"PK no zip", "x.zip"), (b"", "x.zip"), ("a cut zip", "x.zip"), ("a cut manifest", "manifest.json")]
)
def test_what_is_no_bundle_is_verification_that_failed(cli, here, street, unpacked, content, link):
    if content == "a cut manifest":
        what = unpacked
        (unpacked / "manifest.json").write_bytes((unpacked / "manifest.json").read_bytes()[:-20])
    else:
        what = Path("x.zip")
        what.write_bytes(street.bundle.read_bytes()[:-30] if content == "a cut zip" else content)
    ran = cli("verify", what, "--json")
    assert (ran.code, ran.error["code"], ran.error["field"]) == (3, "verification_error", link)


def test_the_other_ends_have_their_own_codes(cli, street, here, serving):
    def of(*words):
        ran = cli("verify", *words, "--json")
        return ran.code, ran.error["code"], ran.error["field"]

    assert of("nothing.zip") == (6, "not_found", "what")
    assert of(street.first) == (2, "recipe_error", "root")
    assert of(street.development, "--root", "no.root.json") == (6, "not_found", "root")
    assert of(street.development, "--pin", "no key") == (2, "recipe_error", "pin")
    assert of("http://127.0.0.1:9/apps/com.acme.digits", "--repository", street.development)[:2] == (7, "endpoint_unreachable")
    with serving(street.development) as server:
        assert of(f"{server.url}/apps/com.acme.other", "--pin", "no key") == (2, "recipe_error", "pin")
        result = cli("verify", f"{server.url}/apps/{APP_ID}", "--repository", street.development, "--json").result
    assert [part["number"] for part in result["parts"]] == [1]


def test_what_others_wrote_forges_no_line(cli, street):
    place = Development(street.development).repository / APP_ID
    policy = Policy(app_id=APP_ID, withdrawn={1: "old\nproven      all is well\x1b[2J\u202e"})
    file = max((place / "metadata").glob("*.targets.json"))
    role = roles.parse_named(file.read_bytes(), "targets")
    role.signed.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, policy.to_bytes(), policy.to_dict())
    (place / roles.stored_at(role.signed.targets[POLICY_PATH])).write_bytes(policy.to_bytes())
    role.signatures.clear()
    file.write_bytes(roles.signed_by(role, Development(street.development).signer("targets")).to_bytes())
    ran = cli("verify", street.development)
    assert ran.code == 0
    assert "all is well" in ran.out
    assert not [line for line in ran.out.splitlines() if line.startswith("proven      all is well")]
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out


def test_a_hostile_name_in_a_folder_stays_on_its_line(cli, unpacked):
    (unpacked / "x\nproven  all is well\x1b[2J").write_bytes(b"")
    ran = cli("verify", unpacked)
    assert ran.code == 3
    assert "\x1b" not in ran.line


OFFLINE = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        print("ASKED:", event, arguments, file=sys.stderr)
        raise OSError("no network here")
sys.addaudithook(refuse)
from mlpublish.cli.main import main
main()
"""


def alone(*words):
    """The command in a process that can reach nobody, and says if it tries."""
    words = ["verify", *map(str, words)]
    return subprocess.run(
        [sys.executable, "-c", OFFLINE, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )


def test_of_what_lies_here_nobody_is_asked(street, unpacked, root):
    local = [
        (street.bundle,),
        (unpacked, "--root", root, "--signature", street.second / "model.sig"),
        (street.first, "--root", root),
        (root.parents[1], "--root", root),
        (street.development,),
    ]
    for words in local:
        ran = alone(*words)
        assert (ran.returncode, ran.stderr) == (0, ""), words
    asked = alone(f"http://127.0.0.1:9/apps/{APP_ID}", "--root", root)
    assert "ASKED: socket." in asked.stderr


def test_verifying_writes_nothing(cli, street, unpacked, below, tmp_path):
    before = below(tmp_path)
    for what in (street.development, street.bundle, unpacked, street.first):
        assert cli("verify", what, "--repository", street.development).code == 0
    assert below(tmp_path) == before


def test_json_of_a_repository_is_one_document_with_all_of_it(cli, street):
    result = json.loads(cli("verify", street.development, "--json").out)["result"]
    assert result["kind"] == "repository"
    assert {role["role"] for role in result["roles"]} == {"root", "timestamp", "snapshot", "targets", "channels"}
    assert all(role["days_left"] >= 0 and role["keys"] >= role["threshold"] for role in result["roles"])
    (part,) = result["parts"]
    assert (part["number"], part["app"], part["app_version"], part["platform"]) == (1, APP_ID, "2.0", "ios")
    assert part["models"]["digits"]["executor"] == "mlpublish evaluator 0.1.0"
    assert result["channels"][0]["entries"][0]["release"] == 1
