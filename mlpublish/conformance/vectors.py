"""Cases as folders: ``<name>/{case.json, 1/<app id>/…, pin.pem}``, which a harness in any language can serve and ask."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from mlpublish.conformance.case import CASE, Case
from mlpublish.errors import NotFound, RecipeError
from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.storage.in_folder import read_regular


def save(folder: Path, cases: Iterable[Case]) -> None:
    """Write cases into a new folder, in one step.

    Raises:
        RecipeError: something is there already, or nothing can be written there.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise RecipeError(f"{folder} is there already.", remedy="Name a new folder, or remove that one.", field="save")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".vectors-", dir=folder.parent) as scratch:
            made = Path(scratch, "vectors")
            for case in cases:
                _write(made / case.name, case)
            if folder.exists():
                folder.rmdir()
            made.rename(folder)
    except OSError as exc:
        raise RecipeError(f"{folder} cannot be written: {exc.strerror}.", remedy="Name another folder.", field="save") from exc


def read(folder: Path) -> list[Case]:
    """The cases that lie in a folder, by name.

    Raises:
        NotFound: there are none.
        FormatError: a ``case.json`` is none, or of a newer format.
    """
    found = [_read(file.parent) for file in sorted(folder.glob(f"*/{CASE}"))]
    if not found:
        raise NotFound(
            f"{folder} holds no cases.", remedy="Write them there with mlpublish conformance --save DIR.", field="vectors"
        )
    return found


def _write(folder: Path, case: Case) -> None:
    for name, content in {**case.files, CASE: case.to_bytes()}.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def _read(folder: Path) -> Case:
    files = {
        file.relative_to(folder).as_posix(): read_regular(file, MAX_DOCUMENT, links=False)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.is_symlink()
    }
    return Case.from_bytes(files.pop(CASE), files)
