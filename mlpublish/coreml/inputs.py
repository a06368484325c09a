"""What a caller gives, as the model's interface wants it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.classic.stage import Rows
from mlpublish.coreml.images import image_row, image_rows, is_picture
from mlpublish.coreml.mil_ops.tensor import room
from mlpublish.errors import ConversionError, FormatError
from mlpublish.formats.interface import Feature, Interface

_Array = NDArray[np.generic]


def unsupported(interface: Interface) -> list[str]:
    """What of an interface cannot be given from outside; in alphabetical order, empty if nothing."""
    return sorted(f"sequence input {each.name}" for each in interface.inputs if each.kind in ("sequence", "state"))


def as_rows(features: tuple[Feature, ...], inputs: Mapping[str, Any]) -> Rows:
    """The inputs as the interface wants them: every feature, in its type, its first axis the row.

    Args:
        inputs: feature -> rows: numbers (rows, …), each row in one of the feature's shapes, with or without a leading 1, a
            single number also without any axis; texts (rows,); dictionaries as a list of them; images as ``image_rows`` takes
            them. Optional inputs may be left out.

    Returns:
        Feature -> arrays (rows, *shape); int64 and double (rows,); texts (rows,); dictionaries as objects (rows,); images
        (rows, 1, channels, height, width) in float32. What is left out is filled with its default; without one it is left out
        here too, and missing to the model.

    Raises:
        ConversionError: an input is missing or unknown, or does not fit; the numbers are named.
    """
    given = _known(features, inputs)
    return _complete(features, {each.name: _feature_rows(each, inputs[each.name]) for each in given})


def as_one_row(features: tuple[Feature, ...], inputs: Mapping[str, Any]) -> Rows:
    """One set of inputs, in the shapes of the interface, as the one row that ``as_rows`` would make of it.

    Raises:
        ConversionError: as ``as_rows``.
    """
    given = _known(features, inputs)
    return _complete(features, {each.name: _feature_row(each, inputs[each.name]) for each in given})


def _known(features: tuple[Feature, ...], inputs: Mapping[str, Any]) -> list[Feature]:
    """The features that are given; the others may be left out."""
    if not isinstance(inputs, Mapping):
        raise ConversionError(
            f"The inputs are {type(inputs).__name__}, not a mapping of names.", remedy="Give {name: array}.", field="samples"
        )
    names = [each.name for each in features]
    needed = {each.name for each in features if not each.optional}
    if not needed <= set(inputs) <= set(names):
        free = ", ".join(name for name in names if name not in needed)
        raise ConversionError(
            f"The model's inputs are {', '.join(names) or 'none'}; given are {', '.join(sorted(map(str, inputs))) or 'none'}.",
            remedy=f"Give exactly the model's inputs; {free} may be left out." if free else "Give exactly the model's inputs.",
            field="samples",
        )
    return [each for each in features if each.name in inputs]


def _complete(features: tuple[Feature, ...], rows: Rows) -> Rows:
    filled = [each for each in features if each.name not in rows and each.default is not None]
    counts = {len(value) for value in rows.values()} or {1 if filled else 0}
    if len(counts) != 1 or 0 in counts:
        raise ConversionError(f"The inputs have {sorted(counts)} rows.", remedy="Give each one or more.", field="samples")
    (count,) = counts
    return rows | {each.name: _default(each, count) for each in filled}


def _default(feature: Feature, count: int) -> _Array:
    """An optional array that is left out (FeatureTypes.proto, ``defaultOptionalValue``)."""
    try:
        return np.full(room(count, *feature.shape), feature.default, dtype=feature.dtype)
    except (ValueError, OverflowError) as exc:
        raise FormatError(
            f"The input {feature.name!r} cannot be filled with its default: {exc}.",
            remedy="Give the input, or get the model again from where it was made.",
            field=feature.name,
        ) from exc


def _feature_rows(feature: Feature, values: Any) -> _Array:
    match feature.kind:
        case "image":
            return image_rows(feature, values)
        case "dictionary":
            return _dictionaries(feature, list(values) if np.ndim(values) or isinstance(values, list | tuple) else [values])
        case "string":
            return _texts(feature, _array(feature, values))
    return _numbers(feature, _array(feature, values))


def _feature_row(feature: Feature, value: Any) -> _Array:
    match feature.kind:
        case "image":
            return image_row(feature, value)
        case "dictionary":
            return _dictionaries(feature, [value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value])
    values = _array(feature, value)
    if feature.kind != "string" and _row_shape(feature, values.shape) is None:
        raise _refused(
            feature,
            f"has the shape {values.shape}, the model takes {feature.shapes_told}",
            "Give it in the model's shape; predict_rows takes many rows at once.",
        )
    return _feature_rows(feature, values[np.newaxis])


def _array(feature: Feature, values: Any) -> _Array:
    if is_picture(values):
        raise _refused(feature, f"is no image but {feature.kind}", "Give its numbers as an array.")
    try:
        return np.asarray(values)
    except ValueError as exc:
        raise _refused(feature, "gets rows of unlike shapes", "Ask for the rows of one shape at a time.") from exc
    except (RuntimeError, TypeError) as exc:  # torch says so of a tensor that requires grad, or is on a GPU
        raise _refused(feature, f"cannot be read as an array: {exc}", "Give a numpy array.") from exc


def _numbers(feature: Feature, values: _Array) -> _Array:
    shape = _row_shape(feature, values.shape[1:]) if values.ndim else None
    if shape is None:
        raise ConversionError(
            f"A row of the input {feature.name!r} has the shape {values.shape[1:]}, the model takes {feature.shapes_told}.",
            remedy="Give one row per sample on the first axis, each in the model's shape.",
            field="samples",
        )
    dtype = np.dtype(np.int64 if feature.kind == "int64" else feature.dtype)
    if values.dtype.kind == "c":
        raise _refused(feature, "gets complex numbers", "Give real ones.")
    try:
        if dtype.kind == "i":
            _refuse_other_than_whole(feature, values, dtype)
        with np.errstate(over="ignore"):  # beyond float16 is infinite, as it is on a device
            return values.astype(dtype).reshape(len(values), *shape)
    except (ValueError, TypeError) as exc:
        raise ConversionError(
            f"The input {feature.name!r} is not numeric: {exc}.", remedy="Give numbers.", field="samples"
        ) from exc


def _row_shape(feature: Feature, given: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape that a row stands for: its own, with a leading 1, or that of a single number; None if it may have none."""
    single = feature.shape if given == () and math.prod(feature.shape) == 1 else given
    kind_allows = feature.allows if feature.kind == "multiArray" else (lambda shape: shape == ())
    if feature.kind != "multiArray" and given == (1,):  # int64 and double: a column of one
        return ()
    return next((shape for shape in (given, (1, *given), single) if kind_allows(shape)), None)


def _refuse_other_than_whole(feature: Feature, values: _Array, dtype: np.dtype[Any]) -> None:
    if values.dtype.kind == "b" or (values.dtype.kind == "i" and values.dtype.itemsize <= dtype.itemsize):
        return
    limits = np.iinfo(dtype)
    if values.dtype.kind in "iu":
        fit = not values.size or (int(values.min()) >= limits.min and int(values.max()) <= limits.max)
    else:  # 2.0**63 is what the largest int64 is as a float: only below it is a float one
        numbers = values.astype(np.float64)
        whole = (numbers >= limits.min) & (numbers < float(limits.max) + 1) & (numbers == np.floor(numbers))
        fit = bool(np.all(whole))
    if not fit:
        raise _refused(
            feature,
            f"takes whole numbers ({dtype})",
            f"Round what is given; {limits.min} is the least, {limits.max} the largest.",
        )


def _texts(feature: Feature, values: _Array) -> _Array:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    objects = values.dtype.kind == "O" and all(isinstance(each, str) for each in values.ravel())
    if values.ndim != 1 or not (values.dtype.kind in "UT" or objects):
        raise _refused(feature, f"takes one text a row, and gets {values.dtype} {values.shape}", "Give (rows,) of texts.")
    return values.astype(np.str_)


def _dictionaries(feature: Feature, rows: list[Any]) -> _Array:
    found = np.empty(len(rows), dtype=object)
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise _refused(feature, f"takes a dictionary a row, and gets {type(row).__name__}", "Give a list of dictionaries.")
        found[place] = {_key(feature, key): _number(feature, number) for key, number in row.items()}
    return found


def _key(feature: Feature, key: object) -> int | str:
    if feature.dtype == "string" and isinstance(key, str):
        return str(key)
    if feature.dtype == "int64" and isinstance(key, int | np.integer) and not isinstance(key, bool):
        return int(key)
    raise _refused(feature, f"has keys of type {feature.dtype}, and gets {key!r:.60}", "Give each key in that type.")


def _number(feature: Feature, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as exc:
        raise _refused(feature, f"has numbers as values, and gets {value!r:.60}", "Give numbers.") from exc


def _refused(feature: Feature, problem: str, remedy: str) -> ConversionError:
    return ConversionError(f"The input {feature.name!r} {problem}.", remedy=remedy, field=feature.name)
