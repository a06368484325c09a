"""The document that hands a commit to a server: the signed roles, as text, so that their bytes arrive as they were signed.

    {"format": 1, "edits": {"targets": {"base": 5, "metadata": "{ … the signed role … }"}}}

An edit may bring ``keys``: the public halves of signers that no role names. The blobs that the roles name travel before it,
each under its digest.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.formats.wire import Reader, dump
from mlpublish.trust.changes import Edit
from mlpublish.trust.intents import key_from, key_to_dict

COMMIT_FORMAT = 1
EDITED_ROLES = ("root", "targets", "channels")
_MOST_KEYS = 8


def to_document(edits: Mapping[str, Edit]) -> bytes:
    """Write the edits of a commit."""
    return dump({"format": COMMIT_FORMAT, "edits": {name: _written(edit) for name, edit in edits.items()}})


def from_document(data: bytes) -> dict[str, Edit]:
    """Read the edits of a commit.

    Raises:
        FormatError: it is no such document, it names no role, or one that cannot be edited.
    """
    reader = Reader.parse(data, what="commit")
    reader.version("format", known=COMMIT_FORMAT)
    edits = reader.inner("edits")
    if not edits.values or not set(edits.values) <= set(EDITED_ROLES):
        reader.refuse("edits", f"an object with one or more of {', '.join(EDITED_ROLES)}")
    return {name: _edit(edits.inner(name)) for name in edits.values}


def _written(edit: Edit) -> dict[str, object]:
    keys = {"keys": [key_to_dict(key) for key in edit.keys]} if edit.keys else {}
    return {"base": edit.base, "metadata": edit.metadata.decode(), **keys}


def _edit(reader: Reader) -> Edit:
    keys = tuple(reader.each("keys")) if reader.has("keys") else ()
    if len(keys) > _MOST_KEYS:
        reader.refuse("keys", f"at most {_MOST_KEYS} keys")
    return Edit(
        base=reader.whole_number("base"),
        metadata=reader.text("metadata").encode(),
        keys=tuple(key_from(each) for each in keys),
    )
