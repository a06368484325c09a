"""Values of parameters that no handler takes are named before anything runs."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.coreml.mil_ops import OPS
from mlpublish.coreml.package import read, specification
from mlpublish.coreml.unknown import TAKEN, takes
from mlpublish.errors import ConversionError
from tests.coreml.ops.every import all_cases
from tests.coreml.ops.saved import build

CHANGES = [
    ("affine", "align_corners", False),
    ("affine", "sampling_mode", "nearest"),
    ("affine", "padding_mode", "border"),
    ("affine", "coordinates_mode", "unnormalized"),
    ("resample", "padding_mode", "wrapped"),
    ("conv_quantized", "quantization_type", "lut"),
]


def _case(op):
    return next(each for each in all_cases() if each.op == op and not each.unsaved)


def _set(value, new):
    tensor = value.immediateValue.tensor
    if isinstance(new, str):
        tensor.strings.values[:] = [new]
    else:
        tensor.bools.values[:] = [new]


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize(("op", "parameter", "new"), CHANGES)
def test_a_value_that_is_not_evaluated_is_named_before_anything_runs(ct, tmp_path, op, parameter, new, inline):
    path, _ = build(_case(op), 15, tmp_path)
    assert unsupported(path) == []
    spec = read(path)
    function = spec.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    (operation,) = (each for each in operations if each.type == op)
    (argument,) = operation.inputs[parameter].arguments
    (const,) = (each for each in operations if each.outputs[0].name == argument.name)
    if inline:
        argument.value.CopyFrom(const.attributes["val"])
    _set(argument.value if inline else const.attributes["val"], new)
    specification(path).write_bytes(spec.SerializeToString())
    told = f"{op}({parameter}={new})"
    assert unsupported(path) == [told]
    with pytest.raises(ConversionError) as refused:
        load(path)
    assert told in refused.value.problem


def test_no_value_of_a_case_is_refused():
    """What is tried is taken; the tables speak of operations and parameters that there are."""
    tried = set()
    for case in all_cases():
        for name, taken in TAKEN.get(case.op, {}).items():
            if name in case.given:
                assert takes(taken, case.given[name]), f"{case}: {name}"
                tried.add((case.op, name))
    assert tried == {(op, name) for op, names in TAKEN.items() for name in names}


@pytest.mark.parametrize(
    ("value", "taken"), [("bilinear", True), ("BILINEAR", True), ("nearest", False), (np.bool_(True), False)]
)
def test_texts_in_capitals_are_the_same(value, taken):
    assert takes(("bilinear",), value) is taken


def test_a_handler_names_the_parameter():
    x = np.zeros((1, 1, 2, 2), np.float32)
    modes = ("bilinear", "constant", np.float32(0), "normalized_minus_one_to_one", np.bool_(False))
    with pytest.raises(ValueError, match="align_corners=False"):
        OPS["affine"](x, np.zeros((1, 6), np.float32), 2, 2, *modes)
