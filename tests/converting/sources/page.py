"""mlpublish/docs/sources.md, from runs of the catalogue: ``python -m tests.converting.sources.page [--write | PART…]``.

``--write`` runs every entry with the installed libraries, keeps what it found as the newest or the oldest run, and writes the
page out of both. A PART of names, such as LightGBM or Ridge/, runs the entries that have it in their names, and tells what is
found. With neither the page is held against the two runs, and a difference ends in exit code 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import mlpublish
from mlpublish.converting.convert import convert
from mlpublish.errors import ConversionError
from tests.converting.sources.catalogue import entries, refusals
from tests.converting.sources.entry import Entry, Refusal
from tests.converting.sources.measured import LIBRARIES, NEWEST, OLDEST, Run, Told, here, versions
from tests.converting.sources.trial import tried

PAGE = Path(mlpublish.__file__).parent / "docs" / "sources.md"

HEAD = """\
# Sources: what is converted, and how near the saved file answers

`python -m tests.converting.sources.page --write` writes this page from runs of every model in `tests/converting/sources`; the
tests fail where a saved file answers further off than it says here. Two environments were asked: the newest libraries
({newest}) and the oldest that are supported ({oldest}).

Every model was fitted, converted, and its saved file run by `mlpublish.coreml.evaluate` on rows that no fitting saw and on
rows on and beside the splits of its trees, in float32 and in float64. All labels were the library's own. A number is the bound
that max|got − want| / max|want| of every output kept under, and how many rows were asked; ≤ 1e-12 is what doubles leave when
they are added in another order, ≤ 1e-6 is float32.

What stands in neither table is refused by name too.
"""

TABLE = """
## {library}

| estimator | forms that were tried | status | {newest} | {oldest} |
|---|---|---|---|---|
{rows}
"""

REFUSED = """
## Refused by name

| source | what | the error says | what to do |
|---|---|---|---|
{rows}
"""


def run(*parts: str) -> tuple[Run, list[str]]:
    """The catalogue, or what has a part of names in its own, with the installed libraries; and what went wrong."""
    right: dict[str, Told] = {}
    refused: dict[str, tuple[str, str]] = {}
    wrong: list[str] = []
    with TemporaryDirectory() as folder:
        for number, each in enumerate([*entries(), *refusals()]):
            if parts and not any(part in each.id for part in parts):
                continue
            try:
                if isinstance(each, Entry):
                    found = tried(each, Path(folder) / str(number))
                    right[each.id] = Told.of(found.worst, found.rows)
                else:
                    refused[each.id] = _refusal(each, Path(folder) / str(number))
            except Exception as exc:  # noqa: BLE001  # whatever it is, the entry is not right, and is told
                wrong.append(f"{each.id}: {type(exc).__name__}: {' '.join(str(exc).split())[:200]}")
    return Run(versions=versions(), right=right, refused=refused), wrong


def _refusal(refusal: Refusal, folder: Path) -> tuple[str, str]:
    try:
        convert(refusal.fit(refusal.data), name="m", samples=refusal.data.held, out=folder, progress=False)
    except ConversionError as exc:
        return exc.problem, exc.remedy
    raise AssertionError("it is converted")


def page(newest: Run, oldest: Run) -> str:
    """The page, in Markdown."""
    parts = [HEAD.format(newest=_named(newest), oldest=_named(oldest))]
    for library in LIBRARIES:
        columns = {NEWEST: newest.versions[library], OLDEST: oldest.versions[library]}
        parts.append(TABLE.format(library=library, rows="\n".join(_rows(library, newest, oldest)), **columns))
    refused = {**oldest.refused, **newest.refused}
    rows = [f"| {key.replace('/', ' | ', 1)} | {problem} | {remedy} |" for key, (problem, remedy) in refused.items()]
    return "".join([*parts, REFUSED.format(rows="\n".join(rows))])


def _named(run: Run) -> str:
    return ", ".join(f"{library} {number}" for library, number in run.versions.items())


def _rows(library: str, newest: Run, oldest: Run) -> Iterator[str]:
    keys = [key.split("/", 2) for key in {**newest.right, **oldest.right} if key.startswith(f"{library}/")]
    for estimator in dict.fromkeys(name for _, name, _ in keys):
        forms = [form for _, name, form in keys if name == estimator]
        ids = [f"{library}/{estimator}/{form}" for form in forms]
        told = ", ".join(form + _only(key, newest, oldest, library) for form, key in zip(forms, ids, strict=True))
        yield f"| {estimator} | {told} | right | {_cell(newest, ids)} | {_cell(oldest, ids)} |"


def _only(key: str, newest: Run, oldest: Run, library: str) -> str:
    missing = [run.versions[library] for run in (newest, oldest) if key not in run.right]
    return f" (not in {missing[0]})" if missing else ""


def _cell(run: Run, ids: Iterable[str]) -> str:
    told = [run.right[key] for key in ids if key in run.right]
    return (
        f"≤ {max(each.bound for each in told):.0e}, {sum(each.rows for each in told)} rows".replace("e-0", "e-")
        if told
        else "–"
    )


def main() -> int:
    """Run the catalogue and write the page, or hold the page against the runs that are kept."""
    if sys.argv[1:] and "--write" not in sys.argv[1:]:
        found, wrong = run(*sys.argv[1:])
        print(*(f"{key}: ≤ {told.bound:.0e}, {told.rows} rows" for key, told in found.right.items()), sep="\n")
        print(*(f"{key}: {problem} {remedy}" for key, (problem, remedy) in found.refused.items()), *wrong, sep="\n")
        return bool(wrong)
    if "--write" in sys.argv[1:]:
        found, wrong = run()
        if wrong:
            print(*wrong, f"{len(wrong)} are not right; nothing was written.", sep="\n", file=sys.stderr)
            return 1
        found.write(here())
    made = page(Run.read(NEWEST), Run.read(OLDEST))
    if "--write" in sys.argv[1:]:
        PAGE.write_text(made, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == made:
        return 0
    print(
        "mlpublish/docs/sources.md is not what the runs say: python -m tests.converting.sources.page --write", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
