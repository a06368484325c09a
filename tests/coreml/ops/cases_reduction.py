"""Reductions, the largest few, running sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(15)
LATER = (17, 18, 26)


def reductions() -> Iterator[Case]:
    written: dict[str, Callable[[list[float]], float]] = {
        "sum": sum,
        "mean": lambda v: sum(v) / len(v),
        "max": max,
        "min": min,
        "prod": math.prod,
        "l1_norm": lambda v: sum(map(abs, v)),
        "l2_norm": lambda v: math.sqrt(sum(e * e for e in v)),
        "sum_square": lambda v: sum(e * e for e in v),
        "log_sum": lambda v: math.log(sum(v)),
        "log_sum_exp": lambda v: math.log(sum(map(math.exp, v))),
    }
    for how, function in written.items():
        op, want = f"reduce_{how}", lambda x, axes=None, keep_dims=False, g=function: _reduced(g, x, axes, keep_dims)
        x = N.positive(2, 3, 4) if how == "log_sum" else N.f(2, 3, 4)
        for axes in ((0, 2), (1,), (-1,), (-1, 0), (0, 1, 2)):
            for keep in (True, False):
                given = {"x": x, "axes": i(*axes), "keep_dims": keep}
                yield Case(op=op, given=given, note=f"{axes}, kept" if keep else f"{axes}")
            yield Case(op=op, given=given, want=want, rtol=1e-5, note=f"{axes}, by loops")
        yield Case(op=op, given={"x": x}, want=want, rtol=1e-5, note="all axes")
        yield Case(op=op, given={"x": x, "keep_dims": True}, note="all axes, kept")
        yield Case(op=op, given={"x": x.reshape(-1)[:5], "axes": i(0)}, note="a vector")
        whole = N.below(5, 2, 3, 4) + (1 if how == "log_sum" else -2)
        yield Case(op=op, given={"x": whole.astype(np.int32), "axes": i(1)}, note="whole")
    nothing = np.asarray([[-np.inf, -np.inf], [0, -np.inf], [np.inf, 0]], np.float32)
    ends = lambda x, axes: np.asarray([-np.inf, 0, np.inf])  # noqa: E731  # coremltools infers NaN for the first and the last
    yield Case(op="reduce_log_sum_exp", given={"x": nothing, "axes": i(1)}, want=ends, note="of nothing and of all")
    yield Case(op="reduce_log_sum_exp", given={"x": N.f(2, 3) + 500, "axes": i(1)}, note="far out")


def _reduced(function: Callable[[list[float]], float], x: np.ndarray, axes: np.ndarray | None, keep: bool) -> np.ndarray:
    over = [int(axis) % x.ndim for axis in (range(x.ndim) if axes is None else axes)]
    kept = tuple(1 if axis in over else size for axis, size in enumerate(x.shape))
    got = np.zeros(kept)
    for place in np.ndindex(kept):
        part = x[tuple(slice(None) if axis in over else at for axis, at in enumerate(place))]
        got[place] = function([float(each) for each in part.flat])
    return got if keep else got.reshape([size for axis, size in enumerate(x.shape) if axis not in over])


def places() -> Iterator[Case]:
    for op, best in (("reduce_argmax", max), ("reduce_argmin", min)):
        want = lambda x, axis=-1, keep_dims=False, output_dtype="", g=best: _place(g, x, int(axis), keep_dims)  # noqa: E731
        for axis in (0, 1, 2, -1, -3):
            for keep in (True, False):
                given = {"x": N.f(2, 3, 4), "axis": np.int32(axis), "keep_dims": keep}
                yield Case(op=op, given=given, note=f"{axis}, kept" if keep else f"{axis}")
            yield Case(op=op, given=given, want=want, note=f"{axis}, by loops")
        yield Case(op=op, given={"x": N.f(2, 3)}, want=want, note="the last axis")
        yield Case(op=op, given={"x": N.below(5, 4, 3), "axis": np.int32(0)}, want=want, note="whole, the first of equals")
        yield Case(op=op, given={"x": N.f(2, 3), "output_dtype": "uint16"}, want=want, note="uint16")


def _place(best: Callable[..., float], x: np.ndarray, axis: int, keep: bool) -> np.ndarray:
    found = np.apply_along_axis(lambda row: row.tolist().index(best(row.tolist())), axis, x)
    return np.expand_dims(found, axis) if keep else found


def largest() -> Iterator[Case]:
    for axis in (0, 1, 2, -1, -2):
        for ascending in (False, True):
            given = {"x": N.f(3, 4, 5), "k": np.int32(2), "axis": np.int32(axis), "ascending": np.bool_(ascending)}
            yield Case(op="topk", given=given, note=f"{axis}, ascending" if ascending else f"{axis}")
            yield Case(op="topk", given=given, want=_topk, note=f"{axis}, ascending {ascending}, by sorting")
    yield Case(op="topk", given={"x": N.f(2, 4)}, want=_topk, note="one")
    yield Case(op="topk", given={"x": N.below(4, 3, 9), "k": np.int32(9)}, want=_topk, note="whole, the first of equals")
    yield Case(op="topk", given={"x": i(-(2**31), 5, 2**31 - 1), "k": np.int32(3)}, want=_topk, note="whole, at its ends")
    for kind in (np.int8, np.uint8, np.int16, np.uint16):
        x = np.asarray([np.iinfo(kind).max, 0, 7, np.iinfo(kind).min, 7], kind)
        yield Case(op="topk", given={"x": x, "k": np.int32(4)}, want=_topk, opsets=LATER, note=np.dtype(kind).name)
    some = {"x": N.f(2, 5), "k": np.int32(3)}
    yield Case(op="topk", given=some | {"sort": np.bool_(True)}, want=_topk, note="sorted")
    lost = "coremltools declares a result of -1 elements"
    yield Case(op="topk", given=some | {"k": np.int32(-1)}, want=_topk, opsets=LATER, note="all", unsaved=lost)
    values_alone = {"return_indices": np.bool_(False)}
    yield Case(op="topk", given=some | values_alone, want=_topk, note="values alone")
    yield Case(op="topk", given=some | {"output_indices_dtype": "uint16"}, want=_topk, note="uint16 places")
    yield Case(op="topk", given=some | {"k": np.int8(2)}, want=_topk, opsets=LATER, note="an int8 k")


def _topk(x, k=1, axis=-1, ascending=False, sort=True, return_indices=True, output_indices_dtype="int32"):
    moved = np.moveaxis(x, axis, -1)
    k = moved.shape[-1] if k == -1 else k
    values, indices = (np.zeros((*moved.shape[:-1], int(k)), kind) for kind in (x.dtype, np.int32))
    for place in np.ndindex(moved.shape[:-1]):
        row = moved[place].tolist()
        first = sorted(range(len(row)), key=lambda at, row=row: row[at] if ascending else -row[at])[: int(k)]
        values[place], indices[place] = [row[at] for at in first], first
    values, indices = np.moveaxis(values, -1, axis), np.moveaxis(indices, -1, axis)
    return (values, indices) if return_indices else values


def running() -> Iterator[Case]:
    for axis in (0, 1, 2, -1):
        for reverse in (False, True):
            given = {"x": N.f(2, 3, 4), "axis": np.int32(axis), "reverse": np.bool_(reverse)}
            yield Case(op="cumsum", given=given, note=f"{axis}, reverse {reverse}")
            # coremltools' inference fails on an exclusive one
            for exclusive in (False, True):
                each = given | {"exclusive": np.bool_(exclusive)}
                yield Case(
                    op="cumsum", given=each, want=_cumsum, note=f"{axis}, reverse {reverse}, exclusive {exclusive}, by loops"
                )
    yield Case(op="cumsum", given={"x": N.f(3, 2)}, want=_cumsum, note="the first axis")
    yield Case(op="cumsum", given={"x": N.below(9, 3, 2)}, want=_cumsum, note="whole")
    yield Case(op="cumsum", given={"x": N.f(1), "exclusive": np.bool_(True)}, want=_cumsum, note="a single one")
    large = np.asarray([1e8, 1, np.inf, 3], np.float32)
    yield Case(op="cumsum", given={"x": large, "exclusive": np.bool_(True)}, want=_cumsum, note="without its own, exactly")


def _cumsum(x, axis=0, exclusive=False, reverse=False):
    moved = np.moveaxis(x, axis, 0)
    moved = moved[::-1] if reverse else moved
    total, got = np.zeros(moved.shape[1:], x.dtype), np.zeros(moved.shape, x.dtype)
    for place, each in enumerate(moved):
        got[place] = total if exclusive else total + each
        total = total + each
    return np.moveaxis(got[::-1] if reverse else got, 0, axis)


CASES = [*reductions(), *places(), *largest(), *running()]
