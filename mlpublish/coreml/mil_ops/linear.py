"""Matrix products. Source: coremltools' MIL operation reference, ``linear`` and ``transformers``."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value, room, several
from mlpublish.coreml.mil_ops.windows import bounded


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x`` (…, in), ``weight`` (out, in), ``bias`` (out) -> (…, out)."""
    shape = linear_shape(x, weight, bias)
    flat = x.reshape(-1, x.shape[-1]) if x.size else x  # one product of two matrices is sooner than one per batch
    product = np.matmul(flat, weight.T)
    if bias is not None:
        product = product + bias
    return np.asarray(product).reshape(shape)


def linear_shape(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[int, ...]:
    """The shape of a ``linear``'s result.

    Raises:
        ValueError: its arguments do not fit each other, or the result has too many elements, or takes too long.
    """
    fits = x.ndim > 0 and weight.ndim == 2 and x.shape[-1] == weight.shape[1]
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError("x (…, in), weight (out, in) and bias (out) do not fit each other")
    shape = room(*x.shape[:-1], weight.shape[0])
    bounded(math.prod(shape) * weight.shape[1])
    return shape


def check_product(left: Tensor, right: Tensor) -> None:
    """Ask for the room that a product of matrices, or of batches of them, needs.

    Raises:
        ValueError: they do not fit each other, or the result has too many elements, or takes too long.
    """
    if left.ndim == 0 or right.ndim == 0 or left.shape[-1] != right.shape[-2 if right.ndim > 1 else -1]:
        raise ValueError(f"{left.shape} and {right.shape} cannot be multiplied")
    rows, columns = left.shape[-2:-1], right.shape[-1:] if right.ndim > 1 else ()
    shape = room(*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), *rows, *columns)
    bounded(math.prod(shape) * left.shape[-1])


def turned(x: Tensor, transposed: Tensor | bool) -> Tensor:
    """A matrix with its last two axes swapped; a vector has none to swap."""
    return np.swapaxes(x, -1, -2) if transposed and x.ndim > 1 else x


def _matmul(x: Tensor, y: Tensor, transpose_x: Tensor | bool = False, transpose_y: Tensor | bool = False) -> Tensor:
    """A vector on the left stands for one row, on the right for one column; that axis is left out of the result."""
    left, right = turned(x, transpose_x), turned(y, transpose_y)
    check_product(left, right)
    return np.asarray(np.matmul(left, right))


EQUATIONS = ("nchw,nwhu->nchu", "chw,whr->chr")
"""What ``einsum`` can be asked, whatever letters are used."""


def einsum_operands(values: Value, equation: str) -> tuple[Tensor, Tensor]:
    """The two tensors of an ``einsum``, as batches of matrices: the third axis from behind becomes the second.

    Raises:
        ValueError: the equation is none that MIL has, or the tensors do not fit it.
    """
    tensors = several(values)
    if _with_plain_letters(equation) not in {_with_plain_letters(each) for each in EQUATIONS}:
        raise ValueError(f"the equation {equation!r} is neither {' nor '.join(EQUATIONS)}")
    rank = len(equation.partition(",")[0].strip())
    if len(tensors) != 2 or any(each.ndim != rank for each in tensors):
        raise ValueError(f"the equation {equation!r} takes two tensors of rank {rank}")
    left, right = (np.swapaxes(each, -2, -3) for each in tensors)
    check_product(left, right)
    return left, right


def _with_plain_letters(equation: str) -> str:
    """Letters as numbers in the order of their first use, so that equations that mean the same look the same."""
    letters = dict.fromkeys(each for each in equation if each.isalpha())
    return equation.replace(" ", "").translate({ord(each): str(place) for place, each in enumerate(letters)})


def _einsum(values: Value, equation: str) -> Tensor:
    left, right = einsum_operands(values, equation)
    return np.swapaxes(np.matmul(left, right), -2, -3)


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """softmax(query · keyᵀ / √E + mask) · value; a mask of booleans tells which elements take part.

    A row that no element takes part in is NaN, as the formula says.
    """
    keys = np.swapaxes(key, -1, -2)
    check_product(query, keys)
    scores = np.matmul(query, keys) / np.float32(np.sqrt(query.shape[-1]))
    if attn_mask is not None:
        scores = scores + added_mask(attn_mask, scores.shape)
    powers = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    check_product(powers, value)
    return np.asarray(np.matmul(powers / np.sum(powers, axis=-1, keepdims=True), value))


def added_mask(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A mask as what is added to the scores.

    Raises:
        ValueError: it does not fit the scores' shape.
    """
    if np.broadcast_shapes(mask.shape, shape) != shape:
        raise ValueError(f"a mask of the shape {mask.shape} does not fit scores of the shape {shape}")
    return np.where(mask, np.float32(0), np.float32(-np.inf)) if mask.dtype == np.bool_ else mask


OPS: Mapping[str, Handler] = {
    "linear": _linear,
    "matmul": _matmul,
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
}
