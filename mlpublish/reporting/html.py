"""A report as one HTML page: no script, nothing from the network, every value escaped, readable without its style too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from mlpublish.reporting.text import one_line
from mlpublish.reports import Sheet
from mlpublish.reports.sheets import Case
from mlpublish.version import __version__

# the policy says to the browser what the first line of this file says to the reader
_HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: {outcome}</title>
<style>
:root {{ color-scheme: light dark; --line: #8886; --good: #1a7f37; --bad: #cf222e; }}
@media (prefers-color-scheme: dark) {{ :root {{ --good: #3fb950; --bad: #ff7b72; }} }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 0 0 2rem; }}
caption {{ text-align: left; font-weight: bold; padding: .3rem 0; }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line); }}
td {{ overflow-wrap: anywhere; }}
.passed {{ color: var(--good); }}
.failed {{ color: var(--bad); }}
</style>
</head>
<body>
"""


def as_html(sheet: Sheet, *, at: datetime) -> bytes:
    """The page.

    Args:
        at: when the report was made, in UTC.
    """
    return "\n".join(_page(sheet, at)).encode()


def _page(sheet: Sheet, at: datetime) -> Iterator[str]:
    yield _HEAD.format(title=_shown(sheet.title), outcome=_shown(sheet.outcome)).rstrip("\n")
    kind = "passed" if sheet.passed else "failed"
    yield f'<h1>{_shown(sheet.title)}: <strong class="{kind}">{_shown(sheet.outcome)}</strong></h1>'
    yield from _facts(sheet)
    yield from _table("Cases", ("case", "came to", "seconds", "what it said"), [_case(case) for case in sheet.cases])
    for table in sheet.tables:
        yield from _table(table.title, table.columns, table.rows)
    yield f"<footer><p>Made by mlpublish {_shown(__version__)} on {at:%Y-%m-%d %H:%M:%S} UTC.</p></footer>"
    yield "</body>\n</html>\n"


def _facts(sheet: Sheet) -> Iterator[str]:
    yield "<table>\n<caption>Outcome</caption>"
    for name, value in sheet.facts.items():
        if value is not None:
            yield f'<tr><th scope="row">{_shown(name)}</th><td>{_shown(str(value))}</td></tr>'
    yield "</table>"


def _case(case: Case) -> tuple[str, ...]:
    came_to = "not reached" if case.skipped else case.failed or "passed"
    return case.name, came_to, "" if case.skipped else f"{case.seconds:.3f}", case.told


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield f"<table>\n<caption>{_shown(title)}</caption>"
    yield "<tr>" + "".join(f'<th scope="col">{_shown(name)}</th>' for name in columns) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{_shown(cell)}</td>" for cell in row) + "</tr>"
    yield "</table>"


def _shown(text: str) -> str:
    return escape(one_line(text))
