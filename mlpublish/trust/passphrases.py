"""What unlocks a key: from a variable or a file that the key URI names, from the usual variable, or asked for at a terminal.

Never from an argument or a settings file: those are read by others (the process list, a shell's history, a repository).
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpublish.errors import SigningError


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One kind of secret.

    Args:
        name: as key URIs have it: ``?<name>-env=VARIABLE`` or ``?<file>=FILE``.
        file: the parameter that names a file.
        variable: the environment variable that is read where the URI names nothing.
        called: as people say it.
    """

    name: str
    file: str
    variable: str
    called: str

    @property
    def parameters(self) -> tuple[str, str]:
        """The two parameters of a key URI that say where the secret is."""
        return f"{self.name}-env", self.file


PASSPHRASE = Secret(name="passphrase", file="passphrase-file", variable="MLPUBLISH_KEY_PASSPHRASE", called="passphrase")
STOREPASS = Secret(name="storepass", file="storepass-file", variable="MLPUBLISH_KEYSTORE_PASSWORD", called="keystore password")
KEYPASS = Secret(name="keypass", file="keypass-file", variable="MLPUBLISH_KEY_PASSPHRASE", called="key password")
# A variable of its own: a passphrase tried as a PIN three times locks the token.
PIN = Secret(name="pin", file="pin-source", variable="MLPUBLISH_PKCS11_PIN", called="PIN")


def found(secret: Secret, query: Mapping[str, str]) -> str | None:
    """The secret where the URI or the environment says it; None if neither does.

    Raises:
        SigningError: the variable that the URI names is not set, or the file cannot be read.
    """
    variable, file = (query.get(name) for name in secret.parameters)
    if variable is not None:
        return _in_variable(secret, variable)
    return _in_file(secret, file) if file is not None else os.environ.get(secret.variable)


def ask(secret: Secret, query: Mapping[str, str], *, of: str) -> str:
    """The secret: found, or asked for at a terminal without showing it.

    Args:
        of: what it unlocks, for the question and the error.

    Raises:
        SigningError: it is said nowhere and there is no terminal to ask at.
    """
    value = found(secret, query)
    if value is not None:
        return value
    variable, file = secret.parameters
    how = f"Set {secret.variable}, or add ?{variable}=VARIABLE or ?{file}=FILE to the key URI."
    return _prompt(f"{secret.called[0].upper()}{secret.called[1:]} of {of}: ", secret, how)


def choose(secret: Secret, query: Mapping[str, str], *, of: str) -> str:
    """A secret for something new: found, or asked for twice.

    Raises:
        SigningError: it is empty, the two answers differ, or there is no terminal.
    """
    value = found(secret, query)
    if value is None:
        how = f"Set {secret.variable}, or pass --passphrase-env VARIABLE or --passphrase-file FILE."
        value = _prompt(f"New {secret.called} of {of}: ", secret, how)
        if value != _prompt("Once more: ", secret, how):
            raise SigningError(f"The two {secret.called}s differ.", remedy="Run the command again.", field=secret.name)
    if not value:
        raise SigningError(f"An empty {secret.called} protects nothing.", remedy="Choose a longer one.", field=secret.name)
    return value


def _in_variable(secret: Secret, variable: str) -> str:
    value = os.environ.get(variable)
    if value is None:
        raise SigningError(
            f"The variable {variable}, which should hold the {secret.called}, is not set.",
            remedy="Set it, or name another in the key URI.",
            field=secret.name,
        )
    return value


def _in_file(secret: Secret, place: str) -> str:
    file = Path(place.removeprefix("file:"))  # RFC 7512 writes pin-source as a URI too
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError) as exc:
        raise SigningError(
            f"The file {file}, which should hold the {secret.called}, cannot be read.",
            remedy="Check its path and permissions; it holds one line of UTF-8.",
            field=secret.name,
        ) from exc


def _prompt(question: str, secret: Secret, how: str) -> str:
    if not sys.stdin.isatty():  # without one getpass would fall back to reading what others see
        raise SigningError(
            f"{question.removesuffix(': ')}: it is needed, and there is no terminal to ask for it.",
            remedy=how,
            field=secret.name,
        )
    return getpass.getpass(question)
