"""Weights that are held compressed: the ``constexpr_*`` operations. Source: coremltools' MIL operation reference.

iOS16 packs indices and masks into vectors of bytes and tells the shape beside them; iOS18 has types below one byte and
tells blocks by the shapes alone. An operation's result may be another one's argument (a sparse tensor of indices into a
table that is quantised itself).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.elements import unpacked
from mlpublish.coreml.mil_ops.quantization import along
from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, ints, room

_INDEX_KINDS = {2: "UINT1", 4: "UINT2", 16: "UINT4", 64: "UINT6", 256: "UINT8"}
"""How many values a table of iOS16 may have -> the type of an index into it."""

_AT_ONCE = 1 << 16  # numpy makes an eight-byte place of each index that it looks up


def _affine_dequantize(quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: Tensor) -> Tensor:
    """``scale * (quantized_data - zero_point)``; both are one number, or one per place along ``axis``."""
    centred = quantized_data.astype(np.float32) - along(zero_point, quantized_data, axis).astype(np.float32)
    return np.multiply(centred, along(scale, quantized_data, axis), out=centred)


def _cast(source_val: Tensor) -> Tensor:
    """float16 to float32: nothing to do, see ``tensor.Tensor``."""
    return source_val


def _lut_to_dense_16(indices: Tensor, lut: Tensor, shape: Tensor) -> Tensor:
    """``lut`` is one table; ``indices`` are packed as tightly as its size allows."""
    if lut.ndim != 1 or len(lut) not in _INDEX_KINDS:
        raise ValueError(f"a table of the shape {lut.shape} is none of {', '.join(map(str, _INDEX_KINDS))} values")
    return _vectors(lut[:, np.newaxis], _unpacked(indices, _INDEX_KINDS[len(lut)], shape))[..., 0]


def _sparse_to_dense_16(nonzero_data: Tensor, mask: Tensor, shape: Tensor) -> Tensor:
    return _sparse_to_dense(nonzero_data, _unpacked(mask, "UINT1", shape))


def _blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    """``scale * (data - offset)``; each number of ``scale`` and ``offset`` speaks of one block of ``data``."""
    apart, block = _blocks(data.shape, scale.shape)
    centred = data.reshape(apart).astype(np.float32)
    if offset is not None:
        if offset.shape != scale.shape:
            raise ValueError(f"offset has the shape {offset.shape}, scale {scale.shape}")
        centred -= offset.reshape(block).astype(np.float32)
    return np.multiply(centred, scale.reshape(block), out=centred).reshape(data.shape)


def _lut_to_dense(indices: Tensor, lut: Tensor, vector_axis: Tensor | None = None) -> Tensor:
    """``lut`` (*tables, values, vector): an index names a vector of its block's table, which is laid along ``vector_axis``."""
    if lut.ndim != indices.ndim + 2 or not indices.ndim:
        raise ValueError(f"tables of the shape {lut.shape} do not fit indices of the shape {indices.shape}")
    *tables, values, vector = lut.shape
    axis = _vector_axis(vector_axis, indices.ndim, vector)
    shape = [size * vector if place == axis else size for place, size in enumerate(indices.shape)]
    room(*shape)
    if indices.size and int(indices.max()) >= values:
        raise ValueError(f"an index is beyond the table of {values} values")
    found = _vectors(lut.reshape(-1, vector), _places(indices, tuple(tables), values))
    return np.moveaxis(found, -1, axis + 1).reshape(shape)


def _sparse_to_dense(nonzero_data: Tensor, mask: Tensor) -> Tensor:
    """``mask`` is 1 where the next of ``nonzero_data`` stands, in the order of rows; elsewhere is 0."""
    filled = mask != 0
    if nonzero_data.ndim != 1 or len(nonzero_data) != np.count_nonzero(filled):
        raise ValueError(f"a mask of {np.count_nonzero(filled)} elements does not fit data of the shape {nonzero_data.shape}")
    dense = np.zeros(room(*mask.shape), nonzero_data.dtype)
    dense[filled] = nonzero_data
    return dense


def _lut_to_sparse(
    indices_mask: Tensor, indices_nonzero_data: Tensor, lut: Tensor, vector_axis: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The mask, as long as the vectors are along ``vector_axis``, and the values where it is 1."""
    dense = _lut_to_dense(_sparse_to_dense(indices_nonzero_data, indices_mask), lut, vector_axis)
    axis = _vector_axis(vector_axis, indices_mask.ndim, lut.shape[-1])
    mask = np.repeat(indices_mask, lut.shape[-1], axis=axis)
    return mask, dense[mask != 0]


def _sparse_blockwise_shift_scale(
    data_mask: Tensor, nonzero_data: Tensor, scale: Tensor, offset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The mask as it is, and the values where it is 1, each scaled by its block's number."""
    dense = _blockwise_shift_scale(_sparse_to_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask != 0]


def _unpacked(data: Tensor, kind: str, shape: Tensor) -> Tensor:
    sizes = room(*ints(shape))
    taken = math.prod(sizes) if kind == "UINT8" else -(-math.prod(sizes) * int(kind.removeprefix("UINT")) // 8)
    if data.dtype != np.uint8 or data.shape != (taken,):
        raise ValueError(f"{data.shape} bytes are not the packed elements of {sizes}")
    return data.reshape(sizes) if kind == "UINT8" else unpacked(data, kind, sizes)


def _blocks(whole: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """A shape with each dimension taken apart into (blocks, size of a block), and the blocks' own beside it."""
    if len(whole) != len(blocks) or not whole or any(not few or size % few for size, few in zip(whole, blocks, strict=True)):
        raise ValueError(f"blocks of the shape {blocks} do not divide the shape {whole}")
    apart = [part for size, few in zip(whole, blocks, strict=True) for part in (few, size // few)]
    return apart, [part for few in blocks for part in (few, 1)]


def _vector_axis(axis: Tensor | None, rank: int, vector: int) -> int:
    if axis is None and vector != 1:
        raise ValueError(f"vectors of {vector} values need vector_axis")
    where = -1 if axis is None else int(axis)
    if not -rank <= where < rank:
        raise ValueError(f"vector_axis {where} is none of {rank} axes")
    return where % rank


def _places(indices: Tensor, tables: tuple[int, ...], values: int) -> Tensor:
    """Where in all tables, one after the other, each index points to."""
    if math.prod(tables) == 1:
        return indices
    apart, block = _blocks(indices.shape, tables)
    first = np.arange(math.prod(tables), dtype=np.int32).reshape(block) * np.int32(values)
    places: Tensor = indices.reshape(apart) + first
    return places.reshape(indices.shape)


def _vectors(table: Tensor, places: Tensor) -> Tensor:
    """The row of ``table`` at each place, on a new last axis; the places are known to be in it."""
    flat, width = np.ascontiguousarray(places).reshape(-1), table.shape[1]
    found = np.empty((flat.size, width), table.dtype)
    for start in range(0, flat.size, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        np.take(table, flat[part], axis=0, out=found[part], mode="clip")
    return found.reshape(*places.shape, width)


OPS: Mapping[str, Handler] = {
    "constexpr_affine_dequantize": _affine_dequantize,
    "constexpr_cast": _cast,
    "constexpr_lut_to_dense": _lut_to_dense_16,
    "constexpr_sparse_to_dense": _sparse_to_dense_16,
    "constexpr_blockwise_shift_scale": _blockwise_shift_scale,
    "constexpr_lut_to_dense@18": _lut_to_dense,
    "constexpr_sparse_to_dense@18": _sparse_to_dense,
    "constexpr_lut_to_sparse": _lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": _sparse_blockwise_shift_scale,
}
