"""What a result's picture in a notebook is made of; ``page.py`` and ``plot.py`` draw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Badge:
    """What it came to, in a word beside the title; ``good`` is None where that is neither well nor bad."""

    text: str
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Name -> value, in order; a None is left out."""

    rows: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under named columns; one without rows is left out."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Sentences:
    """One sentence per line under a title; none, and it is left out."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Points around the diagonal: the closer they lie to it, the more the two sides agree.

    Args:
        title: what is compared; it stands above, and a screen reader reads it.
        description: what can be seen, for who does not see it.
        x_label, y_label: the two sides.
        x, y: the points, in the order of each other; what is not finite is not drawn, and counted in the picture.
        marked: the place of the point that is drawn so that it is found; None for none.
        marked_label: what is written beside it.
    """

    title: str
    description: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    marked: int | None = None
    marked_label: str = ""


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks that are there for who opens them."""

    title: str
    blocks: tuple[Block, ...]


Block = Badge | Facts | Table | Sentences | Plot | Folded
