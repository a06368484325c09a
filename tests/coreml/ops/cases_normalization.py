"""Normalisations, mostly by loops: coremltools infers two of them only."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(14)
EPSILON = {"epsilon": np.float32(1e-3)}


def batch_norms() -> Iterator[Case]:
    for shape in ((2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 2, 2)):
        given = {"x": N.f(*shape), "mean": N.f(3), "variance": N.positive(3)}
        yield _case("batch_norm", given, _batch_norm, f"{shape}")
        yield _case("batch_norm", given | {"gamma": N.f(3), "beta": N.f(3)} | EPSILON, _batch_norm, f"{shape}, scaled")
    yield _case("batch_norm", given | {"gamma": N.f(3)}, _batch_norm, "gamma alone")
    yield _case("batch_norm", given | {"beta": N.f(3)}, _batch_norm, "beta alone")
    still = given | {"variance": np.zeros(3, np.float32)} | EPSILON
    yield _case("batch_norm", still, _batch_norm, "without variance")


def _batch_norm(x, mean, variance, gamma=None, beta=None, epsilon=1e-5):
    got = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        c = place[1]
        normal = (float(x[place]) - mean[c]) / math.sqrt(variance[c] + epsilon)
        got[place] = normal * (1 if gamma is None else gamma[c]) + (0 if beta is None else beta[c])
    return got


def instance_norms() -> Iterator[Case]:
    for shape in ((2, 3, 4), (2, 3, 4, 5), (1, 1, 6)):
        channels = shape[1]
        yield _case("instance_norm", {"x": N.f(*shape)}, _instance_norm, f"{shape}")
        scaled = {"x": N.f(*shape) + 5, "gamma": N.f(channels), "beta": N.f(channels)} | EPSILON
        yield _case("instance_norm", scaled, _instance_norm, f"{shape}, scaled")
    yield _case("instance_norm", {"x": N.f(2, 3, 4), "gamma": N.f(3)}, _instance_norm, "gamma alone")
    yield _case("instance_norm", {"x": np.ones((1, 2, 3), np.float32)}, _instance_norm, "all the same")


def _instance_norm(x, gamma=None, beta=None, epsilon=1e-5):
    got = np.zeros(x.shape)
    for n, c in np.ndindex(x.shape[:2]):
        got[n, c] = _normal(x[n, c], epsilon) * (1 if gamma is None else gamma[c]) + (0 if beta is None else beta[c])
    return got


def _normal(values: np.ndarray, epsilon: float) -> np.ndarray:
    numbers = [float(each) for each in values.flat]
    mean = sum(numbers) / len(numbers)
    variance = sum((each - mean) ** 2 for each in numbers) / len(numbers)
    return np.asarray([(each - mean) / math.sqrt(variance + epsilon) for each in numbers]).reshape(values.shape)


def layer_norms() -> Iterator[Case]:
    for axes in ((-1,), (1,), (0,), (1, 2), (-1, -2), (0, 2), (2, 0), (0, 1, 2), (-3, 1)):
        sizes = [(2, 3, 4)[axis] for axis in sorted(axis % 3 for axis in axes)]
        given = {"x": N.f(2, 3, 4) + 2, "axes": i(*axes)}
        scaled = given | {"gamma": N.f(*sizes), "beta": N.f(*sizes)} | EPSILON
        for each, note in ((given, f"axes {axes}"), (scaled, f"axes {axes}, scaled")):
            yield Case(op="layer_norm", given=each, note=note, rtol=1e-5, atol=1e-5)
            yield _case("layer_norm", each, _layer_norm, f"{note}, by loops")
    yield _case(
        "layer_norm", {"x": N.f(2, 3, 4)}, _layer_norm, "all axes", unsaved="coremltools cannot write its own default of axes"
    )
    yield _case("layer_norm", {"x": N.f(7), "axes": i(0)}, _layer_norm, "a vector")
    yield _case("layer_norm", {"x": N.f(1, 2, 3, 2, 2), "axes": i(2, -1), "gamma": N.f(3, 2)}, _layer_norm, "gamma alone")
    yield _case("layer_norm", {"x": N.f(2, 8) + 1000, "axes": i(1)}, _layer_norm, "far from zero", atol=1e-3)


def _layer_norm(x, axes=None, gamma=None, beta=None, epsilon=1e-5):
    over = sorted(range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes])
    rest = [axis for axis in range(x.ndim) if axis not in over]
    moved = np.transpose(x, rest + over)
    got = np.zeros(moved.shape)
    for place in np.ndindex(moved.shape[: len(rest)]):
        got[place] = _normal(moved[place], epsilon) * (1 if gamma is None else gamma) + (0 if beta is None else beta)
    return np.transpose(got, np.argsort(rest + over))


def l2_norms() -> Iterator[Case]:
    for shape in ((2, 3, 4), (2, 3, 4, 5), (2, 1, 2, 2, 2)):
        yield Case(op="l2_norm", given={"x": N.f(*shape)}, note=f"{shape}")
        yield Case(op="l2_norm", given={"x": N.f(*shape)} | EPSILON, note=f"{shape}, epsilon")
        yield _case("l2_norm", {"x": N.f(*shape)}, _l2_norm, f"{shape}, by loops")
    yield Case(op="l2_norm", given={"x": np.zeros((1, 2, 2), np.float32)}, note="nothing")


def _l2_norm(x, epsilon=1e-6):
    got = np.zeros(x.shape)
    for place in np.ndindex(x.shape[:-3]):
        got[place] = x[place] / math.sqrt(sum(float(each) ** 2 for each in x[place].flat) + epsilon)
    return got


def local_response_norms() -> Iterator[Case]:
    for shape in ((2, 7, 3), (1, 5, 2, 2), (2, 1, 4)):
        for size in (1, 2, 3, 5, 8, 100):
            yield _case(
                "local_response_norm", {"x": N.f(*shape) * 9, "size": np.int32(size)}, _local_response_norm, f"{shape}, {size}"
            )
    strong = {"alpha": np.float32(0.5), "beta": np.float32(1.5), "k": np.float32(2)}
    for size in (3, 4):
        given = {"x": N.f(2, 6, 2, 3), "size": np.int32(size)} | strong
        yield _case("local_response_norm", given, _local_response_norm, f"strong, {size}")


def _local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """torch's padding: size // 2 channels before, (size - 1) // 2 behind."""
    got = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        n, c, *rest = place
        near = [j for j in range(c - int(size) // 2, c + (int(size) - 1) // 2 + 1) if 0 <= j < x.shape[1]]
        squares = sum(float(x[(n, j, *rest)]) ** 2 for j in near)
        got[place] = float(x[place]) / (k + alpha / size * squares) ** beta
    return got


def _case(op, given, want, note, atol=1e-5, unsaved="") -> Case:
    return Case(op=op, given=given, want=want, note=note, rtol=1e-5, atol=atol, unsaved=unsaved)


CASES = [*batch_norms(), *instance_norms(), *layer_norms(), *l2_norms(), *local_response_norms()]
