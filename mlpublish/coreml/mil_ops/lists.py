"""Lists of tensors. Source: coremltools' MIL operation reference, ``control_flow``.

An element that nobody wrote is zeros where the list says the elements' shape (coremltools' converter to neural networks makes
lists of zeros), and cannot be read where it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from mlpublish.coreml.mil_ops.tensor import Handler, Tensor, Value, room

MAX_LENGTH = 1 << 20
"""Of one list."""

_DTYPES = {"bool": np.bool_, "fp16": np.float32, "fp32": np.float32, "int32": np.int32}
_UNWRITTEN = np.zeros(0, np.bool_)  # known by identity
_UNWRITTEN.flags.writeable = False


class Listed(tuple[Tensor, ...]):
    """A list as a program has it; ``grows`` where a write beyond its end makes it longer."""

    grows: bool

    @classmethod
    def of(cls, values: Iterable[Tensor], *, grows: bool) -> Listed:
        """A list of these values.

        Raises:
            ValueError: it would be longer than ``MAX_LENGTH``, or hold more elements than one tensor may.
        """
        made = cls(values)
        if len(made) > MAX_LENGTH:
            raise ValueError(f"a list of {len(made)} values is not made: at most {MAX_LENGTH} are")
        made.grows = grows
        return made


def _make_list(
    elem_shape: Value,
    init_length: Tensor | int = 1,
    dynamic_length: Tensor | bool = True,
    dtype: str = "fp32",
) -> Value:
    """A size of ``elem_shape`` that is a text is known only when something is written."""
    length, sizes = int(init_length), elem_shape if isinstance(elem_shape, tuple) else (elem_shape,)
    if not 0 <= length <= MAX_LENGTH:
        raise ValueError(f"a list of {length} values is not made: at most {MAX_LENGTH} are")
    if dtype not in _DTYPES:
        raise ValueError(f"there are no lists of {dtype}")
    if any(isinstance(size, str | tuple) for size in sizes):
        first = _UNWRITTEN
    else:
        shape = [int(size) for part in sizes for size in np.asarray(part).reshape(-1)]
        room(length, *shape)
        first = np.zeros(shape, _DTYPES[dtype])
    return Listed.of([first] * length, grows=bool(dynamic_length))


def _list_length(ls: Value) -> Tensor:
    return np.asarray(len(_list(ls)), np.int32)


def _list_write(ls: Value, index: Tensor, value: Tensor) -> Value:
    return _written(_list(ls), [(int(index), value)])


def _list_scatter(ls: Value, indices: Tensor, value: Tensor) -> Value:
    """``value`` (updates, …): one element per index."""
    if value.ndim == 0 or len(value) != indices.size:
        raise ValueError(f"{indices.size} indices for values of the shape {value.shape}")
    return _written(_list(ls), zip((int(each) for each in indices.reshape(-1)), value, strict=True))


def _list_read(ls: Value, index: Tensor) -> Tensor:
    return _element(_list(ls), int(index))


def _list_gather(ls: Value, indices: Tensor) -> Tensor:
    """The elements at the indices, along a new first axis."""
    held = _list(ls)
    found = [_element(held, int(each)) for each in indices.reshape(-1)]
    if not found:
        known = held[0].shape if held and held[0] is not _UNWRITTEN else ()
        return np.zeros((0, *known), held[0].dtype if held else np.float32)
    room(len(found), *found[0].shape)
    return np.stack(found)


def _written(ls: Listed, writes: Iterable[tuple[int, Tensor]]) -> Listed:
    values = list(ls)
    for index, value in writes:
        if index < 0 or (index >= len(values) and not ls.grows) or index >= MAX_LENGTH:
            raise ValueError(f"there is no element {index} in a list of {len(values)}")
        shape = next((each.shape for each in values[:1] if each is not _UNWRITTEN), np.shape(value))
        if np.shape(value) != shape:
            raise ValueError(f"a value of the shape {np.shape(value)} does not fit into a list of {shape}")
        if index >= len(values):
            room(index + 1, *shape)
            filler = np.zeros_like(values[0]) if values and values[0] is not _UNWRITTEN else _UNWRITTEN
            values.extend([filler] * (index + 1 - len(values)))
        values[index] = np.array(value)  # a part of a large tensor does not keep the whole
    return Listed.of(values, grows=ls.grows)


def _element(ls: Listed, index: int) -> Tensor:
    if not 0 <= index < len(ls):
        raise ValueError(f"there is no element {index} in a list of {len(ls)}")
    if ls[index] is _UNWRITTEN:
        raise ValueError(f"element {index} is read before anything is written there")
    return ls[index]


def _list(ls: Value) -> Listed:
    if not isinstance(ls, Listed):
        raise ValueError("its argument is no list")  # noqa: TRY004  # the file's fault, not the caller's
    return ls


OPS: Mapping[str, Handler] = {
    "make_list": _make_list,
    "list_length": _list_length,
    "list_write": _list_write,
    "list_read": _list_read,
    "list_gather": _list_gather,
    "list_scatter": _list_scatter,
}
