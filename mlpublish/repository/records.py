"""What is kept of a change: who said what to it and when it came, and how it ended. The files are in ``changes.py``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from mlpublish.formats.wire import Reader
from mlpublish.trust.changes import Change, Review

RECORD_FORMAT = 1
OUTCOMES = ("committed", "rejected", "superseded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A review, and when it came, by the clock of whoever keeps the repository."""

    review: Review
    at: str

    def to_dict(self) -> dict[str, Any]:
        return {"format": RECORD_FORMAT, "received": self.at, "review": self.review.to_dict()}

    @classmethod
    def from_reader(cls, reader: Reader) -> Received:
        reader.version("format", known=RECORD_FORMAT)
        return cls(review=Review.from_reader(reader.inner("review")), at=reader.text("received"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """How a change ended.

    Args:
        outcome: ``committed``, ``rejected`` or ``superseded`` (its base had moved, and another one was proposed).
        by: the key id of whoever rejected it, else empty.
    """

    outcome: str
    at: str
    by: str = ""
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"format": RECORD_FORMAT, "outcome": self.outcome, "at": self.at, "by": self.by, "reason": self.reason}

    @classmethod
    def from_reader(cls, reader: Reader) -> Closed:
        reader.version("format", known=RECORD_FORMAT)
        return cls(
            outcome=reader.text("outcome", "|".join(OUTCOMES)),
            at=reader.text("at"),
            by=reader.text("by"),
            reason=reader.text("reason"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A change with everything that was said to it."""

    change: Change
    reviews: tuple[Received, ...] = ()
    closed: Closed | None = None

    @property
    def signed(self) -> Change:
        """The change with every signature that came."""
        approvals = tuple(each.review for each in self.reviews if each.review.verdict == "approve")
        return replace(self.change, edits=MappingProxyType(self.change.signed_with(approvals)))

    def to_dict(self) -> dict[str, Any]:
        return {
            "change": self.change.to_dict(),
            "reviews": [each.to_dict() for each in self.reviews],
            "closed": None if self.closed is None else self.closed.to_dict(),
        }

    @classmethod
    def from_reader(cls, reader: Reader) -> Kept:
        return cls(
            change=Change.from_reader(reader.inner("change")),
            reviews=tuple(Received.from_reader(each) for each in reader.each("reviews")),
            closed=reader.optional("closed", lambda name: Closed.from_reader(reader.inner(name))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeList:
    """The ids of an app's changes, the oldest first, and the one that waits for signatures."""

    ids: tuple[str, ...] = ()
    open: str | None = None
