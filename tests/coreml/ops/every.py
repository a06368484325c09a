"""Every MIL operation against somebody else's reading of it: one module of cases per family of ``mil_ops``.

``all_cases()`` finds every module ``cases_*.py`` here; each has ``CASES``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from tests.coreml.ops.case import Case


@cache
def all_cases() -> tuple[Case, ...]:
    """Every family's cases, by operation."""
    modules = sorted(file.stem for file in Path(__file__).parent.glob("cases_*.py"))
    found = [case for name in modules for case in import_module(f"tests.coreml.ops.{name}").CASES]
    return tuple(sorted(found, key=lambda case: case.op))
