"""The development folder that ``mlpublish repo init --dev DIR`` makes: a repository, one key per role, tokens, a server.

    DIR/{repository/, server.toml,
         keys/{root,targets,channels,snapshot,timestamp}.pem,
         tokens/{admin,deployer,operator,monitor}}

It is for one machine and one person: every key lies in it, unencrypted, readable by its owner only. Where it is named,
signer, token and the device's root come from it.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from mlpublish.errors import NotFound, RecipeError
from mlpublish.formats.policy import Policy
from mlpublish.repository.founding import Held, Holders, found, founding
from mlpublish.repository.online import Online
from mlpublish.repository.repository import AppRepository
from mlpublish.storage.in_folder import FolderStore, create_private, make_folder
from mlpublish.trust.changes import ROLES, reviewed
from mlpublish.trust.keys import new_key_file
from mlpublish.trust.signer import Signer, signer_for

KEYS = ("root", "targets", "channels", "snapshot", "timestamp")
TOKENS = ("admin", "deployer", "operator", "monitor")
_SERVER_TOML = """\
# The embedded server of this development folder (mlpublish serve); paths are relative to this file.
repository = "repository"
tokens = "tokens"

[online]                        # the only keys that a server holds: they say what is fresh, never what a release is
snapshot = "file:keys/snapshot.pem"
timestamp = "file:keys/timestamp.pem"
snapshot_days = 7
timestamp_days = 1
"""


@dataclass(frozen=True, slots=True)
class Development:
    """An existing development folder."""

    folder: Path

    @classmethod
    def find(cls, where: str | Path | None) -> Development | None:
        """The development folder that a repository setting names, if it names one."""
        if where is None or str(where).startswith(("http:", "https:")):
            return None
        folder = Path(str(where).removeprefix("file:"))
        if folder.name == "repository" and (folder.parent / "server.toml").is_file():
            folder = folder.parent
        return cls(folder) if (folder / "server.toml").is_file() and (folder / "keys").is_dir() else None

    @classmethod
    def make(cls, folder: Path) -> Development:
        """Make keys, tokens and the server's settings; what is there already stays as it is.

        Raises:
            RecipeError: the folder holds something else.
        """
        if folder.exists() and not folder.is_dir():
            raise RecipeError(f"{folder} is a file.", remedy="Name a folder that is new or empty.", field="dev")
        if folder.exists() and any(folder.iterdir()) and cls.find(folder) is None and not (folder / "keys").is_dir():
            raise RecipeError(f"{folder} holds something else.", remedy="Name a folder that is new or empty.", field="dev")
        make_folder(folder / "keys", mode=0o700)  # first, for it is what tells a folder that a crash left half made
        make_folder(folder / "repository", mode=0o755)
        for role in KEYS:
            _refuse_foreign(folder / "keys" / f"{role}.pem")
            new_key_file(folder / "keys" / f"{role}.pem")
        make_tokens(folder / "tokens")
        create_private(folder / "server.toml", _SERVER_TOML.encode())
        return cls(folder)

    @property
    def repository(self) -> Path:
        """The folder that holds ``<app id>/…``."""
        return self.folder / "repository"

    @property
    def is_mine(self) -> bool:
        """Whether nobody else could have put its keys there, and so its roots."""
        found = (self.folder / "keys").lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077

    def key_uri(self, role: str) -> str:
        return f"file:{self.folder / 'keys' / role}.pem"

    def signer(self, role: str) -> Signer:
        return signer_for(self.key_uri(role))

    def token(self, role: str = "admin") -> str:
        return (self.folder / "tokens" / role).read_text().strip()

    def online(self) -> Online:
        """The keys of snapshot and timestamp, for commits to the folder itself."""
        return Online(snapshot=(self.signer("snapshot"),), timestamp=(self.signer("timestamp"),))

    def first_root(self, app_id: str) -> bytes:
        """The app's ``1.root.json``, what an app build would embed.

        Raises:
            NotFound: the app has no repository here yet.
        """
        return FolderStore(self.repository / app_id).read("metadata/1.root.json")

    def app(self, app_id: str) -> AppRepository:
        """The app's repository, made here if the app is new."""
        store = FolderStore(self.repository / app_id)
        if not store.exists("metadata/timestamp.json"):
            self._found(app_id, store)
        return AppRepository(store, app_id)

    def _found(self, app_id: str, store: FolderStore) -> None:
        """Write the first version of every role, the timestamp last: until it stands there is no repository."""
        signers = {role: self.signer(role) for role in KEYS}
        holders = Holders(roles={role: Held(keys=(signer.public_key,)) for role, signer in signers.items()})
        change = founding(Policy(app_id=app_id), holders)
        signatures = tuple(reviewed(change, (role,), signers[role]) for role in ROLES)
        signed = replace(change, edits=change.signed_with(signatures))
        found(AppRepository(store, app_id), signed, self.online())


def make_tokens(folder: Path) -> None:
    """One file per role of the server, each with a new token; what is there already stays as it is.

    Raises:
        RecipeError: one is not its owner's alone.
    """
    make_folder(folder, mode=0o700)
    for role in TOKENS:
        _refuse_foreign(folder / role)
        create_private(folder / role, f"{secrets.token_urlsafe(32)}\n".encode())


def development_for(where: str | Path | None) -> Development:
    """The development folder that must be there.

    Raises:
        RecipeError: none is named.
        NotFound: what is named is none; the remedy makes one.
    """
    found = Development.find(where)
    if found is None:
        kind = RecipeError if where is None else NotFound
        raise kind(
            "No repository is configured." if where is None else f"{where} is no development repository.",
            remedy="Make one with: mlpublish repo init --dev DIR, then pass --repository DIR or set MLPUBLISH_REPOSITORY=DIR.",
            field="repository",
        )
    return found


def _refuse_foreign(secret: Path) -> None:
    """A secret that somebody else owns, or could read, is none."""
    if not secret.exists():
        return
    found = secret.stat()
    if secret.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise RecipeError(
            f"{secret} is not yours alone.", remedy="Remove the folder, or name a new one; then keys are made.", field="dev"
        )
