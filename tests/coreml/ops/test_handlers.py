"""Each case of each operation, in every opset that it speaks of, by numpy and by torch."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from mlpublish.coreml.mil_ops import OPS
from tests.coreml.ops.every import all_cases

if find_spec("torch") is None:
    BY_TORCH = set()
else:
    from mlpublish.coreml.mil_torch import every

    BY_TORCH = {name.partition("@")[0] for name in every.OPS}

CASES = all_cases()
LARGE = [case for case in CASES if case.op in BY_TORCH]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_operation_gives_what_is_wanted_by_numpy(case):
    for opset in case.spoken_of():
        case.check(opset, OPS)


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_an_operation_gives_what_is_wanted_by_torch(backends, case):
    for opset in case.spoken_of():
        case.check(opset, backends("torch"))


def test_every_case_is_run_in_some_opset():
    assert [str(case) for case in CASES if not case.spoken_of()] == []


def test_torch_is_tried():
    if find_spec("torch") is None:
        pytest.skip("needs torch: pip install 'mlpublish[torch]'")
    assert LARGE
