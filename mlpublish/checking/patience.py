"""How long a check waits, and how often it asks again: an unattended one must never hang."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlpublish.errors import RecipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The limits of one check.

    Args:
        timeout: seconds from the first request to the last byte, retries and waiting included.
        stall: seconds for which next to nothing may come before a connection counts as broken.
        retries: how often something that may pass (no connection, 429, 5xx, a cut) is asked for again, each file for itself.
        first_wait: seconds before the first retry, give or take a quarter; doubled with each one.
    """

    timeout: float = 3600.0
    stall: float = 30.0
    retries: int = 3
    first_wait: float = 0.5

    def __post_init__(self) -> None:
        for name in ("timeout", "stall", "first_wait"):
            value = getattr(self, name)
            if not math.isfinite(value) or value <= 0:
                raise RecipeError(f"{name} is {value}.", remedy="Give more than 0 seconds.", field=name)
        if not 0 <= self.retries <= 100:
            raise RecipeError(f"retries is {self.retries}.", remedy="Give 0 to 100.", field="retries")
