"""A place: the folder where apps' repositories lie, and where its online keys come from.

    a development folder    the keys that lie in it; what they sign holds longer, since perhaps no server renews it
    a server's folder       DIR/{server.toml, repository/<app id>/…, tokens/}: the keys that [online] names
    any other folder        <app id>/…: mlpublish.toml's [keys] snapshot and timestamp

Nowhere else is anything guessed: without keys a place can only be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlpublish import settings
from mlpublish.errors import RecipeError
from mlpublish.repository.apps import Apps
from mlpublish.repository.development import Development
from mlpublish.repository.online import Online, OnlineKeys
from mlpublish.repository.table import FILE, Table
from mlpublish.trust import roles
from mlpublish.trust.signer import signer_for


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of repositories.

    Args:
        folder: holds ``server.toml``, if there is one.
        repository: holds ``<app id>/…``.
    """

    folder: Path
    repository: Path

    @classmethod
    def find(cls, where: str | Path) -> Place:
        """The place that a folder or a ``file:`` URI names; it need not exist. A server's ``repository`` stands for it.

        Raises:
            RecipeError: its ``server.toml`` cannot be meant.
        """
        folder = Path(str(where).removeprefix("file:"))
        if folder.name == "repository" and (folder.parent / FILE).is_file():
            return cls(folder.parent, folder)
        return cls(folder, Table.read(folder).path("repository") if (folder / FILE).is_file() else folder)

    @property
    def apps(self) -> Apps:
        return Apps(self.repository)

    def online(self) -> Online | None:
        """Open the keys that say what is fresh here; None if nobody names any.

        Raises:
            RecipeError: they are named by halves.
            SigningError: one cannot be opened.
        """
        if not (self.folder / FILE).is_file():
            return _configured()
        online = OnlineKeys.read(Table.read(self.folder)).open()
        development = Development.find(self.folder)
        if development is None:
            return online
        operator = development.signer(roles.CHANNELS) if (development.folder / "keys" / "channels.pem").is_file() else None
        return Online(
            snapshot=online.snapshot, timestamp=online.timestamp, channels=operator, channels_days=roles.CHANNELS_DAYS
        )


def _configured() -> Online | None:
    """mlpublish.toml's; whoever holds them and the operator's key too renews the channels as the operator would."""
    configured = settings.load()
    if not configured.online:
        return None
    for role in ("snapshot", "timestamp"):
        if role not in configured.online:
            raise RecipeError(
                f"{settings.FILE} [keys] names no key for {role}.", remedy="Name both snapshot and timestamp.", field=role
            )
    operator = configured.keys.get(roles.CHANNELS)
    return Online(
        snapshot=tuple(signer_for(uri) for uri in configured.online["snapshot"]),
        timestamp=tuple(signer_for(uri) for uri in configured.online["timestamp"]),
        channels=None if operator is None else signer_for(operator),
        channels_days=roles.CHANNELS_DAYS,
    )
