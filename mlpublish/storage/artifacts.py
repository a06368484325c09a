"""What one step hands to the next: files by URI, sha256 and size, in a content-addressed folder that both can read.

A folder travels as one archive of the bundle's reproducible kind. Before anything is used its bytes are checked again: an
orchestrator may cache a step's answer longer than its store keeps the files.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlpublish.errors import DigestMismatch, NotFound, RecipeError
from mlpublish.formats import archive
from mlpublish.formats.wire import digest_of_stream
from mlpublish.plugins import scheme_of
from mlpublish.storage.in_folder import FolderStore

FOLDER_TYPE = "application/vnd.mlpublish.folder+zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that a step made.

    Args:
        uri: where it lies, ``file:…``.
        size: in bytes.
    """

    uri: str
    sha256: str
    size: int
    media_type: str


class ArtifactStore:
    """Keeps artifacts below ``<folder>/sha256/``.

    Args:
        uri: ``file:DIR``; a bare path counts as one.
    """

    def __init__(self, uri: str) -> None:
        if ":" in uri and not uri.startswith("file:"):
            raise RecipeError(f"{uri!r} is not a store.", remedy="Give file:DIR.", field="store")
        self.folder = Path(uri.removeprefix("file:")).absolute()
        self._blobs = FolderStore(self.folder)

    def keep(self, content: Path, media_type: str) -> Artifact:
        """Keep a file, or a folder as one archive.

        Raises:
            StorageError: the disk refused.
        """
        if content.is_dir():
            with tempfile.TemporaryDirectory() as scratch:
                packed = Path(scratch, "folder.zip")
                files = [(file.relative_to(content).as_posix(), file) for file in content.rglob("*") if file.is_file()]
                archive.write(packed, files)
                return self.keep(packed, FOLDER_TYPE)
        sha256 = _digest_of(content)
        place = f"sha256/{sha256}"
        if not self._blobs.create(place, content) and _digest_of(self.folder / place) != sha256:
            (self.folder / place).unlink(missing_ok=True)  # altered since: "run the step again" must help
            self._blobs.create(place, content)
        return Artifact(uri=f"file:{self.folder / place}", sha256=sha256, size=content.stat().st_size, media_type=media_type)

    def fetch(self, artifact: Artifact, place: Path) -> Path:
        """Bring an artifact to a new file or folder, its bytes checked.

        Raises:
            RecipeError: its URI is of another scheme.
            NotFound: it is gone from its store.
            DigestMismatch: it was altered since.
        """
        if scheme_of(artifact.uri) != "file":
            raise RecipeError(f"The artifact {artifact.uri} is of no store known here.", remedy="Give file:PATH.", field="uri")
        file = Path(artifact.uri.removeprefix("file:"))
        if not file.is_file():
            raise NotFound(f"The artifact {artifact.uri} is gone.", remedy="Run the step that made it again.", field="uri")
        place.parent.mkdir(parents=True, exist_ok=True)
        taken = place if artifact.media_type != FOLDER_TYPE else place.with_name(place.name + ".zip")
        _copy_checked(file, taken, artifact)
        if taken is not place:
            with taken.open("rb") as stream:
                archive.Archive.read(stream).unpack(place)
            taken.unlink()
        return place


def _digest_of(file: Path) -> str:
    with file.open("rb") as stream:
        return digest_of_stream(stream)


def _copy_checked(file: Path, place: Path, artifact: Artifact) -> None:
    """What is used later is what was checked, even if somebody writes to the store meanwhile."""
    digest = hashlib.sha256()
    with file.open("rb") as reading, place.open("xb") as writing:
        while chunk := reading.read(1 << 20):
            digest.update(chunk)
            writing.write(chunk)
    if digest.hexdigest() != artifact.sha256:
        place.unlink()
        raise DigestMismatch(
            f"The artifact {artifact.uri} was altered since its step ended.",
            remedy="Run the step that made it again.",
            field="sha256",
        )
