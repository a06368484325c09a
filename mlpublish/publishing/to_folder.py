"""Publish to a folder (``file:DIR``): a static host's tree, or the repository of a development or a server's folder."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from tuf.api.metadata import TargetFile

from mlpublish.errors import DigestMismatch, EndpointRefused, NotFound
from mlpublish.repository.changes import Changes
from mlpublish.repository.endpoint import Commit, Endpoint
from mlpublish.repository.online import Online
from mlpublish.repository.place import Place
from mlpublish.repository.records import ChangeList, Kept
from mlpublish.repository.rules import FindBlob
from mlpublish.storage.in_folder import FolderStore
from mlpublish.trust.changes import Change, Review


class FolderEndpoint:
    """A folder that holds ``<app id>/…``.

    Args:
        place: whose online keys make a commit current; without any the folder can only be read. They are opened for a
            commit only, since a key may ask for its passphrase.
    """

    def __init__(self, place: Place) -> None:
        self.place = place

    @property
    def uri(self) -> str:
        return f"file:{self.place.repository}"

    def read(self, app_id: str, path: str) -> bytes:
        return FolderStore(self.place.repository / app_id).read(path)

    def apps(self, *, begun: bool = False) -> tuple[str, ...]:
        return self.place.apps.ids(begun=begun)

    def download(self, app_id: str, path: str, to: Path, *, length: int) -> None:
        store = FolderStore(self.place.repository / app_id)
        found = store.length(path)
        if found > length:
            raise DigestMismatch(
                f"{path} of {app_id} is not what was signed: it has {found} bytes, more than {length}.",
                remedy="Ask whoever runs the folder.",
                field="to",
            )
        with store.open(path) as stream, to.open("wb") as writing:
            shutil.copyfileobj(stream, writing, 1 << 20)

    def changes(self, app_id: str) -> ChangeList:
        return self._changes(app_id).list()

    def change(self, app_id: str, change_id: str) -> Kept:
        return self._changes(app_id).read(change_id)

    def propose(self, app_id: str, change: Change, reviews: tuple[Review, ...], blobs: Mapping[str, bytes | Path]) -> Kept:
        return self._changes(app_id).propose(change, reviews, self._online(), _finder(blobs))

    def review(self, app_id: str, change_id: str, review: Review) -> Kept:
        return self._changes(app_id).add(change_id, review, self._online(), _finder({}))

    def commit(self, app_id: str, commit: Commit) -> bool:
        return self.place.apps.repository(app_id).commit(commit.edits, self._online(), _finder(commit.blobs))

    def _changes(self, app_id: str) -> Changes:
        return Changes(self.place.apps.place_of(app_id))

    def _online(self) -> Online:
        online = self.place.online()
        if online is None:
            raise EndpointRefused(
                f"Nobody here can say what is fresh: no online keys are named for {self.place.repository}.",
                remedy="Publish to the folder that holds its server.toml, or to a server; or name snapshot and timestamp "
                "under [keys] in mlpublish.toml.",
                field="to",
            )
        return online


def open_folder(uri: str, *, token: str | None = None) -> Endpoint:  # noqa: ARG001 - a folder asks for no token
    """The endpoint of a ``file:`` URI; a folder with a ``server.toml`` stands for its ``repository``."""
    place = Place.find(uri)
    if not place.repository.is_dir():
        raise NotFound(f"The folder {place.repository} does not exist.", remedy="Name a repository folder.", field="to")
    return FolderEndpoint(place)


def _finder(blobs: Mapping[str, bytes | Path]) -> FindBlob:
    """Gives the bytes that were handed in for a target; each is read for its digest once, however often it is asked for."""
    known: dict[str, bytes | Path] = {}

    def find_blob(target: TargetFile) -> bytes | Path | None:
        digest = target.hashes["sha256"]
        if digest in blobs and digest not in known:
            known[digest] = _verified(blobs[digest], target)
        return known.get(digest)

    return find_blob


def _verified(content: bytes | Path, target: TargetFile) -> bytes | Path:
    """Never store bytes under a digest that is not theirs."""
    if isinstance(content, Path):
        with content.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    else:
        found = hashlib.sha256(content).hexdigest()
    if found != target.hashes["sha256"]:
        raise DigestMismatch(f"{target.path} is not what was signed.", remedy="Sign the bundle again.", field=target.path)
    return content
