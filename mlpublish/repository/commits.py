"""The document that hands a commit to a server: the signed roles, as text, so that their bytes arrive as they were signed.

    {"format": 1, "edits": {"targets": {"base": 5, "metadata": "{ … the signed role … }"}}}

The blobs that the roles name travel before it, each under its digest.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlpublish.formats.wire import Reader, dump
from mlpublish.trust.changes import Edit

COMMIT_FORMAT = 1
EDITED_ROLES = ("root", "targets", "channels")


def to_document(edits: Mapping[str, Edit]) -> bytes:
    """Write the edits of a commit."""
    written = {name: {"base": edit.base, "metadata": edit.metadata.decode()} for name, edit in edits.items()}
    return dump({"format": COMMIT_FORMAT, "edits": written})


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


def _edit(reader: Reader) -> Edit:
    return Edit(base=reader.whole_number("base"), metadata=reader.text("metadata").encode())
