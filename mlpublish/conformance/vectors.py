"""Cases as folders: ``<name>/{case.json, 1/<app id>/…, pin.pem}``, which a harness in any language can serve and ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from mlpublish.conformance.case import CASE, Case
from mlpublish.errors import FormatError, NotFound, RecipeError
from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.storage.in_folder import read_regular

_AGAIN = "Save the vectors again."


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
        FormatError: a ``case.json`` is none, of a newer format, or of a case that has another name than its folder; or
            something in a case's folder is no plain file.
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
    """One case; its folder has its name, so that no two have the same."""
    what, files = f"{folder.name}/{CASE}", {path: _content(folder, path) for path in _paths(folder)}
    if CASE not in files:
        raise FormatError(f"{what} is no file.", remedy=_AGAIN, field="vectors")
    case = Case.from_bytes(files.pop(CASE), files, what=what)
    if case.name != folder.name:
        raise FormatError(f"{what} has the name {case.name!r}.", remedy="Give folder and case one name.", field="name")
    return case


def _paths(folder: Path) -> Iterator[str]:
    """All that a static host would have to serve, and what it could not."""
    return (each.relative_to(folder).as_posix() for each in sorted(folder.rglob("*")) if each.is_symlink() or not each.is_dir())


def _content(folder: Path, path: str) -> bytes:
    try:
        return read_regular(folder / path, MAX_DOCUMENT, links=False)
    except OSError as exc:
        raise FormatError(f"{folder.name}/{path} cannot be read: {exc.strerror}.", remedy=_AGAIN, field="vectors") from exc
