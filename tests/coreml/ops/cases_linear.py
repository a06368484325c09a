"""Matrix products and attention: by coremltools' inference, and by loops over single numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(13)
TRUE = np.bool_(True)


def linears() -> Iterator[Case]:
    for shape in ((4,), (2, 4), (2, 3, 4), (0, 4)):
        yield Case(op="linear", given={"x": N.f(*shape), "weight": N.f(3, 4), "bias": N.f(3)}, note=f"{shape}")
        yield Case(op="linear", given={"x": N.f(*shape), "weight": N.f(3, 4)}, note=f"{shape}, without bias")
    yield Case(op="linear", given={"x": N.f(2, 3, 4), "weight": N.f(5, 4), "bias": N.f(5)}, want=_linear, note="by loops")
    whole = {"x": N.below(9, 2, 4), "weight": N.below(9, 3, 4), "bias": i(1, 2, 3)}
    yield Case(op="linear", given=whole, note="whole")
    yield Case(op="linear", given={"x": N.f(2, 1), "weight": N.f(1, 1), "bias": N.f(1)}, note="single numbers")


def _linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    got = np.zeros((*x.shape[:-1], len(weight)))
    for place in np.ndindex(got.shape):
        row = x[place[:-1]]
        got[place] = bias[place[-1]] + sum(float(row[k]) * float(weight[place[-1], k]) for k in range(len(row)))
    return got


def matmuls() -> Iterator[Case]:
    shapes = [
        ((2, 3), (3, 4)), ((2, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((2, 1, 2, 3), (5, 3, 4)), ((10, 4, 3), (5, 10, 3, 2)),
        ((3,), (3, 4)), ((3,), (2, 3, 4)), ((1, 1), (1, 1)), ((2, 0), (0, 3)), ((0, 3), (3, 2)), ((1, 2, 2, 3, 4), (4, 2)),
    ]  # fmt: skip
    lost = "coremltools declares another shape than its reference for a vector and a batch"
    for left, right in shapes:
        unsaved = lost if len(left) == 1 and len(right) > 2 else ""
        yield Case(op="matmul", given={"x": N.f(*left), "y": N.f(*right)}, note=f"{left} and {right}", unsaved=unsaved)
        if len(left) > 1 and len(right) > 1:
            yield Case(
                op="matmul", given={"x": N.f(*left), "y": N.f(*right)}, want=_matmul, note=f"{left} and {right}, by loops"
            )
            yield Case(
                op="matmul",
                given={
                    "x": N.f(*left[:-2], left[-1], left[-2]), "y": N.f(*right[:-2], right[-1], right[-2]),
                    "transpose_x": TRUE, "transpose_y": TRUE,
                },
                note=f"{left} and {right}, both turned",
            )  # fmt: skip
    yield Case(op="matmul", given={"x": N.f(2, 3), "y": N.f(4, 3), "transpose_y": TRUE}, note="the right one turned")
    yield Case(op="matmul", given={"x": N.f(3, 2), "y": N.f(3, 4), "transpose_x": TRUE}, note="the left one turned")
    yield Case(op="matmul", given={"x": N.f(3), "y": N.f(4, 3), "transpose_y": TRUE}, note="a row and a turned one")
    yield Case(op="matmul", given={"x": N.below(9, 2, 3), "y": N.below(9, 3, 4)}, note="whole")


def _matmul(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    left, right = np.broadcast_to(x, (*batch, *x.shape[-2:])), np.broadcast_to(y, (*batch, *y.shape[-2:]))
    got = np.zeros((*batch, x.shape[-2], y.shape[-1]))
    for place in np.ndindex(got.shape):
        *at, row, column = place
        got[place] = sum(float(left[(*at, row, k)]) * float(right[(*at, k, column)]) for k in range(x.shape[-1]))
    return got


def einsums() -> Iterator[Case]:
    fours = [
        ((2, 3, 4, 5), (2, 5, 4, 6)),
        ((1, 3, 4, 5), (2, 5, 4, 6)),
        ((2, 3, 1, 5), (2, 5, 4, 6)),
        ((2, 3, 4, 5), (1, 5, 1, 6)),
    ]
    for left, right in fours:
        for equation in ("nchw,nwhu->nchu", "bqhk,bkhv->bqhv"):
            yield Case(
                op="einsum",
                given={"values": (N.f(*left), N.f(*right)), "equation": equation},
                note=f"{equation}, {left} and {right}",
            )
        given = {"values": (N.f(*left), N.f(*right)), "equation": "nchw,nwhu->nchu"}
        yield Case(op="einsum", given=given, want=_einsum, note=f"by loops, {left} and {right}")
    for left, right in (((3, 4, 5), (5, 4, 6)), ((3, 1, 5), (5, 4, 6)), ((3, 4, 5), (5, 1, 6))):
        yield Case(
            op="einsum", given={"values": (N.f(*left), N.f(*right)), "equation": "chw,whr->chr"}, note=f"{left} and {right}"
        )


def _einsum(values: tuple[np.ndarray, ...], equation: str) -> np.ndarray:
    x, y = values
    n, h = max(x.shape[0], y.shape[0]), max(x.shape[2], y.shape[2])
    x, y = np.broadcast_to(x, (n, x.shape[1], h, x.shape[3])), np.broadcast_to(y, (n, y.shape[1], h, y.shape[3]))
    got = np.zeros((n, x.shape[1], h, y.shape[3]))
    for at, c, row, u in np.ndindex(got.shape):
        got[at, c, row, u] = sum(float(x[at, c, row, w]) * float(y[at, w, row, u]) for w in range(x.shape[3]))
    return got


def attentions() -> Iterator[Case]:
    for batch in ((2,), (2, 3), (1, 2, 2)):
        q, k, v = N.f(*batch, 4, 6), N.f(*batch, 5, 6), N.f(*batch, 5, 3)
        parts = {"query": q, "key": k, "value": v}
        yield _attention(parts, note=f"{batch}, no mask")
        shown = N.f(4, 5) > -0.5
        shown[:, 0] = True  # each row has one
        masks = {
            "booleans": shown,
            "booleans per batch": np.broadcast_to(shown, (*batch, 4, 5)).copy(),
            "numbers": N.f(4, 5),
            "numbers per batch": N.f(*batch, 4, 5),
            "one row of numbers": N.f(1, 5),
            "one row per batch": N.f(*batch, 1, 5),
            "a vector": N.f(5),
            "a causal one": np.where(np.tril(np.ones((4, 5), bool)), 0, -np.inf).astype(np.float32),
        }
        for name, mask in masks.items():
            yield _attention(parts | {"attn_mask": mask}, note=f"{batch}, {name}")
    wide = {name: N.f(1, 2, 3, 4) * 30 for name in ("query", "key", "value")}
    yield _attention(wide, note="far apart")
    none = np.asarray([[True, False], [False, False]])
    hidden = {"query": N.f(1, 2, 3), "key": N.f(1, 2, 3), "value": N.f(1, 2, 3), "attn_mask": none}
    yield _attention(hidden, note="a row that sees nothing")
    yield Case(op="scaled_dot_product_attention", given=hidden, rtol=1e-5, note="a row that sees nothing, inferred")
    yield Case(op="scaled_dot_product_attention", given=parts | {"attn_mask": masks["numbers"]}, rtol=1e-5, note="inferred")


def _attention(given: dict[str, np.ndarray], note: str) -> Case:
    return Case(op="scaled_dot_product_attention", given=given, want=_attended, rtol=1e-5, note=note)


def _attended(query: np.ndarray, key: np.ndarray, value: np.ndarray, attn_mask: np.ndarray | None = None) -> np.ndarray:
    got = np.zeros((*query.shape[:-1], value.shape[-1]))
    rows = (*query.shape[:-1], key.shape[-2])
    mask = np.zeros(rows) if attn_mask is None else np.broadcast_to(attn_mask, rows)
    added = np.where(mask, 0.0, -np.inf) if mask.dtype == bool else mask
    for place in np.ndindex(query.shape[:-1]):
        keys, values = key[place[:-1]].astype(float), value[place[:-1]].astype(float)
        scores = [float(np.dot(query[place], each)) / math.sqrt(len(each)) for each in keys] + added[place]
        powers = np.exp(scores - max(scores))
        got[place] = sum(power * each for power, each in zip(powers, values, strict=True)) / sum(powers)
    return got


CASES = [*linears(), *matmuls(), *einsums(), *attentions()]
