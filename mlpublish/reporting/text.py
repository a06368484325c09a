"""Results as text: one aligned line per fact."""

from __future__ import annotations

import re

from mlpublish.shown import Shown


def as_text(result: Shown) -> str:
    """What a terminal shows of a result."""
    rows = {name: value for name, value in result.rows().items() if value is not None and value != ""}
    width = max((len(name) for name in rows), default=0)
    return "\n".join(one_line(f"{name:<{width}}  {value}") for name, value in rows.items())


def one_line(text: str) -> str:
    """Text that stays on its line: what a file or a server says must not forge another line, or move a cursor."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
