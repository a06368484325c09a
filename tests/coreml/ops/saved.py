"""A case as a real file: one operation in a program, written by coremltools, nothing folded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.coreml.ops.case import Case, versions

_MASKS = "a mask of single bits, which no model hands out, is one of its results; tests/coreml/test_compression.py has one"
NOT_ALONE: Mapping[str, str] = {
    "classify": "its results need a classifier's description; tests/coreml/test_interface.py has one",
    "constexpr_lut_to_sparse": _MASKS,
    "constexpr_sparse_blockwise_shift_scale": _MASKS,
}
"""Operations that no program consists of alone, each with the place where they are tried in a file."""

_FROM_OUTSIDE = {"f": np.float32, "i": np.int32, "u": np.int32, "b": np.int32}
"""Kind of number -> the type in which a model can take it."""


def build(case: Case, opset: int, folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """Write the model.

    Returns:
        Its path, and what to give it.
    """
    import coremltools as ct

    outside = {f"in_{name}": _taken(case.given[name]) for name in _inputs(case, opset)}
    given = outside or {"nothing": np.zeros(1, np.float32)}  # a model has an input
    model = ct.convert(
        _program(case, opset, given),
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, f"iOS{opset}"),
        compute_precision=ct.precision.FLOAT32,
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )
    path = folder / f"{case.op}.mlpackage"
    model.save(str(path))
    return path, given


def _program(case: Case, opset: int, given: Mapping[str, np.ndarray]) -> Any:
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import Function, Program

    taken = {name: mb.placeholder(shape=each.shape, dtype=_builtin(each)) for name, each in given.items()}
    with Function(taken, opset_version=getattr(ct.target, f"iOS{opset}")) as function:
        function.set_outputs(list(_body(mb, case, function.inputs)))
    program = Program()
    program.add_function("main", function)
    return program


def _inputs(case: Case, opset: int) -> list[str]:
    """The arguments that come from outside: by default the first that may."""
    kinds = versions(case.op)[opset].input_spec.input_types
    able = [name for name, value in case.given.items() if _is_able(value) and not kinds[name].const]
    if "constexpr" in case.op:  # all of its arguments are weights
        return []
    return [name for name in case.inputs if name in able] or able[:1]


def _is_able(value: Any) -> bool:
    return isinstance(value, np.ndarray) and 1 <= value.ndim <= 5 and value.size > 0 and value.dtype.kind in _FROM_OUTSIDE


def _taken(value: np.ndarray) -> np.ndarray:
    return value.astype(_FROM_OUTSIDE[value.dtype.kind])


def _builtin(value: np.ndarray) -> Any:
    from coremltools.converters.mil.mil import types

    return types.numpy_type_to_builtin_type(value.dtype)


def _body(mb: Any, case: Case, inputs: Mapping[str, Any]) -> Any:
    arguments = {name: _constant(value) for name, value in case.given.items()}
    for name, value in case.given.items():
        if f"in_{name}" in inputs:
            came, kind = inputs[f"in_{name}"], value.dtype
            arguments[name] = came if _FROM_OUTSIDE[kind.kind] == kind else mb.cast(x=came, dtype=_name(kind))
    results = getattr(mb, case.op)(**arguments)
    return tuple(_shown(mb, each) for each in (results if isinstance(results, tuple | list) else (results,)))


def _name(kind: np.dtype) -> str:
    return {"float16": "fp16", "float32": "fp32"}.get(kind.name, kind.name)


def _constant(value: Any) -> Any:
    """An argument as coremltools' builder takes a constant."""
    if isinstance(value, tuple):
        return tuple(_constant(each) for each in value)
    if isinstance(value, np.ndarray) and value.dtype in (np.int64, np.float64):
        return value.astype(np.int32 if value.dtype == np.int64 else np.float32)
    return value.copy() if isinstance(value, np.ndarray) else value


def _shown(mb: Any, result: Any) -> Any:
    """A result as a model can hand it out: float32, float16 or int32, of rank 1 or more."""
    from coremltools.converters.mil.mil import types

    if result.dtype not in (types.fp32, types.fp16, types.int32):
        result = mb.cast(x=result, dtype="int32")
    return mb.expand_dims(x=result, axes=[0]) if result.rank == 0 else mb.identity(x=result)
