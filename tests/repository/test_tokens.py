"""A token is named by where it is: a variable, a file, the keyring; never written down itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mlpublish.errors import MissingExtra, RecipeError
from mlpublish.formats.token_reference import TokenReference
from mlpublish.repository import defaults
from mlpublish.repository.tokens import read_token, token_at

SERVICE = "https://updates.acme.com"


@pytest.fixture
def ring():
    """A keyring in this process: (service, user) -> password; a password of None stands for a locked one."""
    keyring = pytest.importorskip("keyring", reason="needs keyring: pip install 'mlpublish[keyring]'")
    from keyring.backend import KeyringBackend
    from keyring.errors import KeyringLocked

    class InMemory(KeyringBackend):
        priority = 1
        held: dict[tuple[str, str], str | None] = {}  # noqa: RUF012 - one for the process, as a keyring is

        def get_password(self, service: str, username: str) -> str | None:
            if self.held.get((service, username), "") is None:
                raise KeyringLocked("It is\nlocked.")
            return self.held.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.held[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.held[service, username]

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    yield InMemory.held
    keyring.set_keyring(before)


def test_a_variable_and_a_file_hold_tokens(monkeypatch, tmp_path):
    monkeypatch.setenv("DEPLOY_TOKEN", "from-the-environment")
    (tmp_path / "token").write_text("from-the-file\n")
    assert token_at("env:DEPLOY_TOKEN") == "from-the-environment"
    assert token_at(f"file:{tmp_path / 'token'}") == "from-the-file"
    assert token_at(TokenReference.parse("file:token").under(tmp_path)) == "from-the-file"


def test_the_keyring_holds_tokens_and_its_service_may_be_a_url(ring):
    ring[SERVICE, "deployer"] = "from-the-keyring"
    assert token_at(f"keyring:{SERVICE}/deployer") == "from-the-keyring"


def test_what_the_keyring_does_not_have_is_told_with_the_command_that_stores_it(ring):
    with pytest.raises(RecipeError, match=f"keyring set {SERVICE} deployer"):
        token_at(f"keyring:{SERVICE}/deployer")
    ring[SERVICE, "deployer"] = None
    with pytest.raises(RecipeError, match=r"cannot be read: It is locked\. Unlock it"):
        token_at(f"keyring:{SERVICE}/deployer")


def test_without_keyring_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(MissingExtra, match=r"mlpublish\[keyring\]"):
        token_at(f"keyring:{SERVICE}/deployer")


@pytest.mark.parametrize(
    "reference", ["s3cr3t-t0ken-value", "env:NO_SUCH_VARIABLE", "env:", "file:/no/such/token", "vault:s3cr3t"]
)
def test_a_reference_that_is_none_is_refused_and_a_secret_is_not_repeated(reference):
    assert "NO_SUCH_VARIABLE" not in os.environ
    with pytest.raises(RecipeError) as told:
        token_at(reference)
    assert "s3cr3t" not in str(told.value)


def test_an_endpoint_gets_the_given_token_then_the_variables_then_the_files(monkeypatch, tmp_path, development, ring):
    monkeypatch.chdir(tmp_path)
    local, remote = "http://127.0.0.1:8470", "https://updates.acme.com"
    assert defaults.token_of(None, None, remote) is None
    assert defaults.token_of(None, development, local) == development.token()
    Path("mlpublish.toml").write_text(f'token = "keyring:{SERVICE}/deployer"\n')
    ring[SERVICE, "deployer"] = "from-the-keyring"
    assert defaults.token_of(None, development, local) == "from-the-keyring"
    monkeypatch.setenv("MLPUBLISH_TOKEN", "from-the-environment")
    assert defaults.token_of(None, None, remote) == "from-the-environment"
    assert defaults.token_of("given", None, remote) == "given"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_token_file_without_a_token_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(RecipeError) as told:
        read_token(tmp_path / "token")
    assert told.value.field == "token_file"
