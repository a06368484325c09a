"""Results as text: one aligned line per fact."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from mlpublish.reports import Sheet
from mlpublish.shown import Shown
from mlpublish.trust.spelling import escaped, shortened

_LONGEST = 4000  # characters of a line; all of it is in --json
_UNSEEN = ("Cf", "Cs", "Co", "Cn")  # Unicode's format characters (zero width, bidi controls), surrogates, private, unassigned


def as_text(result: Shown) -> str:
    """What a terminal shows of a result."""
    return "\n".join(_facts(result.rows()))


def document(sheet: Sheet) -> str:
    """All of a report: its facts, then its tables."""
    tables = (("", *aligned((table.columns, *table.rows))) for table in sheet.tables if table.rows)
    return "\n".join((*_facts(sheet.facts), *chain.from_iterable(tables)))


def aligned(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table's rows, each on its line, the columns below each other."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  ".join(f"{one_line(cell):<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def one_line(text: str) -> str:
    """Text that stays on its line and shows all that is in it: what a file or a server says must not forge another line, move a
    cursor, turn the direction of what follows, or differ from another text by what nobody sees.
    """
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
    seen = "".join(escaped(letter) if unicodedata.category(letter) in _UNSEEN else letter for letter in plain)
    return shortened(seen, _LONGEST)


def _facts(facts: Mapping[str, object]) -> Iterator[str]:
    rows = {name: value for name, value in facts.items() if value is not None and value != ""}
    width = max((len(name) for name in rows), default=0)
    return (one_line(f"{name:<{width}}  {value}") for name, value in rows.items())
