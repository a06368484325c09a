"""Results as text: one aligned line per fact."""

from __future__ import annotations

from mlpublish.shown import Shown


def as_text(result: Shown) -> str:
    """What a terminal shows of a result."""
    rows = {name: value for name, value in result.rows().items() if value is not None and value != ""}
    width = max((len(name) for name in rows), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())
