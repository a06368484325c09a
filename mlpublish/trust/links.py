"""The links of what is verified, each by its name: the file that is broken, as whoever handed it over knows it.

A link is a role's file (``targets.json``, ``2.root.json``), a target (``releases/3/bundle.zip``) or a file inside a bundle
(``models/digits.mlmodel``). It stands in an error's ``field``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlpublish.errors import BundleError, FormatError, MlpublishError, NewerFormat, NotFound, RecipeError, VerificationError

_OF_THE_THING = (FormatError, BundleError, VerificationError, NotFound, RecipeError)


@contextmanager
def named(link: str) -> Iterator[None]:
    """Blame a link for what is wrong while it is read; an error that names a file inside of it keeps that."""
    try:
        yield
    except _OF_THE_THING as exc:
        if exc.field is None or "/" not in exc.field:
            exc.field = link
        raise


@contextmanager
def verified(where: str = "") -> Iterator[None]:
    """Whatever is wrong with the thing itself is verification that failed, whatever its reader calls it.

    What the caller asks for has to make sense before: a RecipeError in here is about an app id or a version in a document.

    Args:
        where: goes before the link, where there are several things.

    Raises:
        VerificationError: with the link that is broken, which its text names too; the class of one that it was already stays.
        NewerFormat: as it is: nothing shows that the thing is broken, only that it is not read here.
    """
    try:
        yield
    except NewerFormat:
        raise
    except _OF_THE_THING as exc:
        kind = type(exc) if isinstance(exc, VerificationError) else VerificationError
        link = None if exc.field is None else f"{where}{exc.field}"
        raise kind(_told(exc, link), remedy=exc.remedy, field=link) from exc


def _told(exc: MlpublishError, link: str | None) -> str:
    return exc.problem if link is None or link in exc.problem else f"{link}: {exc.problem}"
