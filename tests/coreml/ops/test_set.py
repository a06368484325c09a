"""The set of operations is whole: each is run, or excluded for a reason that stands in ``mil_ops``; each is tried."""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from pathlib import Path

import pytest

from mlpublish.coreml.mil_ops import COVERED, EXCLUDED, IN_PROGRAM, OPS, OPSETS, handler_of
from tests.coreml.ops.case import known_operations, versions
from tests.coreml.ops.every import all_cases

HERE = Path(__file__).parent
IN_PROGRAMS = {name: "test_program_control.py" for name in OPS if "list" in name}
"""Operations on what only a program can hold, and the test that has such programs."""


def test_every_operation_of_coremltools_is_run_or_excluded_for_a_reason():
    run = {name.partition("@")[0] for name in OPS}
    assert run | IN_PROGRAM | set(EXCLUDED) >= known_operations()
    assert run | set(EXCLUDED) <= known_operations()
    assert not run & set(EXCLUDED)
    assert not IN_PROGRAM & set(EXCLUDED)
    assert all(EXCLUDED.values())


def test_every_handler_is_tried_in_every_opset_that_it_serves():
    tried = {(handler_of(case.op, opset), opset) for case in all_cases() for opset in case.spoken_of()}
    alone = {name.partition("@")[0] for name in OPS} - set(IN_PROGRAMS)
    served = {(handler_of(op, opset), opset): op for op in alone for opset in versions(op)}
    assert sorted(f"{op} in iOS{opset}" for (run, opset), op in served.items() if (run, opset) not in tried) == []


@pytest.mark.parametrize("name", sorted(IN_PROGRAMS))
def test_what_no_case_can_hold_is_tried_in_a_program(name):
    assert f"mb.{name}(" in (HERE.parent / IN_PROGRAMS[name]).read_text()


@pytest.mark.parametrize("name", sorted(OPS))
def test_a_handler_takes_the_parameters_that_coremltools_declares(name):
    op = name.partition("@")[0]
    served = [version for opset, version in versions(op).items() if handler_of(op, opset) is OPS[name]]
    assert served, f"no opset has {name}"
    kinds = [version.input_spec.input_types for version in served]
    declared = {parameter for each in kinds for parameter in each}
    ours = inspect.signature(OPS[name]).parameters
    assert set(ours) | COVERED >= declared
    assert set(ours) <= declared
    for parameter in ours:
        required = all(parameter in each and not each[parameter].optional for each in kinds)
        assert (ours[parameter].default is inspect.Parameter.empty) == required, parameter


def test_torchs_handlers_take_what_numpys_take():
    if find_spec("torch") is None:
        pytest.skip("needs torch: pip install 'mlpublish[torch]'")
    from mlpublish.coreml.mil_torch.every import OPS as BY_TORCH

    assert set(BY_TORCH) <= set(OPS)
    for name, handler in BY_TORCH.items():
        assert list(inspect.signature(handler).parameters) == list(inspect.signature(OPS[name]).parameters), name


def test_every_opset_of_coremltools_has_its_name():
    from coremltools import target

    assert {opset.name for opset in target if opset.name.startswith("iOS") and opset.value >= target.iOS15.value} == {
        f"iOS{opset}" for opset in OPSETS.values()
    }
