"""The roots of one app, one after the other, and what each of them may be believed.

A root is signed by its predecessor's keys and its own (specification §5.3), so trust goes forward alone. To what leads up to a
trusted root nobody who is trusted ever put a signature: whoever makes a predecessor of its own adds its signature to the
trusted root, which still says what it said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root

from mlpublish.errors import VerificationError
from mlpublish.trust import roles
from mlpublish.trust.links import named


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Roots whose signatures hold from each to the next.

    Args:
        held: the trusted one, and those after it: what they say is so by the word of whoever is trusted.
        before: those that lead up to it: what they say is nobody's word.
    """

    held: tuple[Metadata[Root], ...]
    before: tuple[Metadata[Root], ...] = ()

    @property
    def newest(self) -> Metadata[Root]:
        return self.held[-1]

    def refuse_other_app(self, app_id: str) -> None:
        """Apps of one house share root keys: a root of another app in between has good signatures.

        Raises:
            VerificationError: one names another app.
        """
        for each in (*self.before, *self.held):
            with named(root_link(each)):
                roles.check_root_bound(each.signed, app_id)


def follow_roots(trusted: bytes, roots: Sequence[bytes], app_id: str | None = None) -> Chain:
    """From a trusted root to the newest of the roots that came along, every one of which must have its place.

    Args:
        roots: by version, without a gap; the trusted one may be among them, before them or after them.
        app_id: whose roots they must be.

    Raises:
        ThresholdNotMet: one is not signed by its predecessor's keys and its own.
        VerificationError: one is no successor of the one before it, not the trusted one of that version, or another app's.
        FormatError: one is none.
    """
    start = roles.parse(trusted, Root, "root")
    with named(root_link(start)):
        roles.verify(start.signed, "root", start)
    with named("roots"):
        given = [roles.parse(data, Root, "root") for data in roots]
    for each in given:
        if each.signed.version == start.signed.version:
            _refuse_other(start, each)
    later = [each for each in given if each.signed.version > start.signed.version]
    before = [each for each in given if each.signed.version < start.signed.version]
    if before:
        with named(root_link(before[0])):
            roles.verify(before[0].signed, "root", before[0])
    for one, other in pairwise([start, *given] if later == given else given):
        _refuse_no_successor(one, other)
    chain = Chain(held=(start, *later), before=tuple(before))
    if app_id is not None:
        chain.refuse_other_app(app_id)
    return chain


def holders_by(roots: Iterable[Root]) -> tuple[Key, ...]:
    """Every key that held the app role by the word of one of these roots, by that of the last one first."""
    return tuple(
        root.keys[keyid] for root in reversed(tuple(roots)) for keyid in root.roles["targets"].keyids if keyid in root.keys
    )


def root_link(root: Metadata[Root]) -> str:
    return f"{root.signed.version}.root.json"


def _refuse_other(trusted: Metadata[Root], other: Metadata[Root]) -> None:
    with named(root_link(other)):
        roles.verify(trusted.signed, "root", other)
        if other.signed_bytes != trusted.signed_bytes:
            raise VerificationError(
                f"Root {other.signed.version} is not the one that is trusted.",
                remedy="Do not use it; ask the holders of the root: there must be one of each version.",
                field="root",
            )


def _refuse_no_successor(one: Metadata[Root], other: Metadata[Root]) -> None:
    with named(root_link(other)):
        if other.signed.version != one.signed.version + 1:
            raise VerificationError(
                f"Root {other.signed.version} does not follow root {one.signed.version}.",
                remedy="Get the whole chain of roots again: each version once, none left out.",
                field="root",
            )
        roles.verify(one.signed, "root", other)
        roles.verify(other.signed, "root", other)
