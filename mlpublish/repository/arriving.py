"""A file that arrives from a server and is kept on this disk: no longer than it may be, and never the disk's last bytes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlpublish.errors import MlpublishError, StorageError

_LEFT = 64 * 1024**2  # bytes of a disk that are left to others, or a twentieth of what is free


def keep(place: Path, pieces: Iterable[bytes], *, announced: int | None, most: int, longer: MlpublishError) -> None:
    """Write what arrives to a file; of one that does not fit, the beginning may stay.

    Args:
        place: the file; one that is there is replaced.
        announced: bytes that will come, if that is told.
        most: bytes that are taken.
        longer: is raised where more come.

    Raises:
        StorageError: the disk has no room for it.
        Exception: whatever ``pieces`` raises.
    """
    try:
        with place.open("wb") as writing:
            free = shutil.disk_usage(place.parent).free
            room = free - min(_LEFT, free // 20)
            if (announced or 0) > room:
                raise _no_room(place, f"has {announced} bytes", room)
            for piece in pieces:
                count = writing.tell() + len(piece)
                if count > most:
                    raise longer
                if count > room:
                    raise _no_room(place, f"has more than {count - len(piece)} bytes", room)
                writing.write(piece)
    except OSError as exc:
        if exc.errno is None:  # an error of requests, which is one of these too
            raise
        raise StorageError(
            f"{place.name} cannot be kept: {exc.strerror}.", remedy="Make room where TMPDIR points.", field="what"
        ) from exc


def announced_by(headers: Mapping[str, str]) -> int | None:
    """The bytes that an answer says it has, if it does."""
    told = headers.get("Content-Length", "")
    return int(told) if re.fullmatch(r"[0-9]{1,18}", told) else None


def _no_room(place: Path, what: str, room: int) -> StorageError:
    return StorageError(
        f"{place.name} {what}, and {place.parent} has room for {room}.",
        remedy="Free some space there; where a verification keeps it, TMPDIR says.",
        field="what",
    )
