"""Where a report's documents go: asked before the work whether they can be written, written after it, whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from mlpublish.errors import RecipeError, StorageError
from mlpublish.reporting.html import as_html
from mlpublish.reporting.junit import as_junit
from mlpublish.reports import Reported, Sheet
from mlpublish.storage.in_folder import make_folder, replace_file


class _Writer(Protocol):
    def __call__(self, sheet: Sheet, *, at: datetime) -> bytes: ...


_WRITERS: Mapping[str, _Writer] = {"junit": as_junit, "html": as_html}


@dataclass(frozen=True, slots=True)
class Documents:
    """The files that a report is to be written to.

    Args:
        files: form (``junit``, ``html``) -> file.
    """

    files: Mapping[str, Path]

    @classmethod
    def at(cls, **files: Path | None) -> Documents:
        """Make sure that the files can be written; nothing is left behind by that.

        Args:
            files: form -> file; None for a form that nobody wants.

        Raises:
            RecipeError: one cannot be written, or two are the same.
        """
        wanted = {form: file.absolute() for form, file in files.items() if file is not None}
        for form, file in wanted.items():
            _refuse_unwritable(form, file)
        if len(set(wanted.values())) < len(wanted):
            raise RecipeError("Two reports would be the same file.", remedy="Give each its own name.", field="html")
        return cls(wanted)

    def write(self, report: Reported) -> Iterator[StorageError]:
        """Write them all, and give what went wrong with each."""
        sheet, at = report.sheet(), datetime.now(UTC)
        for form, file in self.files.items():
            try:
                make_folder(file.parent)
                replace_file(file, _WRITERS[form](sheet, at=at))
            except OSError as exc:
                yield StorageError(
                    f"The report {file} could not be written: {exc.strerror or exc}.",
                    remedy="The outcome above holds all the same.",
                    field=form,
                )


def _refuse_unwritable(form: str, file: Path) -> None:
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            if not stat.S_ISREG(file.stat().st_mode):
                raise RecipeError(f"{file} is no file.", remedy="Name a file that may be written anew.", field=form)
        above = next(folder for folder in file.parents if os.path.lexists(folder))
        with tempfile.TemporaryFile(dir=above):
            pass  # only an attempt tells: permissions, read-only mounts and full disks answer alike
    except OSError as exc:
        raise RecipeError(
            f"{file} cannot be written: {exc.strerror or exc}.", remedy="Name a file in a folder of yours.", field=form
        ) from exc
