"""Compressed weights, held against loops over single elements written from the operations' documentation.

coremltools' own decompression is a second judge in ``test_compressed.py``; saved packages are in ``test_compression.py``.
"""

from __future__ import annotations

import numpy as np

from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers

N = Numbers(16)
SINCE_18 = (18, 26)
BEFORE_18 = (16, 17)


def _bits(data, width, count):
    """Numbers of ``width`` bits, out of bytes that hold them lowest bit first."""
    whole = int.from_bytes(bytes(data), "little")
    return [(whole >> (width * place)) & (2**width - 1) for place in range(count)]


def _packed(numbers, width):
    whole = sum(int(number) << (width * place) for place, number in enumerate(numbers))
    return np.frombuffer(whole.to_bytes(-(-width * len(numbers) // 8), "little"), np.uint8)


def _block(at, whole, blocks):
    """The block that an element lies in: each dimension is divided evenly."""
    return tuple(place // (size // few) for place, size, few in zip(at, whole, blocks, strict=True))


def affine(quantized_data, zero_point, scale, axis):
    out = np.zeros(quantized_data.shape, np.float32)
    for at in np.ndindex(*out.shape):
        zero = zero_point if np.ndim(zero_point) == 0 else zero_point[at[int(axis)]]
        factor = scale if np.ndim(scale) == 0 else scale[at[int(axis)]]
        out[at] = float(factor) * (float(quantized_data[at]) - float(zero))
    return out


def lut_16(indices, lut, shape):
    width = len(lut).bit_length() - 1
    return np.asarray([lut[each] for each in _bits(indices, width, int(np.prod(shape)))], lut.dtype).reshape(shape)


def sparse_16(nonzero_data, mask, shape):
    waiting = list(nonzero_data)
    flat = [waiting.pop(0) if bit else 0 for bit in _bits(mask, 1, int(np.prod(shape)))]
    return np.asarray(flat, nonzero_data.dtype).reshape(shape)


def shift_scale(data, scale, offset=None):
    out = np.zeros(data.shape, np.float32)
    for at in np.ndindex(*data.shape):
        block = _block(at, data.shape, scale.shape)
        out[at] = float(scale[block]) * (float(data[at]) - (0.0 if offset is None else float(offset[block])))
    return out


def lut_18(indices, lut, vector_axis=None):
    axis = 0 if vector_axis is None else int(vector_axis) % indices.ndim
    vector = lut.shape[-1]
    out = np.zeros([size * (vector if place == axis else 1) for place, size in enumerate(indices.shape)], lut.dtype)
    for at in np.ndindex(*indices.shape):
        for place in range(vector):
            to = (*at[:axis], at[axis] * vector + place, *at[axis + 1 :])
            out[to] = lut[(*_block(at, indices.shape, lut.shape[:-2]), int(indices[at]), place)]
    return out


def sparse_18(nonzero_data, mask):
    waiting = list(nonzero_data)
    out = np.zeros(mask.shape, nonzero_data.dtype)
    for at in np.ndindex(*mask.shape):
        if mask[at]:
            out[at] = waiting.pop(0)
    return out


def lut_to_sparse(indices_mask, indices_nonzero_data, lut, vector_axis=None):
    dense = lut_18(sparse_18(indices_nonzero_data, indices_mask), lut, vector_axis)
    mask = np.zeros(dense.shape, np.uint8)
    for at in np.ndindex(*dense.shape):
        mask[at] = indices_mask[
            tuple(place * few // size for place, size, few in zip(at, dense.shape, indices_mask.shape, strict=True))
        ]
    return mask, np.asarray([dense[at] for at in np.ndindex(*dense.shape) if mask[at]], lut.dtype)


def sparse_shift_scale(data_mask, nonzero_data, scale, offset=None):
    dense = shift_scale(sparse_18(nonzero_data, data_mask), scale, offset)
    return data_mask, np.asarray([dense[at] for at in np.ndindex(*dense.shape) if data_mask[at]], np.float32)


def _mask(*shape):
    return _narrow(N.below(3, *shape) == 0, 1)


def _narrow(values, width):
    """Numbers of so many bits, in the numpy type by which coremltools knows that they are."""
    from coremltools.converters.mil.mil import types

    return values.astype(types.nptype_from_builtin(types.string_to_builtin(f"uint{width}")))


def _u8(limit, *shape):
    return N.below(limit, *shape).astype(np.uint8)


def _i8(*shape):
    return (N.below(256, *shape) - 128).astype(np.int8)


def _affine(data, zero_point, scale, axis, note):
    given = {"quantized_data": data, "zero_point": zero_point, "scale": scale, "axis": np.asarray(axis, np.int32)}
    return Case(op="constexpr_affine_dequantize", given=given, want=affine, note=note)


def _lut_16(width, table, *shape):
    given = {
        "indices": _packed(N.below(2**width, int(np.prod(shape))), width),
        "lut": table,
        "shape": np.asarray(shape, np.uint32),
    }
    note = f"{width} bits, {table.dtype}, {shape}"
    return Case(op="constexpr_lut_to_dense", given=given, want=lut_16, opsets=BEFORE_18, note=note)


def _sparse_16(filled, *shape):
    bits = np.asarray([place in filled for place in range(int(np.prod(shape)))])
    given = {"nonzero_data": N.f(len(filled)), "mask": _packed(bits, 1), "shape": np.asarray(shape, np.uint32)}
    return Case(op="constexpr_sparse_to_dense", given=given, want=sparse_16, opsets=BEFORE_18, note=f"{len(filled)} of {shape}")


def _shift_scale(data, *blocks, offset=None, note=""):
    given = {"data": data, "scale": N.positive(*blocks)} | ({} if offset is None else {"offset": offset})
    note = note or f"{data.dtype} {data.shape} in {blocks}"
    return Case(op="constexpr_blockwise_shift_scale", given=given, want=shift_scale, note=note)


def _lut_18(shape, tables, width, vector=1, axis=None, table=None):
    lut = N.f(*tables, 2**width, vector) if table is None else table
    given = {"indices": _narrow(N.below(2**width, *shape), width), "lut": lut} | (
        {} if axis is None else {"vector_axis": np.asarray(axis, np.int32)}
    )
    note = f"{width} bits, {shape} in {tables}, vectors of {vector} along {axis}, {lut.dtype}"
    return Case(op="constexpr_lut_to_dense", given=given, want=lut_18, opsets=SINCE_18, note=note)


def _sparse_18(mask, dtype):
    given = {"nonzero_data": N.below(8, int(mask.sum())).astype(dtype), "mask": mask}
    note = f"{dtype.__name__} {mask.shape}"
    return Case(op="constexpr_sparse_to_dense", given=given, want=sparse_18, opsets=SINCE_18, note=note)


def _lut_to_sparse(shape, tables, width, vector=1, axis=None):
    mask = _mask(*shape)
    given = {
        "indices_mask": mask,
        "indices_nonzero_data": _narrow(N.below(2**width, int(mask.sum())), width),
        "lut": N.f(*tables, 2**width, vector),
    }
    given |= {} if axis is None else {"vector_axis": np.asarray(axis, np.int32)}
    return Case(
        op="constexpr_lut_to_sparse",
        given=given,
        want=lut_to_sparse,
        unsaved=HANDED_ON,
        note=f"{shape}, vectors of {vector} along {axis}",
    )


def _sparse_shift_scale(shape, blocks, offset=None):
    mask = _mask(*shape)
    given = {"data_mask": mask, "nonzero_data": _i8(int(mask.sum())), "scale": N.positive(*blocks)}
    given |= {} if offset is None else {"offset": offset}
    note = f"{shape} in {blocks}"
    return Case(op="constexpr_sparse_blockwise_shift_scale", given=given, want=sparse_shift_scale, unsaved=HANDED_ON, note=note)


HANDED_ON = "a mask of one bit is no result of a model; tests/coreml/test_compression.py has it between two operations"
DOC_MASK = _narrow(np.asarray([[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1], [0, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0]]), 1)
DOC_INDICES = _narrow(np.asarray([0, 1, 1, 0, 1, 1, 0, 0, 1]), 1)

CASES = [
    _affine(_u8(256, 3, 4), np.uint8(128), np.float32(0.1), 0, "uint8, one scale"),
    _affine(_i8(3, 4), np.int8(-128), np.float32(0.03), 0, "int8, one scale"),
    _affine(_i8(3, 4, 2), _i8(4), N.positive(4), 1, "int8, along 1"),
    _affine(_u8(256, 2, 3, 4, 5), _u8(256, 5), N.positive(5), -1, "uint8, along -1"),
    _affine(_u8(256, 3, 2), np.float32(12.25), N.positive(3), 0, "a zero point that is no whole number"),
    _affine(_i8(3, 2), _i8(3), np.float32(0.5), -2, "one scale, several zero points"),
    _affine(_i8(1), np.int8(3), N.positive(1), 0, "one element"),
    Case(
        op="constexpr_cast",
        given={"source_val": np.asarray([1.5, -2, 6e4], np.float16).astype(np.float32), "output_dtype": "fp32"},
        want=lambda source_val, output_dtype: source_val,
        unsaved="its argument is float16, which a case gives as float32",
    ),
    _lut_16(1, N.f(2), 3, 5),
    _lut_16(2, N.f(4), 5),
    _lut_16(4, N.f(16), 3, 3, 1),
    _lut_16(4, _i8(16), 2, 8),
    _lut_16(6, N.f(64), 7),
    _lut_16(6, _u8(256, 64), 4, 2, 2),
    _lut_16(8, N.f(256), 2, 3),
    _sparse_16((0, 3, 4), 5),
    _sparse_16((), 2, 4),
    _sparse_16(tuple(range(9)), 3, 3),
    _sparse_16((1, 2, 16), 1, 17),
    _shift_scale(_i8(4, 6), 1, 1),
    _shift_scale(_i8(4, 6), 4, 1),
    _shift_scale(_i8(4, 6), 4, 3, offset=_i8(4, 3), note="int8, blocks with offset"),
    _shift_scale(_u8(256, 4, 6), 2, 6, offset=_u8(256, 2, 6), note="uint8, blocks with offset"),
    _shift_scale(_u8(16, 4, 6), 4, 3, offset=N.f(4, 3), note="uint4, an offset that is no whole number"),
    _shift_scale(N.f(4, 6), 4, 2, note="floats"),
    _shift_scale(_i8(2, 4, 3, 3), 2, 2, 1, 3),
    _shift_scale(_i8(6), 3),
    _lut_18((6, 2), (2, 1), 2),
    _lut_18((6, 2), (1, 1), 1),
    _lut_18((4, 6), (1, 3), 3),
    _lut_18((4, 6), (2, 3), 4),
    _lut_18((4, 2, 3, 3), (2, 1, 1, 1), 6),
    _lut_18((300,), (1,), 8),
    _lut_18((4, 6), (1, 1), 2, table=_i8(1, 1, 4, 1)),
    _lut_18((4, 6), (1, 1), 2, axis=1),
    _lut_18((2, 2, 2), (1, 1, 1), 1, 3, 1, _i8(1, 1, 1, 2, 3)),
    _lut_18((2, 2, 2), (1, 1, 1), 1, 3, 2),
    _lut_18((2, 2, 2), (1, 1, 1), 1, 3, -3),
    _lut_18((4, 6), (4, 1), 2, 2, 0),
    _lut_18((4, 6), (2, 3), 3, 4, -1),
    _lut_18((4, 2, 3, 3), (2, 1, 1, 1), 4, 2, 0),
    _sparse_18(_mask(4, 5), np.int8),
    _sparse_18(_mask(3, 2, 2, 2), np.float32),
    _sparse_18(_narrow(np.zeros((2, 3)), 1), np.uint8),
    _sparse_18(_narrow(np.ones(7), 1), np.float32),
    Case(
        op="constexpr_lut_to_sparse",
        given={"indices_mask": DOC_MASK, "indices_nonzero_data": DOC_INDICES, "lut": np.asarray([[[[2], [3]]]], np.float32)},
        want=lambda **_: (DOC_MASK, np.asarray([2, 3, 3, 2, 3, 3, 2, 2, 3], np.float32)),
        note="the documentation's example",
        unsaved=HANDED_ON,
    ),
    Case(
        op="constexpr_lut_to_sparse",
        given={
            "indices_mask": DOC_MASK,
            "indices_nonzero_data": DOC_INDICES,
            "lut": np.asarray([[[[2, 2], [3, 3]]]], np.float32),
            "vector_axis": np.asarray(0, np.int32),
        },
        want=lambda **_: (
            np.asarray([row for row in DOC_MASK for _ in range(2)], np.uint8),
            np.asarray([2, 3, 2, 3, 3, 2, 3, 3, 2, 3, 3, 2, 2, 3, 2, 2, 3, 3], np.float32),
        ),
        note="the documentation's example with vectors",
        unsaved=HANDED_ON,
    ),
    _lut_to_sparse((4, 6), (2, 1), 2),
    _lut_to_sparse((4, 6), (2, 3), 2, 3, -1),
    _lut_to_sparse((4, 2, 3, 3), (1, 1, 1, 1), 4, 2, 0),
    _lut_to_sparse((4, 6), (1, 1), 1, axis=0),
    Case(
        op="constexpr_sparse_blockwise_shift_scale",
        given={
            "data_mask": _narrow(np.asarray([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]]), 1),
            "nonzero_data": np.asarray([10, 11, 3, 4, 5, 6, 7, 8, 9], np.int8),
            "scale": np.asarray([[0.1, 0.2, 0.3, 0.4]], np.float32),
            "offset": np.asarray([[1, 2, 3, 4]], np.int8),
        },
        want=lambda data_mask, **_: (data_mask, np.asarray([0.9, 1.8, 0.2, 0.4, 0.6, 0.9, 1.2, 0.7, 1.4], np.float32)),
        note="the documentation's example",
        unsaved=HANDED_ON,
    ),
    _sparse_shift_scale((4, 6), (1, 1)),
    _sparse_shift_scale((4, 6), (4, 3), _i8(4, 3)),
    _sparse_shift_scale((4, 2, 3), (2, 1, 3), N.f(2, 1, 3)),
    Case(
        op="constexpr_sparse_to_dense",
        given={"nonzero_data": N.f(0), "mask": _narrow(np.zeros((0, 3)), 1)},
        want=sparse_18,
        opsets=SINCE_18,
        note="nothing at all",
    ),
]
