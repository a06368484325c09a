"""Compressed weights against coremltools' own decompression, and arguments that do not fit each other."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml.mil_ops import handler_of
from tests.coreml.ops.case import versions
from tests.coreml.ops.every import all_cases

CASES = [case for case in all_cases() if case.op.startswith("constexpr_") and case.op != "constexpr_cast"]
U8, I8, F32, U32 = np.uint8, np.int8, np.float32, np.uint32


def _judged(opset, case):
    """What coremltools' class of the operation makes of the case."""
    given = {name: np.asarray(value) for name, value in case.given.items()}
    return versions(case.op)[opset].decompress(**dict.fromkeys(_parameters(opset, case.op)) | given)


def _parameters(opset, op):
    optional = {"constexpr_blockwise_shift_scale": ["offset"], "constexpr_sparse_blockwise_shift_scale": ["offset"]}
    return optional.get(op, ["vector_axis"] if "lut" in op and opset >= 18 else [])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_coremltools_decompresses_to_the_same(ct, case):
    opset = case.spoken_of()[-1]
    wanted = _judged(opset, case)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for ours, theirs in zip(case.got(opset, _ours()), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def _ours():
    from mlpublish.coreml.mil_ops import OPS

    return OPS


def _a(dtype, *shape):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("op", "opset", "given"),
    [
        (
            "constexpr_affine_dequantize",
            16,
            {"quantized_data": _a(I8, 2, 3), "zero_point": _a(I8), "scale": _a(F32, 2), "axis": 1},
        ),
        (
            "constexpr_affine_dequantize",
            16,
            {"quantized_data": _a(I8, 2), "zero_point": _a(I8), "scale": _a(F32, 2), "axis": 1},
        ),
        (
            "constexpr_affine_dequantize",
            16,
            {"quantized_data": _a(I8, 2), "zero_point": _a(I8, 1, 2), "scale": _a(F32), "axis": 0},
        ),
        ("constexpr_lut_to_dense", 16, {"indices": _a(U8, 1), "lut": _a(F32, 8), "shape": _a(U32, 1)}),
        ("constexpr_lut_to_dense", 16, {"indices": _a(U8, 1), "lut": _a(F32, 2, 1), "shape": _a(U32, 1)}),
        ("constexpr_lut_to_dense", 16, {"indices": _a(U8, 2), "lut": _a(F32, 2), "shape": _a(U32, 1)}),
        ("constexpr_lut_to_dense", 16, {"indices": _a(U8, 1, 1), "lut": _a(F32, 2), "shape": _a(U32, 1)}),
        ("constexpr_lut_to_dense", 16, {"indices": _a(F32, 1), "lut": _a(F32, 2), "shape": _a(U32, 1)}),
        ("constexpr_lut_to_dense", 16, {"indices": _a(U8, 1), "lut": _a(F32, 2), "shape": np.asarray([2**31, 2**31], U32)}),
        ("constexpr_lut_to_dense", 16, {"indices": _a(U8, 0), "lut": _a(F32, 256), "shape": np.asarray([2**30], np.int64)}),
        ("constexpr_lut_to_dense", 16, {"indices": _a(U8, 0), "lut": _a(F32, 256), "shape": np.asarray([-1], np.int64)}),
        ("constexpr_sparse_to_dense", 16, {"nonzero_data": _a(F32, 2), "mask": _a(U8, 1), "shape": _a(U32, 1)}),
        ("constexpr_sparse_to_dense", 16, {"nonzero_data": _a(F32, 1), "mask": _a(U8, 2), "shape": _a(U32, 1)}),
        (
            "constexpr_sparse_to_dense",
            16,
            {"nonzero_data": _a(F32, 0), "mask": _a(U8, 0), "shape": np.asarray([2**31 - 1], U32)},
        ),
        ("constexpr_blockwise_shift_scale", 18, {"data": _a(I8, 4, 6), "scale": _a(F32, 3, 1)}),
        ("constexpr_blockwise_shift_scale", 18, {"data": _a(I8, 4, 6), "scale": _a(F32, 4)}),
        ("constexpr_blockwise_shift_scale", 18, {"data": _a(I8, 4, 6), "scale": _a(F32, 0, 1)}),
        ("constexpr_blockwise_shift_scale", 18, {"data": _a(I8, 4, 6), "scale": _a(F32, 8, 1)}),
        ("constexpr_blockwise_shift_scale", 18, {"data": _a(I8, 4, 6), "scale": _a(F32, 2, 1), "offset": _a(I8, 1, 1)}),
        ("constexpr_blockwise_shift_scale", 18, {"data": _a(I8), "scale": _a(F32)}),
        ("constexpr_lut_to_dense", 18, {"indices": _a(U8, 2, 2) * U8(2), "lut": _a(F32, 1, 1, 2, 1)}),
        ("constexpr_lut_to_dense", 18, {"indices": _a(U8, 2, 2), "lut": _a(F32, 1, 2, 1)}),
        ("constexpr_lut_to_dense", 18, {"indices": _a(U8, 2, 2), "lut": _a(F32, 3, 1, 2, 1)}),
        ("constexpr_lut_to_dense", 18, {"indices": _a(U8, 2, 2), "lut": _a(F32, 1, 1, 2, 2)}),
        ("constexpr_lut_to_dense", 18, {"indices": _a(U8, 2, 2), "lut": _a(F32, 1, 1, 2, 2), "vector_axis": 2}),
        ("constexpr_lut_to_dense", 18, {"indices": _a(U8, 2, 2), "lut": _a(F32, 1, 1, 2, 0), "vector_axis": 1}),
        ("constexpr_lut_to_dense", 18, {"indices": _a(U8), "lut": _a(F32, 2, 1)}),
        ("constexpr_lut_to_dense", 18, {"indices": _a(U8, 2**15), "lut": _a(F32, 1, 2, 2**14), "vector_axis": 0}),
        ("constexpr_sparse_to_dense", 18, {"nonzero_data": _a(F32, 3), "mask": _a(U8, 2, 2)}),
        ("constexpr_sparse_to_dense", 18, {"nonzero_data": _a(F32, 2, 2), "mask": _a(U8, 2, 2)}),
        (
            "constexpr_lut_to_sparse",
            18,
            {"indices_mask": _a(U8, 2), "indices_nonzero_data": _a(U8, 1), "lut": _a(F32, 1, 2, 1)},
        ),
        (
            "constexpr_lut_to_sparse",
            18,
            {"indices_mask": _a(U8, 2), "indices_nonzero_data": _a(U8, 2), "lut": _a(F32, 1, 1, 1)},
        ),
        (
            "constexpr_sparse_blockwise_shift_scale",
            18,
            {"data_mask": _a(U8, 2), "nonzero_data": _a(I8, 1), "scale": _a(F32, 1)},
        ),
        ("quantize", 17, {"input": _a(F32, 2), "scale": _a(F32), "output_dtype": "int4"}),
        ("quantize", 17, {"input": _a(F32, 2), "scale": _a(F32, 2), "output_dtype": "int8"}),
        ("quantize", 17, {"input": _a(F32, 2), "scale": _a(F32, 3), "output_dtype": "int8", "axis": 0}),
        ("dequantize", 17, {"input": _a(I8, 2), "scale": _a(F32, 2), "axis": 1}),
        ("dequantize", 17, {"input": _a(I8, 2), "scale": _a(F32), "zero_point": _a(I8, 1, 1), "axis": 0}),
    ],
)
def test_arguments_that_do_not_fit_are_refused(op, opset, given):
    with pytest.raises(ValueError, match=r"."):
        handler_of(op, opset)(**{name: np.asarray(value) if isinstance(value, int) else value for name, value in given.items()})
