"""A model to alter: its files in memory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

SPECIFICATION = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
MANIFEST = "Manifest.json"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One model, package or folder of golden data.

    Args:
        name: unique in a corpus.
        root: the file's or folder's name on disk; its suffix says what it is.
        files: path in the folder -> bytes; for a single file one entry under "".
        links: path in the folder -> what a link there points to.
    """

    name: str
    root: str
    files: Mapping[str, bytes]
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def specification(self) -> str | None:
        """Which file is the protobuf message; None for golden data."""
        return next((name for name in ("", SPECIFICATION) if name in self.files), None)

    def with_file(self, name: str, data: bytes) -> Sample:
        return replace(self, files={**self.files, name: data})

    def without(self, name: str) -> Sample:
        return replace(self, files={other: data for other, data in self.files.items() if other != name})

    def write(self, folder: Path) -> Path:
        """Put it on disk, in place of what stands there."""
        path = folder / self.root
        if path.is_dir():
            shutil.rmtree(path)
        for name, data in self.files.items():
            file = path / name if name else path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        for name, target in self.links.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).symlink_to(target)
        return path


def read(name: str, path: Path) -> Sample:
    """What stands on disk."""
    if path.is_file():
        return Sample(name=name, root=f"model{path.suffix}", files={"": path.read_bytes()})
    files = {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    return Sample(name=name, root=f"model{path.suffix}", files=files)
