"""Read a server's bearer token from where a reference says that it is: a variable, a file, or the keyring."""

from __future__ import annotations

import os
from pathlib import Path

from mlpublish.errors import MissingExtra, RecipeError
from mlpublish.formats.token_reference import TokenReference


def token_at(reference: TokenReference | str) -> str:
    """The token that a reference names.

    Raises:
        RecipeError: the text is no reference, or names nothing.
        MissingExtra: it names the keyring, and keyring is not installed.
    """
    where = TokenReference.parse(reference) if isinstance(reference, str) else reference
    match where.kind:
        case "file":
            return read_token(Path(where.name))
        case "keyring":
            return _in_keyring(*where.service_and_user)
    value = os.environ.get(where.name)
    if not value:
        raise RecipeError(f"The variable {where.name} is not set.", remedy="Set it to the token.", field="token")
    return value


def read_token(file: Path) -> str:
    """The token in a file.

    Raises:
        RecipeError: the file cannot be read, or is empty.
    """
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as exc:  # ValueError: it is no text, or its path has a NUL
        raise RecipeError(f"The token file {file} cannot be read.", remedy="Check its path.", field="token_file") from exc
    if not token:
        raise RecipeError(f"The token file {file} is empty.", remedy="Put the token into it.", field="token_file")
    return token


def _in_keyring(service: str, user: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as exc:
        raise MissingExtra("keyring: tokens need keyring.", remedy="Run pip install 'mlpublish[keyring]'.") from exc
    try:
        token = keyring.get_password(service, user)
    except KeyringError as exc:
        told = " ".join(str(exc).split()) or type(exc).__name__
        raise RecipeError(
            f"The keyring cannot be read: {told}",
            remedy="Unlock it, or name the token by env:NAME or file:PATH.",
            field="token",
        ) from exc
    if not token:
        raise RecipeError(
            f"The keyring has no password of {user!r} for {service!r}.",
            remedy=f"Store it with: keyring set {service} {user}.",
            field="token",
        )
    return token
