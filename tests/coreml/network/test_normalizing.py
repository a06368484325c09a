from __future__ import annotations

import math

import numpy as np
import pytest

from tests.coreml.network.building import ROWS, check, numbers


def _spread(values):
    mean = sum(values) / len(values)
    return mean, sum((each - mean) ** 2 for each in values) / len(values)


@pytest.mark.parametrize("exact", [True, False])
def test_a_batchnorm_by_its_own_numbers(tmp_path, exact):
    gamma, beta, mean = numbers(3, seed=1), numbers(3, seed=2), numbers(3, seed=3)
    variance = np.abs(numbers(3, seed=4))

    def add(made):
        made.add_batchnorm("b", 3, gamma, beta, mean, variance, "x", "y", epsilon=1e-3)

    def want(x):
        y = np.array(x, np.float64)
        for place in np.ndindex(*x.shape):
            c = place[-3]
            y[place] = gamma[c] * (x[place] - mean[c]) / math.sqrt(variance[c] + 1e-3) + beta[c]
        return y

    check(tmp_path, add, want, exact=exact, x=numbers(ROWS, 3, 4, 2) if not exact else numbers(ROWS, 2, 3, 4, 2))


@pytest.mark.parametrize("instance", [True, False])
def test_a_batchnorm_by_the_blobs_own_numbers(tmp_path, instance):
    gamma, beta = numbers(3, seed=1), numbers(3, seed=2)

    def add(made):
        layer = made.add_batchnorm("b", 3, gamma, beta, None, None, "x", "y", True, True)
        layer.batchnorm.instanceNormalization = instance

    def want(x):
        y = np.zeros_like(x, np.float64)
        for n, c in np.ndindex(2, 3):
            seen = x[n, c] if instance else x[:, c]
            mean, variance = _spread([float(each) for each in seen.reshape(-1)])
            y[n, c] = gamma[c] * (x[n, c] - mean) / math.sqrt(variance + 1e-5) + beta[c]
        return y

    check(tmp_path, add, want, rtol=1e-4, x=numbers(ROWS, 2, 3, 4, 2))


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("variance_too", [True, False])
def test_mean_and_variance_are_taken_away(tmp_path, across, variance_too):
    def want(x):
        y = np.zeros_like(x, np.float64)
        for n, c in np.ndindex(2, 3):
            mean, variance = _spread([float(each) for each in (x[n] if across else x[n, c]).reshape(-1)])
            y[n, c] = (x[n, c] - mean) / (math.sqrt(variance + 1e-2) if variance_too else 1)
        return y

    check(
        tmp_path,
        lambda made: made.add_mvn("m", "x", "y", across, variance_too, 1e-2),
        want,
        rtol=1e-4,
        x=numbers(ROWS, 2, 3, 4, 2),
    )


def test_l2_divides_by_the_length_of_all_three_dimensions(tmp_path):
    def want(x):
        return np.stack([image / math.sqrt(sum(float(v) ** 2 for v in image.reshape(-1)) + 0.1) for image in x])

    check(tmp_path, lambda made: made.add_l2_normalize("l", "x", "y", 0.1), want, x=numbers(ROWS, 2, 3, 2, 2))


@pytest.mark.parametrize("size", [1, 3, 5, 99])
def test_lrn_looks_at_the_channels_around(tmp_path, size):
    def want(x):
        y = np.zeros_like(x, np.float64)
        for place in np.ndindex(*x.shape):
            c = place[-3]
            near = range(max(0, c - size // 2), min(x.shape[-3], c + size // 2 + 1))
            total = sum(float(x[(*place[:-3], each, *place[-2:])]) ** 2 for each in near)
            y[place] = x[place] / (2 + 0.3 / size * total) ** 0.75
        return y

    check(tmp_path, lambda made: made.add_lrn("l", "x", "y", 0.3, 0.75, size, 2.0), want, exact=False, x=numbers(ROWS, 6, 2, 3))


@pytest.mark.parametrize("exact", [True, False])
def test_softmax_is_over_the_channels(tmp_path, exact):
    def want(x):
        y = np.zeros_like(x, np.float64)
        for place in np.ndindex(*x.shape):
            row = [math.exp(x[(*place[:-3], c, *place[-2:])]) for c in range(x.shape[-3])]
            y[place] = row[place[-3]] / sum(row)
        return y

    check(tmp_path, lambda made: made.add_softmax("s", "x", "y"), want, exact=exact, x=numbers(ROWS, 4, 2, 3))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_over_any_axis(tmp_path, axis):
    def want(x):
        moved = np.moveaxis(x, axis, 0)
        powers = [np.exp(each.astype(np.float64)) for each in moved]
        return np.moveaxis(np.stack([each / sum(powers) for each in powers]), 0, axis)

    check(tmp_path, lambda made: made.add_softmax_nd("s", "x", "y", axis), want, x=numbers(ROWS, 3, 4))


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_layer_normalization_over_the_last_dimensions(tmp_path, shape):
    gamma, beta = numbers(*shape, seed=1), numbers(*shape, seed=2)

    def want(x):
        y = []
        for part in x.reshape(-1, *shape):
            mean, variance = _spread([float(each) for each in part.reshape(-1)])
            y.append(gamma * (part - mean) / math.sqrt(variance + 1e-3) + beta)
        return np.reshape(y, x.shape)

    def add(made):
        made.add_layer_normalization("l", "x", "y", list(shape), gamma, beta, 1e-3)

    check(tmp_path, add, want, rtol=1e-4, x=numbers(ROWS, 2, 3, 4))
