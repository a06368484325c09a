"""A token or passphrase is nowhere to be read but in the file or variable that it came in, or in the head that typed it."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlpublish.trust.keys import new_key_file
from tests import keystores

APP = ("--app", "com.acme.digits", "--app-version", "2.0")


def holders_of(secret: str, folder: Path) -> list[str]:
    """The files under a folder that hold a secret."""
    files = [each for each in folder.rglob("*") if each.is_file()]
    return sorted(each.relative_to(folder).as_posix() for each in files if secret.encode() in each.read_bytes())


def test_a_token_shows_in_no_output_no_log_and_no_file(shell, street, here, tmp_path):
    token = street.development.joinpath("tokens", "admin").read_text().strip()
    shutil.copytree(street.second, tmp_path / "again")
    command = [sys.executable, "-m", "mlpublish", "serve", str(street.development), "--port", "0", "--verbose"]
    log = (tmp_path / "server.log").open("w")
    with log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True) as server:
        try:
            url = server.stdout.readline().strip()
            environment = {**os.environ, "MLPUBLISH_TOKEN": token}
            told = [
                shell("publish", street.second, "--to", url, "--json", "--debug", env=environment),
                shell("publish", tmp_path / "again", "--to", url, env=environment),
                shell("channel", "set", *APP, "--release", 2, "--to", url, "--repository", street.development, env=environment),
                shell("channel", "set", *APP, "--release", 99, "--to", url, "--repository", street.development, "--debug"),
                shell("publish", street.second, "--to", f"http://user:{token}@127.0.0.1:9", "--debug"),
            ]
        finally:
            server.terminate()
    assert [ran.code for ran in told] == [0, 0, 0, 6, 2]
    assert token not in "".join(ran.out + ran.err for ran in told)
    assert holders_of(token, tmp_path) == ["home/tokens/admin"]


def test_a_wrong_token_is_refused_without_being_repeated(shell, street, serving, tmp_path):
    wrong = "not-a-token-of-this-server-9c1f"
    with serving(street.development) as server:
        ran = shell("publish", street.second, "--to", server.url, "--debug", env={**os.environ, "MLPUBLISH_TOKEN": wrong})
    assert ran.code == 4
    assert wrong not in ran.out + ran.err
    assert holders_of(wrong, tmp_path) == []


def test_keys_and_tokens_of_a_development_folder_are_its_owners_alone(cli, here):
    cli("repo", "init", "--dev", "dev", "--app", "com.acme.digits")
    secrets = [*(here / "dev" / "keys").iterdir(), *(here / "dev" / "tokens").iterdir()]
    assert len(secrets) == 9
    assert {oct(each.stat().st_mode & 0o777) for each in secrets} == {"0o600"}


# ── passphrases ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

SECRET = "correct-horse-4f1b"


@pytest.fixture
def locked(street) -> Path:
    """The development folder's release key, now under a passphrase."""
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    file = street.development / "keys" / "targets.pem"
    key = load_pem_private_key(file.read_bytes(), None)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(SECRET.encode())))
    return file


def test_a_passphrase_shows_in_no_output_and_no_file(shell, street, locked, here, tmp_path):
    (tmp_path / "passphrase").write_text(SECRET)
    signing = ("sign", street.bundle, "--repository", street.development, *APP, "--key")
    right, wrong = {**os.environ, "MLPUBLISH_KEY_PASSPHRASE": SECRET}, {**os.environ, "MLPUBLISH_KEY_PASSPHRASE": f"{SECRET}!"}
    told = [
        shell(*signing, f"file:{locked}?passphrase-file={tmp_path / 'passphrase'}", "-o", "one", "--json", "--debug"),
        shell(*signing, f"file:{locked}", "-o", "two", env=right),
        shell("keys", "show", f"file:{locked}", "--json", env=right),
        shell("keys", "import", f"file:{locked}", "-o", "copy.pem", env=right),
        shell(*signing, f"file:{locked}", "-o", "three", "--debug", env=wrong),
        shell(*signing, f"file:{locked}?passphrase={SECRET}", "-o", "four", "--debug", "--json"),
        shell(*signing, f"keystore:{locked}?storepass={SECRET}", "-o", "five", "--debug"),
    ]
    assert [ran.code for ran in told] == [0, 0, 0, 0, 1, 1, 1]
    assert "wrong" in told[4].err
    assert all("process list" in ran.out + ran.err for ran in told[5:])
    assert SECRET not in "".join(ran.out + ran.err for ran in told)
    assert holders_of(SECRET, tmp_path) == ["passphrase"]


def test_a_keystores_passwords_show_nowhere_either(shell, here, tmp_path):
    keystores.needs_module("jks", "pyjks: pip install 'mlpublish[jks]'")
    keystores.add_key(here / "s.jks", "prod", "P-256", form="JKS", keypass=keystores.KEYPASS)
    settings = {"MLPUBLISH_KEYSTORE_PASSWORD": keystores.STOREPASS, "MLPUBLISH_KEY_PASSPHRASE": keystores.KEYPASS}
    told = [
        shell("keys", "show", "keystore:s.jks", "--debug", env={**os.environ, **settings}),
        shell("keys", "show", "keystore:s.jks?alias=no", "--debug", env={**os.environ, **settings}),
        shell("keys", "show", "keystore:s.jks", "--debug", env={**os.environ, **settings, "MLPUBLISH_KEY_PASSPHRASE": "other"}),
        shell("keys", "import", "keystore:s.jks", "-o", "new.p12", "--json", env={**os.environ, **settings}),
    ]
    assert [ran.code for ran in told] == [0, 1, 1, 0]
    for secret in (keystores.STOREPASS, keystores.KEYPASS):
        assert secret not in "".join(ran.out + ran.err for ran in told)
        assert holders_of(secret, tmp_path) == []


def command_lines() -> Iterator[str]:
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield each.read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has ended


def at_a_terminal(*arguments: object, typed: tuple[str, ...]) -> tuple[int, str]:
    """Run the command at a terminal of its own and answer each question; every process's arguments are looked at meanwhile."""
    child, terminal = pty.fork()
    if child == 0:
        program = str(Path(sys.executable).parent / "mlpublish")
        os.execv(program, [program, *map(str, arguments)])
    shown, asked = b"", 0
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # what Linux says when the other side is closed
            break
        shown += chunk
        if shown.endswith(b": ") and asked < len(typed):
            assert not [line for line in command_lines() if typed[asked] in line]
            os.write(terminal, typed[asked].encode() + b"\n")
            asked += 1
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


def test_a_typed_passphrase_is_not_echoed_and_in_no_process_list(street, locked, here, tmp_path):
    signing = ("sign", street.bundle, "--repository", street.development, *APP, "--key", f"file:{locked}", "-o", "one")
    code, shown = at_a_terminal(*signing, typed=(SECRET,))
    assert code == 0, shown
    assert f"Passphrase of {locked}: " in shown
    assert SECRET not in shown
    code, shown = at_a_terminal(*signing[:-1], "two", typed=(f"{SECRET}!",))
    assert code == 1
    assert "is wrong" in shown
    assert SECRET not in shown
    assert holders_of(SECRET, tmp_path) == []


def test_a_new_passphrase_is_typed_twice_and_must_be_the_same(here, tmp_path):
    code, shown = at_a_terminal("keys", "new", "k.pem", typed=(SECRET, SECRET))
    assert code == 0, shown
    code, told = at_a_terminal("keys", "new", "other.pem", typed=(SECRET, "another"))
    assert (code, "differ" in told, (here / "other.pem").exists()) == (1, True, False)
    assert SECRET not in shown + told
    assert holders_of(SECRET, tmp_path) == []
    new_key_file(here / "plain.pem")
    assert at_a_terminal("keys", "show", "plain.pem", typed=())[0] == 0  # asks nothing where nothing is locked
