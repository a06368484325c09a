"""What a verb uses where a call leaves something out: repository, signer, token, trusted root.

Where a development folder is named, all of it comes from there. Elsewhere nothing is guessed, and above all no root: there
is no trust on first use.
"""

from __future__ import annotations

from pathlib import Path

from mlpublish import settings
from mlpublish.addresses import is_loopback
from mlpublish.errors import NotFound, SigningError
from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.repository.development import Development
from mlpublish.repository.tokens import token_at
from mlpublish.storage.in_folder import read_regular
from mlpublish.trust.signer import Signer, signer_for


def repository_for(given: str | Path | None) -> str | None:
    """The repository setting: given, MLPUBLISH_REPOSITORY, or mlpublish.toml's."""
    return settings.load().repository if given is None else str(given)


def development_among(*settings_: str | Path | None) -> Development | None:
    """The first of several settings that names a development folder."""
    return next((found for each in settings_ if (found := Development.find(each)) is not None), None)


def signer_of(role: str, given: Signer | str | None, development: Development | None) -> Signer:
    """The signer of a role: given, mlpublish.toml's ``[keys]``, or the development folder's.

    Raises:
        SigningError: there is none, or its key cannot be opened.
    """
    if given is not None:
        return signer_for(given)
    uri = settings.load().keys.get(role)
    if uri is not None:
        return signer_for(uri)
    if development is None:
        raise SigningError(
            f"No key is named for the {role} role.",
            remedy=f"Pass --key KEYURI (signer=), set [keys] {role} in mlpublish.toml, or name a development repository "
            "(mlpublish repo init --dev DIR, then --repository DIR).",
            field="key",
        )
    return development.signer(role)


def token_of(given: str | None, development: Development | None, to: str | Path) -> str | None:
    """The bearer token for an endpoint: given, the one that the settings name (MLPUBLISH_TOKEN before mlpublish.toml's), or the
    development one.

    The development token is for this machine alone, and mlpublish.toml's for the servers that it names: no other host gets to
    see them.

    Raises:
        RecipeError, MissingExtra: the token is not where the settings say; see ``token_at``.
    """
    if given:
        return given
    configured = settings.load()
    if configured.token is not None and _is_among(configured.token_for, str(to)):
        return token_at(configured.token)
    return development.token() if development is not None and is_loopback(str(to)) else None


def _is_among(servers: tuple[str, ...], to: str) -> bool:
    """Whether an endpoint is one of these servers, or nobody says which; a folder is none, whatever it is."""
    if not servers or not to.startswith(("http://", "https://")):
        return True
    return to.rstrip("/") in [server.rstrip("/") for server in servers]


def root_of(app_id: str, given: Path | str | bytes | None, development: Development | None) -> bytes | None:
    """The trusted root of an app: given, mlpublish.toml's, or the development folder's ``1.root.json``.

    Returns:
        Its bytes, or None if nobody names one; a development folder that others could have made says nothing.

    Raises:
        NotFound: the file that was named does not exist, or is no regular file, such as a pipe that never ends.
    """
    if isinstance(given, bytes):
        return given
    file = Path(given) if given is not None else settings.load().app(app_id).root
    if file is not None:
        try:
            return read_regular(file, MAX_DOCUMENT)
        except OSError as exc:
            raise NotFound(
                f"The root {file} cannot be read: {exc.strerror}.", remedy="Name the app's 1.root.json.", field="root"
            ) from exc
    if development is None or not development.is_mine:
        return None
    try:
        return development.first_root(app_id)
    except NotFound:
        return None  # the app is new here
