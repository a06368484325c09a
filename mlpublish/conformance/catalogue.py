"""Every case, by name."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from mlpublish.conformance.case import Case
from mlpublish.conformance.cases import archives, binding, documents, freshness, keys, offers, signatures, transport
from mlpublish.conformance.script import Scenario
from mlpublish.errors import NotFound


class Choice(Protocol):
    """A case, made or not."""

    @property
    def name(self) -> str: ...

    @property
    def group(self) -> str: ...

    @property
    def shows(self) -> str: ...

    def made(self) -> Case: ...


_GROUPS = (offers, keys, signatures, freshness, binding, archives, documents, transport)


def scenarios() -> tuple[Scenario, ...]:
    """Every case, none made yet: the good ones first."""
    return tuple(scenario for each in _GROUPS for scenario in each.group.scenarios)


def chosen(cases: Sequence[Choice], names: Sequence[str]) -> list[Choice]:
    """The cases of these names, or all.

    Args:
        names: names, or patterns such as ``rollout-*``.

    Raises:
        NotFound: a name or pattern fits none.
    """
    for name in names:
        if not any(fnmatchcase(case.name, name) for case in cases):
            raise NotFound(f"There is no case {name!r}.", remedy="See mlpublish conformance --list.", field="case")
    return [case for case in cases if not names or any(fnmatchcase(case.name, name) for name in names)]
