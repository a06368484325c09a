"""What came of a note in the registry that a model came from, as a receipt carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """The outcome of a note; none takes a release back.

    Args:
        state: ``written``; ``unchanged`` if all of it stood there; ``failed`` if the registry could not be written.
        detail: one sentence.
        remedy: what to do after ``failed``.
        run_id: the release run, which holds the manifest and the parity metrics.
    """

    state: Literal["written", "unchanged", "failed"]
    detail: str
    remedy: str = ""
    run_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"state": self.state, "detail": self.detail, "remedy": self.remedy, "run_id": self.run_id}
