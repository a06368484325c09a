"""Publish to a folder (``file:DIR``): a static host's tree, or the repository of a development folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tuf.api.metadata import TargetFile

from mlpublish.errors import DigestMismatch, EndpointRefused, NotFound
from mlpublish.repository.apps import Apps
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Commit, Endpoint
from mlpublish.storage.in_folder import FolderStore


class FolderEndpoint:
    """A folder that holds ``<app id>/…``.

    Args:
        folder: where the apps' repositories lie.
        development: whose snapshot and timestamp keys make a commit current; without one the folder can only be read.
    """

    def __init__(self, folder: Path, development: Development | None) -> None:
        self.folder = folder
        self.development = development

    @property
    def uri(self) -> str:
        return f"file:{self.folder}"

    def read(self, app_id: str, path: str) -> bytes:
        return FolderStore(self.folder / app_id).read(path)

    def apps(self) -> tuple[str, ...]:
        return Apps(self.folder).ids()

    def commit(self, app_id: str, commit: Commit) -> bool:
        if self.development is None:
            raise EndpointRefused(
                f"Nobody here can say what is fresh: {self.folder} is no development folder.",
                remedy="Publish to the development folder that holds its snapshot and timestamp keys, or to a server.",
                field="to",
            )
        repository = Apps(self.folder).repository(app_id)

        def find_blob(target: TargetFile) -> bytes | Path | None:
            content = commit.blobs.get(target.hashes["sha256"])
            return None if content is None else _verified(content, target)

        return repository.commit(commit.edits, self.development.online(), find_blob)


def open_folder(uri: str, *, token: str | None = None) -> Endpoint:  # noqa: ARG001 - a folder asks for no token
    """The endpoint of a ``file:`` URI; a development folder stands for its ``repository``."""
    folder = Path(uri.removeprefix("file:"))
    development = Development.find(folder)
    if development is None and not folder.is_dir():
        raise NotFound(f"The folder {folder} does not exist.", remedy="Name a repository folder.", field="to")
    return FolderEndpoint(folder if development is None else development.repository, development)


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
