"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlpublish.artifacts import App

if TYPE_CHECKING:
    from securesystemslib.signer import Key

F = TypeVar("F", bound=Callable[..., Any])


def app(command: F) -> F:
    """``--app``, ``--app-version``, ``--platform``; left out, mlpublish.toml says."""
    command = click.option("--platform", metavar="P", help="ios (default), ipados, macos, watchos, tvos, visionos, android.")(
        command
    )
    command = click.option("--app-version", metavar="V", help="The app's version, compared exactly, such as 2.0.")(command)
    return click.option("--app", "app_id", metavar="ID", help="The app's bundle id, such as com.acme.digits.")(command)


def repository(command: F) -> F:
    """``--repository``."""
    return click.option(
        "--repository", metavar="R", help="A development folder, a folder of repositories or a server. [MLPUBLISH_REPOSITORY]"
    )(command)


def root(command: F) -> F:
    """``--root``."""
    return click.option("--root", type=click.Path(path_type=Path), help="The app's trusted 1.root.json.")(command)


def token_file(command: F) -> F:
    """``--token-file``: a token is never an argument, because arguments show in the process list."""
    return click.option(
        "--token-file", type=click.Path(path_type=Path), metavar="F", help="A file with the server's token. [MLPUBLISH_TOKEN]"
    )(command)


def key(command: F) -> F:
    """``--key``."""
    return click.option(
        "--key",
        metavar="KEYURI",
        help="Whose key signs: file:key.pem, keystore:F.p12?alias=A, pkcs11:…, awskms:… (docs/keys.md).",
    )(command)


def token_in(file: Path | None) -> str | None:
    """The token in a file that an option named."""
    from mlpublish.repository.tokens import read_token

    return None if file is None else read_token(file)


def required(value: str | None, option: str) -> str:
    """An option that mlpublish.toml could have said and did not."""
    if value is None:
        raise click.UsageError(f"Missing option '{option}' (or its setting in mlpublish.toml).")
    return value


def parts(value: str | None) -> tuple[str, ...]:
    """The values of an option that takes several, joined by commas; an empty one is refused by whoever reads it."""
    return () if value is None else tuple(part.strip() for part in value.split(","))


def settled(app_id: str | None, version: str | None, platform: str | None) -> App:
    """The app that the options and mlpublish.toml mean."""
    from mlpublish import settings

    return settings.app_for(app_id, version, platform)


def public_key(text: str) -> Key:
    """A public key as an option names it: a file, a key URI, or ``NAME=`` before one of them."""
    from mlpublish.trust.keys import read_public

    named = re.fullmatch(r"([\w.@ -]{1,64})=(.+)", text)
    return read_public(text) if named is None else read_public(named[2], holder=named[1])
