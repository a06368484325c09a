"""Cases in real files: parameter names, types and defaults as they stand in a saved program.

Each operation's first case is saved in every opset, each further case in the newest one that it speaks of.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import numpy as np
import pytest

from mlpublish.coreml import evaluate
from tests.coreml.ops.case import Case
from tests.coreml.ops.every import all_cases
from tests.coreml.ops.saved import NOT_ALONE, build


def _runs() -> Iterator[tuple[Case, int]]:
    seen: set[tuple[str, int]] = set()
    for case in all_cases():
        opsets = () if case.op in NOT_ALONE or case.unsaved else case.spoken_of()
        for opset in opsets:
            if (case.op, opset) not in seen or opset == opsets[-1]:
                seen.add((case.op, opset))
                yield case, opset


RUNS = list(_runs())


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """coremltools collects garbage after each conversion; all that is alive now need not be looked through each time."""
    logging.getLogger("coremltools").setLevel(logging.CRITICAL)
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize(("case", "opset"), RUNS, ids=[f"{case}-iOS{opset}" for case, opset in RUNS])
def test_an_operation_in_a_file_gives_what_is_wanted(tmp_path, case, opset):
    path, given = build(case, opset, tmp_path)
    got = evaluate.load(path).predict(given)
    wanted = case.wanted(opset)
    got = tuple(value.reshape(np.shape(want)) for value, want in zip(got.values(), wanted, strict=True))
    case.compare(opset, got, wanted)
