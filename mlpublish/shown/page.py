"""Blocks as HTML for a notebook's cell.

Only inline styles, because a style sheet would reach the whole notebook and an untrusted one's is taken away. No colour but
those that stand out on white and on black alike: text inherits its own, lines and grounds are half transparent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from mlpublish.shown.blocks import Badge, Block, Facts, Folded, Plot, Sentences, Table
from mlpublish.shown.plot import svg
from mlpublish.shown.words import cut, plain

_LONGEST = 2000  # characters of one value; all of it is in to_dict()
_MOST = 100  # rows of one table, or sentences; all of them too
_LINE = "1px solid #80808055"
_CELL = f"text-align:{{align}};vertical-align:top;padding:.2em 1.2em .2em 0;border:0;border-bottom:{_LINE};background:none"
_HEAD = "white-space:nowrap;font-weight:600"
_WRAP = "overflow-wrap:anywhere"  # a digest; in a table with columns that would cut every word
_TABLE = "border-collapse:collapse;margin:.2em 0 .8em;font-variant-numeric:tabular-nums;border:0;max-width:100%"
_TITLE = "text-align:left;font-weight:600;padding:.2em 0;caption-side:top;color:inherit"
_GROUNDS = {True: "#2da44e", False: "#e5534b", None: "#808080"}
_NUMBER = re.compile(r"([-+]?[0-9][0-9.,]*(e[-+]?[0-9]+)?|nan|-?inf)( (bytes|[kMGT]B|s|%))?|[0-9.]+%|")


def as_html(name: str, blocks: Sequence[Block]) -> str:
    """A cell's content: a title with its badges, then block by block."""
    badges = "".join(f" {_badge(block)}" for block in blocks if isinstance(block, Badge))
    head = f'<div style="margin:.2em 0"><b>{_text(name)}</b>{badges}</div>'
    return f'<div style="color:inherit;line-height:1.4;max-width:64em;overflow-x:auto">{head}{"".join(_drawn(blocks))}</div>'


def _drawn(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Facts():
                yield _facts(block)
            case Table():
                yield _table(block)
            case Sentences():
                yield _sentences(block)
            case Plot():
                yield f'<div style="display:inline-block;margin:0 1em .8em 0;max-width:100%">{svg(block)}</div>'
            case Folded():
                yield _folded(block)
            case Badge():
                pass  # beside the title


def _badge(badge: Badge) -> str:
    ground = _GROUNDS[badge.good]
    style = f"background:{ground}33;border:1px solid {ground}aa;border-radius:.4em;padding:0 .5em;white-space:nowrap"
    return f'<span style="{style}">{_text(badge.text)}</span>'


def _facts(facts: Facts) -> str:
    rows = (
        f"<tr>{_cell(name, tag='th', more='row', style=_HEAD)}{_cell(str(value), style=_WRAP)}</tr>"
        for name, value in facts.rows.items()
        if value is not None
    )
    inside = "".join(rows)
    return f'<table style="{_TABLE}"><tbody>{inside}</tbody></table>' if inside else ""


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    shown = table.rows[:_MOST]
    sides = ["right" if all(map(_NUMBER.fullmatch, column)) else "left" for column in zip(*shown, strict=True)]
    columns = zip(table.columns, sides, strict=True)
    head = "".join(_cell(name, tag="th", more="col", style=_HEAD, align=side) for name, side in columns)
    rows = (
        "".join(_cell(cell, style="overflow-wrap:break-word", align=side) for cell, side in zip(row, sides, strict=True))
        for row in shown
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    if more := _more(table.rows):
        body += f'<tr><td colspan="{len(table.columns)}" style="{_CELL.format(align="left")}">{more}</td></tr>'
    title = f'<caption style="{_TITLE}">{_text(table.title)}</caption>' if table.title else ""
    return f'<table style="{_TABLE}">{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(text: str, *, tag: str = "td", more: str = "", style: str, align: str = "left") -> str:
    scope = f' scope="{more}"' if more else ""
    return f'<{tag}{scope} style="{_CELL.format(align=align)};{style}">{_text(text)}</{tag}>'


def _sentences(block: Sentences) -> str:
    if not block.sentences:
        return ""
    more = _more(block.sentences)
    shown = (*block.sentences[:_MOST], *((more,) if more else ()))
    items = "".join(f'<li style="{_WRAP}">{_text(sentence)}</li>' for sentence in shown)
    title = f'<div style="font-weight:600">{_text(block.title)}</div>'
    return f'{title}<ul style="margin:.2em 0 .8em;padding-left:1.4em">{items}</ul>'


def _folded(block: Folded) -> str:
    inside = "".join(_drawn(block.blocks))
    if not inside:
        return ""
    title = f'<summary style="cursor:pointer">{_text(block.title)}</summary>'
    return f'<details style="margin:.2em 0 .8em">{title}<div style="padding-left:1em">{inside}</div></details>'


def _more(all_of_them: Sequence[object]) -> str:
    """What is said of those that are not shown; nothing, if all are."""
    return f"… and {len(all_of_them) - _MOST} more" if len(all_of_them) > _MOST else ""


def _text(text: str) -> str:
    return escape(cut(plain(text), _LONGEST))
