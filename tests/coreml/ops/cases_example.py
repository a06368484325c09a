from __future__ import annotations

from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(1)
CASES = [Case(op="tile", given={"x": N.f(2, 3), "reps": i(2, 1)})]
