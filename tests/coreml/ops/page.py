"""mlpublish/docs/coreml-ops.md, from a run of every case: ``python -m tests.coreml.ops.page [--write]``.

Without ``--write`` the page is held against the file, and a difference ends in exit code 1.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import mlpublish
from mlpublish.coreml.mil_ops import EXCLUDED, IN_PROGRAM, OPS, OPSETS
from mlpublish.coreml.mil_torch import every as by_torch
from tests.coreml.ops.case import Case, known_operations, versions
from tests.coreml.ops.every import all_cases
from tests.coreml.ops.saved import NOT_ALONE
from tests.coreml.ops.test_set import IN_PROGRAMS

PAGE = Path(mlpublish.__file__).parent / "docs" / "coreml-ops.md"
BACKENDS: Mapping[str, Mapping] = {"numpy": OPS, "torch": {**OPS, **by_torch.OPS}}
LARGE = {name.partition("@")[0] for name in by_torch.OPS}

HEAD = """\
# ML Programs: the operations that the evaluator runs

`mlpublish.coreml.evaluate.load(path)` runs a saved ML Program operation by operation. `python -m tests.coreml.ops.page --write`
writes this page from a run of every case in `tests/coreml/ops`; the tests fail where it differs from such a run.

A case is one operation with its arguments, in one opset. What must come out is said by coremltools' own value inference, or by
numpy or plain Python written from the operation's documentation; never by what is tried. Apple's runtime was not asked: these
counts say that a file is read as its format is documented, not what a phone computes.

| opset | a program calls it |
|---|---|
{opsets}

## Operations and cases

A number is how many cases passed in numpy; behind a stroke how many by torch, which runs these operations where it is installed
and the tensors are large. `–`: coremltools has no such operation in that opset.

| operation | {columns} |
|---|{rules}|
{rows}

{total}

The same cases are also built into real programs, saved and run from the file: each operation's first in every opset, the others
in the newest (`tests/coreml/ops/test_saved.py`). These are not alone in a program:

{alone}

## Run by the program

Control flow and states have blocks and variables that no operation sees; the program runs them itself
(`tests/coreml/test_program_control.py`, `tests/coreml/test_program_states.py`): {in_program}.
`write_state` is in Apple's format, but coremltools 9 has no such operation.

Lists live in such programs too, and are tried there: {lists}.

## Not run

A model that needs one of these is refused before anything runs; `evaluate.unsupported(path)` names it.

| operation | reason |
|---|---|
{excluded}

coremltools' dialects for complex numbers and for torch are turned into the operations above before a program is saved.
"""


def passed() -> tuple[Counter, Counter]:
    """How many cases passed, and how many were run: by operation, opset and backend."""
    good: Counter = Counter()
    run: Counter = Counter()
    for case in all_cases():
        for opset in case.spoken_of():
            wanted = case.wanted(opset)
            for backend in BACKENDS if case.op in LARGE else ("numpy",):
                key = case.op, opset, backend
                run[key] += 1
                good[key] += _passes(case, opset, backend, wanted)
    return good, run


def _passes(case: Case, opset: int, backend: str, wanted: tuple) -> bool:
    try:
        case.compare(opset, case.got(opset, BACKENDS[backend]), wanted)
    except Exception as exc:  # noqa: BLE001  # whatever it is, the case did not pass, and is told
        print(f"{case} in iOS{opset} by {backend}: {exc}", file=sys.stderr)
        return False
    return True


def page() -> str:
    """The page, in Markdown."""
    # coremltools tells of its own casts while it infers
    logging.getLogger("coremltools").setLevel(logging.CRITICAL)
    good, run = passed()
    names = sorted({name.partition("@")[0] for name in OPS} - set(IN_PROGRAMS))
    return HEAD.format(
        opsets="\n".join(f"| iOS{number} | `{name}` |" for name, number in OPSETS.items()),
        columns=" | ".join(f"iOS{number}" for number in OPSETS.values()),
        rules="|".join("--:" for _ in OPSETS),
        rows="\n".join(_row(name, good, run) for name in names),
        total=_total(names, good, run),
        alone="\n".join(f"- `{name}`: {reason}" for name, reason in sorted(NOT_ALONE.items())),
        in_program=", ".join(f"`{name}`" for name in sorted(IN_PROGRAM)),
        lists=", ".join(f"`{name}`" for name in sorted(IN_PROGRAMS)),
        excluded="\n".join(f"| `{name}` | {reason} |" for name, reason in sorted(EXCLUDED.items())),
    )


def _row(name: str, good: Counter, run: Counter) -> str:
    known = versions(name)
    cells = [_cell(name, opset, good, run) if opset in known else "–" for opset in OPSETS.values()]
    return f"| `{name}` | {' | '.join(cells)} |"


def _cell(name: str, opset: int, good: Counter, run: Counter) -> str:
    backends = BACKENDS if name in LARGE else ("numpy",)
    return " / ".join(_share(good[name, opset, backend], run[name, opset, backend]) for backend in backends)


def _share(good: int, run: int) -> str:
    return str(good) if good == run else f"{good} of {run}"


def _total(names: list[str], good: Counter, run: Counter) -> str:
    each = {backend: sum(count for key, count in good.items() if key[2] == backend) for backend in BACKENDS}
    failed = sum(run.values()) - sum(good.values())
    return (
        f"{len(names)} operations of coremltools' {len(known_operations())}; {each['numpy']} runs passed in numpy and "
        f"{each['torch']} by torch; {failed or 'none'} failed."
    )


def main() -> int:
    """Write the page, or hold it against the file."""
    made = page()
    if "--write" in sys.argv[1:]:
        PAGE.write_text(made, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == made:
        return 0
    print(
        "mlpublish/docs/coreml-ops.md is not what the cases say. Run: python -m tests.coreml.ops.page --write", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
