"""A result that shows itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlpublish.shown.blocks import Block, Facts
from mlpublish.shown.page import as_html
from mlpublish.shown.words import cut, plain

_LONGEST = 200  # characters of the one line


class Shown:
    """Gives a result one line in a console, and a picture in a notebook: no script, no style sheet, every value escaped."""

    __slots__ = ()

    def rows(self) -> Mapping[str, object]:
        """What a reader of text wants to see of it, in order."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it (``--json``)."""
        raise NotImplementedError

    def brief(self) -> str:
        """What it is, in a few words that are the same in every run: without times, durations, ports and scratch folders."""
        name, value = next(iter(self.rows().items()), ("", ""))
        return f"{name} {value}"

    def blocks(self) -> Iterable[Block]:
        """What a notebook shows of it, in order; badges come first."""
        return (Facts(self.rows()),)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {cut(plain(self.brief()), _LONGEST)}>"

    def _repr_html_(self) -> str:
        return as_html(type(self).__name__, tuple(self.blocks()))
