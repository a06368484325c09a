"""A token is nowhere to be read but in the file or variable that it came in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

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
