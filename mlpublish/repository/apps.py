"""The apps that have a repository in one folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlpublish.artifacts import check_app_id
from mlpublish.errors import NotFound, RecipeError
from mlpublish.repository.repository import AppRepository
from mlpublish.storage.in_folder import FolderStore


class Apps:
    """The folder that holds ``<app id>/…``; an app stands in it once its ``timestamp.json`` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ids(self, *, begun: bool = False) -> tuple[str, ...]:
        """Their ids, in alphabetical order; with ``begun`` also of apps whose repository waits for signatures."""
        names = FolderStore(self.folder).list("")
        return tuple(each for each in names if self._stands(each) or (begun and self._is_begun(each)))

    def __iter__(self) -> Iterator[AppRepository]:
        return iter([AppRepository(FolderStore(self.folder / each), each) for each in self.ids()])

    def repository(self, app_id: str) -> AppRepository:
        """One app's repository.

        Raises:
            NotFound: it has none here.
        """
        if not self._stands(app_id):
            raise NotFound(
                f"The app {app_id} has no repository here.",
                remedy="Make it first: signing a bundle for it with --repository naming the development folder does.",
                field="app",
            )
        return AppRepository(FolderStore(self.folder / app_id), app_id)

    def place_of(self, app_id: str) -> AppRepository:
        """Where an app's repository lies, or will."""
        return AppRepository(FolderStore(self.folder / check_app_id(app_id)), app_id)

    def _is_begun(self, app_id: str) -> bool:
        return self._has(app_id, "changes/open.json")

    def _stands(self, app_id: str) -> bool:
        return self._has(app_id, "metadata/timestamp.json")

    def _has(self, app_id: str, path: str) -> bool:
        try:
            return (self.folder / check_app_id(app_id) / path).is_file()
        except RecipeError:
            return False  # no app has such an id, and it must not be looked up on the disk
