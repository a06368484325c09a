from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mlpublish.errors import RecipeError
from mlpublish.server.auth import tokens_in

GOOD = "0123456789abcdef"


def test_a_file_per_role_a_token_per_line(tmp_path: Path) -> None:
    (tmp_path / "admin").write_text(f"{GOOD}\n\n  {GOOD}-next  \n")
    (tmp_path / "monitor").write_text(f"{GOOD}+watch")
    (tmp_path / ".swp").write_text("of an editor")
    tokens = {token.digest: token for token in tokens_in(tmp_path)}
    assert [tokens[hashlib.sha256(each.encode()).hexdigest()].role for each in (GOOD, f"{GOOD}-next", f"{GOOD}+watch")] == [
        "admin",
        "admin",
        "monitor",
    ]
    assert all(token.id == digest[:12] for digest, token in tokens.items())


@pytest.mark.parametrize(
    ("role", "content", "told"),
    [
        ("admin", "0123456789abcde", "fewer than 16"),
        ("admin", "has a space in its middle", "that no token has"),
        ("deploier", GOOD, "Did you mean deployer?"),
        ("operator", "schlüssel-schlüssel", "cannot be read"),
    ],
)
def test_a_token_file_that_cannot_be_meant_is_refused(tmp_path: Path, role: str, content: str, told: str) -> None:
    (tmp_path / role).write_text(content)
    with pytest.raises(RecipeError, match=r"token|file") as raised:
        tokens_in(tmp_path)
    assert told in str(raised.value)
    assert content not in str(raised.value)


def test_one_token_has_one_role(tmp_path: Path) -> None:
    for role in ("admin", "monitor"):
        (tmp_path / role).write_text(GOOD)
    with pytest.raises(RecipeError, match="for admin and for monitor"):
        tokens_in(tmp_path)


def test_a_folder_of_tokens_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        tokens_in(tmp_path / "tokens")
