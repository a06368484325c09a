"""Each case of each operation, in every opset that it speaks of, by numpy and by torch."""

from __future__ import annotations

import pytest

from mlpublish.coreml.mil_ops import OPS
from tests.coreml.ops.every import all_cases

RUNS = [(case, opset) for case in all_cases() for opset in case.spoken_of()]


@pytest.mark.parametrize(("case", "opset"), RUNS, ids=[f"{case}-iOS{opset}" for case, opset in RUNS])
def test_an_operation_gives_what_is_wanted_by_numpy(case, opset):
    case.check(opset, OPS)
