"""Whom a plan is for: devices in a CSV file, rows at hand, or a fleet that is made up.

The columns that the offer rule reads are ``device_id`` and ``app_version``, and where they are known ``os_version``,
``installed``, ``shipped`` and ``platform``; they may stand in any order, and an empty cell says nothing. Every other column
is carried along unread.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpublish.errors import FormatError, NotFound, RecipeError
from mlpublish.formats.channel import APP_VERSION, DeviceFacts
from mlpublish.formats.minimum_os import PLATFORMS

NEEDED = ("device_id", "app_version")
COLUMNS = (*NEEDED, "os_version", "installed", "shipped", "platform")
_DOTTED = r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}"
_RELEASE = r"[1-9][0-9]{0,17}"
# column -> (what its cells look like, what to do about one that does not)
_CELLS = {
    "device_id": (re.compile(r".+", re.DOTALL), "Give the text that the device goes by; its hash decides about rollouts."),
    "app_version": (re.compile(APP_VERSION), "Give one to four dotted whole numbers, such as 2.0."),
    "os_version": (re.compile(_DOTTED), "Give dotted whole numbers, such as 17.2, or leave it empty."),
    "installed": (re.compile(_RELEASE), "Give the number of the release in use, or leave it empty."),
    "shipped": (re.compile(_RELEASE), "Give the number of the release that came with the app, or leave it empty."),
    "platform": (re.compile("|".join(PLATFORMS)), f"Use one of: {', '.join(PLATFORMS)}; or leave it empty."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A device, and what its row says that the rule does not read."""

    device: DeviceFacts
    extra: Mapping[str, str]


def rows_of(matrix: Path | str | Iterable[Mapping[str, object]], *, platform: str) -> Iterator[Row]:
    """The devices of a CSV file (a path) or of rows at hand, one after the other.

    Args:
        matrix: the file, or mappings with the columns of this module.
        platform: of a row that names none.

    Raises:
        NotFound: the file cannot be read.
        FormatError: a column is missing, or a cell is not what its column says; line and column are named.
    """
    if isinstance(matrix, str | Path):
        yield from _read(Path(matrix), platform)
        return
    for number, values in enumerate(matrix, start=1):
        cells = {str(column): "" if value is None else str(value) for column, value in values.items()}
        yield _row(cells, f"Row {number}", platform)


def made_up(app_versions: Sequence[str], os_versions: Sequence[str], devices: int, *, platform: str) -> Iterator[Row]:
    """So many devices, spread evenly over every app version on every system version.

    Raises:
        RecipeError: there are fewer devices than combinations, or a version is none.
    """
    for column, versions in (("app_version", app_versions), ("os_version", os_versions)):
        looks, remedy = _CELLS[column]
        wrong = [version for version in versions if looks.fullmatch(version) is None]
        if wrong:
            raise RecipeError(f"{wrong[0]!r} cannot be a device's {column}.", remedy=remedy, field=f"{column}s")
    kinds = [(version, system) for version in dict.fromkeys(app_versions) for system in dict.fromkeys(os_versions or (None,))]
    if devices < len(kinds):
        raise RecipeError(
            f"{devices} devices are fewer than the {len(kinds)} combinations of app and system version.",
            remedy=f"Plan for at least {len(kinds)} devices.",
            field="devices",
        )
    for number in range(devices):
        version, system = kinds[number % len(kinds)]
        device = DeviceFacts(device_id=f"device-{number}", app_version=version, os_version=system, platform=platform)
        yield Row(device=device, extra={})


def _read(file: Path, platform: str) -> Iterator[Row]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            lines = csv.reader(text, skipinitialspace=True, strict=True)
            columns = _header(next(lines, []), file)
            for cells in lines:
                if not cells:
                    continue
                place = f"{file.name} line {lines.line_num}"
                if len(cells) != len(columns):
                    raise FormatError(
                        f"{place} has {len(cells)} cells; the first line names {len(columns)} columns.",
                        remedy="Give every line a cell for each column, and quote cells with a comma in them.",
                        field=file.name,
                    )
                yield _row(dict(zip(columns, cells, strict=True)), place, platform)
    except OSError as exc:
        raise NotFound(f"{file} cannot be read: {exc.strerror}.", remedy="Name a CSV file of devices.", field="matrix") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise FormatError(f"{file} is no CSV text: {exc}.", remedy="Save it as CSV in UTF-8.", field=file.name) from exc


def _header(names: Sequence[str], file: Path) -> tuple[str, ...]:
    columns = tuple(name.strip() for name in names)
    wrong = [f"no column {name}" for name in NEEDED if name not in columns]
    wrong += [f"the column {name!r} twice" for name in dict.fromkeys(columns) if columns.count(name) > 1]
    if wrong:
        raise FormatError(
            f"{file.name} line 1 has {' and '.join(wrong)}; it names: {', '.join(columns) or 'nothing'}.",
            remedy=f"Name each column once, with commas between: {', '.join(NEEDED)}, and where known "
            f"{', '.join(COLUMNS[len(NEEDED) :])}.",
            field=file.name,
        )
    return columns


def _row(cells: Mapping[str, str], place: str, platform: str) -> Row:
    known = {column: _cell(cells.get(column, ""), column, place) for column in COLUMNS}
    installed, shipped = known["installed"], known["shipped"]
    device = DeviceFacts(
        device_id=known["device_id"] or "",
        app_version=known["app_version"] or "",
        platform=known["platform"] or platform,
        os_version=known["os_version"],
        installed=None if installed is None else int(installed),
        shipped=None if shipped is None else int(shipped),
    )
    return Row(device=device, extra={column: cell for column, cell in cells.items() if column not in known})


def _cell(text: str, column: str, place: str) -> str | None:
    """What a cell says, or None if it is empty; the device's id is taken to the letter, for its hash decides."""
    value = text if column == "device_id" else text.strip()
    if not value and column not in NEEDED:
        return None
    looks, remedy = _CELLS[column]
    if looks.fullmatch(value) is None:
        told = f"{value!r} cannot be" if value else "an empty cell cannot be"
        raise FormatError(f"{place}, column {column}: {told} a device's {column}.", remedy=remedy, field=column)
    return value
