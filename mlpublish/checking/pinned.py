"""Pin-only mode: a plain server with a zip and, beside it, a detached RSA signature by the key that the app pins."""

from __future__ import annotations

from mlpublish.checking.play import Play
from mlpublish.reports import CheckReport


def names_a_zip(at: str) -> bool:
    """Whether an address is one bundle's, and not a repository's."""
    return at.endswith(".zip")


def update_pinned(play: Play, name: str, pin: str) -> CheckReport:
    """Fetch the zip of that name and ``<name>.sig``, and install what the pin signed."""
    raise NotImplementedError
