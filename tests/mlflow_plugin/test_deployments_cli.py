"""``mlflow deployments …`` as it is typed: what it prints, and how it ends; the failures through the real executable."""

from __future__ import annotations

from pathlib import Path

import pytest

NAME = "com.acme.digits/2.0/stable"
CREATE = ("create", "--name", NAME, "-m", "models:/digits/1")

KEYRING = """
import os, pathlib
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        file = pathlib.Path(os.environ["RING"], service, username)
        return file.read_text() if file.is_file() else None

    def set_password(self, service, username, password):
        raise NotImplementedError
"""


def test_it_creates_gets_lists_updates_and_deletes(mlflow_cli):
    created = mlflow_cli(*CREATE)
    assert created.exit_code == 0, created.output
    assert f"deployment {NAME} is created" in created.output
    assert "release: 1" in mlflow_cli("get", "--name", NAME).output
    assert NAME in mlflow_cli("list").output
    again = mlflow_cli("create", "--name", NAME, "-m", "models:/digits/2")
    assert (again.exit_code, "mlflow deployments update" in again.output) == (5, True)
    assert mlflow_cli("update", "--name", NAME, "-m", "models:/digits/2", "-C", "version=7").exit_code == 0
    assert "release: 2" in mlflow_cli("get", "--name", NAME).output
    assert [mlflow_cli("delete", "--name", NAME).exit_code for _ in range(2)] == [0, 0]
    assert mlflow_cli("get", "--name", NAME).exit_code == 6


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((*CREATE, "-C", "rollot=5"), 2, "The key 'rollot' is unknown."),
        ((*CREATE, "-C", "chanel=beta"), 2, "Did you mean 'channel'?"),
        ((*CREATE, "-C", "to="), 2, "-C to says nothing"),
        (("delete", "--name", ""), 2, "has no name"),
        (("create", "--name", NAME, "-m", "s3://u:hunter2@x/y"), 1, "s3://x/y cannot be converted"),
        ((*CREATE, "-C", "token=hunter2"), 2, "MLPUBLISH_TOKEN"),
        ((*CREATE, "-C", "passphrase=hunter2"), 2, "?passphrase-env=NAME"),
        ((*CREATE, "-C", "key=keystore:k.p12?storepass=hunter2"), 1, "?storepass-env=VARIABLE"),
        (("create", "--name", NAME, "-m", "models:/nobody/1"), 6, "MLFLOW_TRACKING_URI"),
        (("update", "--name", NAME, "-m", "models:/digits/1"), 6, "mlflow deployments create"),
        (("get", "--name", NAME), 6, "mlflow deployments create"),
        (("explain", "--name", NAME, "-I", "rows.json"), 2, "explains no predictions"),
        (("predict", "--endpoint", "e", "-I", "rows.json"), 2, "has no endpoints"),
        (("get-endpoint", "--endpoint", "e"), 2, "has no endpoints"),
        (("list-endpoints",), 2, "has no endpoints"),
    ],
)
def test_an_error_is_one_line_with_the_remedy_and_our_exit_code(mlflow_cli, arguments, code, told):
    Path("rows.json").write_text('{"a": {"0": 1.0}}')
    ran = mlflow_cli(*arguments)
    assert ran.exit_code == code, ran.output
    assert ran.output.startswith("Error: ")
    assert told in ran.output
    assert len(ran.output.splitlines()) == 1
    assert "hunter2" not in ran.output


def test_the_executable_tells_failures_in_one_line_too(mlflow_command, target, server, monkeypatch):
    def told(code: int, *arguments: str) -> str:
        ran = mlflow_command(*arguments)
        assert (ran.returncode, ran.stdout) == (code, ""), ran.stderr
        (line,) = ran.stderr.splitlines()
        assert line.startswith("Error: ")
        return line

    create = (*CREATE, "-t", target)
    assert "Did you mean 'channel'?" in told(2, *create, "-C", "chanel=beta")
    assert "models:/nobody/1" in told(6, "create", "--name", NAME, "-m", "models:/nobody/1", "-t", target)
    assert "There is no profile 'prod'." in told(2, "list", "-t", "mlpublish:/prod")
    monkeypatch.setenv("MLPUBLISH_TOKEN", "x" * 43)
    assert "does not know this token" in told(4, *create)
    monkeypatch.delenv("MLPUBLISH_TOKEN")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert "MLFLOW_TRACKING_URI" in told(7, *create)
    server.process.kill()
    server.process.wait()
    assert server.url in told(7, *create)


def test_the_executable_finds_the_profile_and_its_token_in_the_keyring(mlflow_command, development, server, here, monkeypatch):
    pytest.importorskip("keyring", reason="needs keyring: pip install 'mlpublish[keyring]'")
    (here / "ring" / "mlpublish").mkdir(parents=True)
    (here / "ring" / "mlpublish" / "me").write_text(development.token("monitor"))
    (here / "filering.py").write_text(KEYRING)
    for name, value in {"RING": here / "ring", "PYTHONPATH": here, "PYTHON_KEYRING_BACKEND": "filering.Keyring"}.items():
        monkeypatch.setenv(name, str(value))
    (here / "mlpublish.toml").write_text(f'[profiles.prod]\nendpoint = "{server.url}"\ntoken = "keyring:mlpublish/me"\n')
    listed = mlflow_command("list", "-t", "mlpublish:/prod")  # to list apps a token is needed
    assert (listed.returncode, listed.stderr) == (0, ""), listed.stderr
    (here / "ring" / "mlpublish" / "me").unlink()
    listed = mlflow_command("list", "-t", "mlpublish:/prod")
    assert (listed.returncode, "keyring set mlpublish me" in listed.stderr) == (2, True)
