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

RUNS = [(case, opset) for case in all_cases() for opset in case.spoken_of()]
LARGE = [(case, opset) for case, opset in RUNS if case.op in BY_TORCH]


@pytest.mark.parametrize(("case", "opset"), RUNS, ids=[f"{case}-iOS{opset}" for case, opset in RUNS])
def test_an_operation_gives_what_is_wanted_by_numpy(case, opset):
    case.check(opset, OPS)


@pytest.mark.parametrize(("case", "opset"), LARGE, ids=[f"{case}-iOS{opset}" for case, opset in LARGE])
def test_an_operation_gives_what_is_wanted_by_torch(backends, case, opset):
    case.check(opset, backends("torch"))


def test_torch_is_tried():
    if find_spec("torch") is None:
        pytest.skip("needs torch: pip install 'mlpublish[torch]'")
    assert LARGE
