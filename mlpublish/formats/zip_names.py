"""Names that a plain zip may use: wider than a bundle's own, yet one place on every file system, and readable as it is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from mlpublish.formats.unpacking import RENAME, broken, names_a_device, parents, refuse_shared_places

_SPECIAL = frozenset('/\\:*?"<>|;')  # places and versions; most of them no name may have on Windows
# Letters and marks that show nothing (Unicode's Default_Ignorable_Code_Point, what is no format character anyway)
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_MAX_PART, _MAX_NAME, _MAX_DEPTH = 255, 1024, 32  # bytes of UTF-8 (Linux' NAME_MAX), bytes, folders


def decoded(raw: bytes, *, utf8: bool) -> str:
    """A name as text.

    Without the UTF-8 flag only ASCII is taken: what other bytes mean then, readers disagree about (APPNOTE, appendix D).

    Raises:
        BundleError: it is not that.
    """
    try:
        return raw.decode("utf-8" if utf8 else "ascii")
    except UnicodeDecodeError as exc:
        raise broken(f"the name {raw!r} is not {'UTF-8' if utf8 else 'marked as UTF-8'}", _NAMES) from exc


def check_name(name: str) -> None:
    """Refuse a name that leaves its folder, hides, or does not look like what it is.

    A name's parts are asked as they stand and in the compatible form (NFKC) that some systems make of them.

    Raises:
        BundleError: it is one.
    """
    parts = name.split("/")
    compatible = [unicodedata.normalize("NFKC", part) for part in parts]
    if len(name.encode()) > _MAX_NAME or len(parts) > _MAX_DEPTH or not all(map(_is_plain, parts + compatible)):
        raise broken(f"the name {name!r} is not taken", _NAMES)
    if unicodedata.normalize("NFC", name) != name:
        raise broken(f"the name {name!r} is not in Unicode's composed form (NFC)", _NAMES)


def check_together(files: Sequence[str], folders: Sequence[str]) -> None:
    """Refuse names that some file system takes for one, and a folder that is spelled in two ways.

    Raises:
        BundleError: there are such names.
    """
    refuse_shared_places(files, _key)
    if len({_key(folder) for folder in folders}) != len(folders):
        raise broken("a folder stands twice for some file systems", RENAME)
    spelled: dict[str, str] = {}
    for folder in (*folders, *(parent for name in (*files, *folders) for parent in parents(name))):
        if spelled.setdefault(_key(folder), folder) != folder:
            raise broken(f"{folder} and {spelled[_key(folder)]} are one folder for some file systems", RENAME)
    if both := spelled.keys() & {_key(name) for name in files}:
        raise broken(f"{spelled[min(both)]} is a file and a folder", RENAME)


def _is_plain(part: str) -> bool:
    """Letters, digits, punctuation and symbols of any script, and single spaces inside; nothing that has no shape of its own.

    So no control, format or bidi character, which can make a name look like another (Unicode TR 36, §2.5 and 3.1).
    """
    return (
        0 < len(part.encode()) <= _MAX_PART
        and part.strip(" ") == part
        and not part.startswith(".")
        and not part.endswith(".")
        and not names_a_device(part)
        and _INVISIBLE.search(part) is None
        and all(char == " " or (char not in _SPECIAL and unicodedata.category(char)[0] in "LMNPS") for char in part)
    )


def _key(name: str) -> str:
    """What the least careful file system makes of a name: compatible forms, and no difference of case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


_NAMES = "Zip it again with relative names in UTF-8, without hidden files: zip -r -X -x '*/.*' -x '.*'."
