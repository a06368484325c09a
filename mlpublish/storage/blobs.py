"""The contract of a blob store: what a repository's files are kept in (a folder now; an object store can follow)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol


class BlobStore(Protocol):
    """Files by relative path. Everything is create-only, but for what ``replace_if`` names.

    ``create_if`` and ``replace_if`` look and write in one step: what they look at cannot change in between.

    Every method raises StorageError where the store itself fails, and NotFound where a reader names what is not there.
    """

    def read(self, path: str) -> bytes:
        """The whole content of a small file."""

    def open(self, path: str) -> BinaryIO:
        """A file to read from, of any length."""

    def exists(self, path: str) -> bool:
        """Whether something stands there."""

    def length(self, path: str) -> int:
        """Its length in bytes."""

    def create(self, path: str, content: bytes | Path) -> bool:
        """Write durably if nothing stands there.

        Args:
            path: where to.
            content: the bytes, or a file that holds them (it is copied).

        Returns:
            Whether this call wrote it; if not, what stood there is untouched.
        """

    def read_tagged(self, path: str) -> tuple[bytes, str]:
        """The content and a tag that changes with it."""

    def create_if(self, path: str, content: bytes, *, guard: str, tag: str | None) -> bool:
        """Write durably if nothing stands there while ``guard``, in the same folder, still has this tag.

        Returns:
            Whether it was written.
        """

    def replace_if(self, path: str, content: bytes, *, tag: str | None, unless: str | None = None) -> bool:
        """Compare-and-swap: write durably if the content still has this tag (None: if nothing stands there).

        Args:
            unless: a path in the same folder; if something stands there, nothing is written.

        Returns:
            Whether it was written.
        """

    def list(self, folder: str) -> Iterator[str]:
        """The names directly inside a folder, sorted; nothing if there is no such folder."""
