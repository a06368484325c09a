"""Find an adapter by scheme, through entry points: ours are listed like a guest's (pyproject.toml)."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mlpublish.errors import UnknownScheme

SOURCES = "mlpublish.sources"
SIGNERS = "mlpublish.signers"
ENDPOINTS = "mlpublish.endpoints"


@cache
def names(group: str) -> tuple[str, ...]:
    """The schemes that are installed in a group, in alphabetical order."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


def find(group: str, scheme: str) -> Any:
    """Load the adapter for a scheme.

    Args:
        group: ``SOURCES``, ``SIGNERS`` or ``ENDPOINTS``.
        scheme: what stands before the colon of a URI, or a framework's name.

    Returns:
        The object that the entry point names; its contract is the group's Protocol.

    Raises:
        UnknownScheme: nothing is installed under that name.
    """
    found: tuple[EntryPoint, ...] = tuple(entry_points(group=group, name=scheme))
    if not found:
        known = ", ".join(names(group)) or "none (is mlpublish installed? run: python -m pip install .)"
        raise UnknownScheme(
            f"Nothing is installed for {scheme!r} in {group}.",
            remedy=f"Use one of: {known}; or install a package that lists {scheme!r} under the entry point group {group}.",
            field="scheme",
        )
    return found[0].load()


def scheme_of(uri: str) -> str:
    """The scheme of a URI in lower case; a bare path counts as ``file``."""
    head, colon, _ = uri.partition(":")
    return head.lower() if colon and head.replace("+", "").replace("-", "").isalnum() and len(head) > 1 else "file"
