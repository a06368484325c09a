from __future__ import annotations

import itertools

import numpy as np
import pytest

from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError
from tests.coreml.network.building import ROWS, builder, check, numbers, save


def _product(vector, weights, bias):
    sums = [sum(float(w) * float(v) for w, v in zip(row, vector, strict=True)) for row in weights]
    return np.asarray(sums) + (0 if bias is None else bias)


@pytest.mark.parametrize("bias", [None, numbers(2, seed=2)], ids=["without bias", "with bias"])
@pytest.mark.parametrize(
    ("shape", "leading", "ones"),
    [((6,), (), 0), ((3, 6), (3,), 0), ((2, 3, 6), (2, 3), 0), ((3, 1, 2, 3), (3,), 2), ((2, 2, 3, 2, 1), (2, 2), 2)],
    ids=str,
)
def test_an_inner_product_by_rank(tmp_path, shape, leading, ones, bias):
    weights = numbers(2, 6, seed=1)

    def add(made):
        made.add_inner_product("ip", weights, bias, 6, 2, bias is not None, "x", "y")

    def want(x):
        made = [_product(vector, weights, bias) for vector in x.reshape(-1, 6)]
        return np.reshape(made, (*leading, 2, *[1] * ones))

    check(tmp_path, add, want, x=numbers(ROWS, *shape))


def test_an_inner_product_of_the_old_mapping(tmp_path):
    weights, bias = numbers(2, 12, seed=1), numbers(2, seed=2)
    check(
        tmp_path,
        lambda made: made.add_inner_product("ip", weights, bias, 12, 2, True, "x", "y"),
        lambda x: _product(x.reshape(-1), weights, bias).reshape(1, 1, 2, 1, 1),
        exact=False,
        x=numbers(ROWS, 3, 2, 2),
    )


@pytest.mark.parametrize("bias", [None, numbers(3, seed=2)], ids=["without bias", "with bias"])
def test_an_embedding_is_a_row_of_the_table(tmp_path, bias):
    weights = numbers(5, 3, seed=1)  # words, size, as the builder takes it

    def want(x, z):
        added = 0 if bias is None else bias
        first = np.stack([weights[int(word)] + added for word in x.reshape(-1)]).reshape(4, 3, 1, 1)
        return first, np.stack([weights[int(word)] + added for word in z.reshape(-1)]).reshape(2, 3, 3)

    def add(made):
        made.add_embedding("e", weights.T, bias, 5, 3, bias is not None, "x", "y")
        made.add_embedding_nd("n", "z", "w", 5, 3, weights.T, bias)

    words = np.random.default_rng(0).integers(0, 5, (ROWS, 10))
    check(
        tmp_path, add, want, outputs=("y", "w"), x=words[:, :4].reshape(ROWS, 4, 1, 1, 1), z=words[:, 4:].reshape(ROWS, 2, 3, 1)
    )


def test_a_word_of_the_old_mapping(tmp_path):
    weights = numbers(5, 3, seed=1)
    check(
        tmp_path,
        lambda made: made.add_embedding("e", weights.T, None, 5, 3, False, "x", "y"),
        lambda x: weights[int(x.reshape(()))].reshape(1, 1, 3, 1, 1),
        exact=False,
        x=np.asarray([[4], [0], [2]]),
    )


@pytest.mark.parametrize("word", [5.0, -1.0, np.nan, 1e30])
def test_a_word_that_is_not_in_the_table_is_refused(tmp_path, word):
    made = builder({"x": (1,)}, exact=False)
    made.add_embedding("e", numbers(5, 3).T, None, 5, 3, False, "x", "y")
    with pytest.raises(ConversionError, match="layer 'e'"):
        load(save(made, tmp_path / "m.mlmodel")).predict({"x": np.asarray([word])})


def _matrices(a, b):
    y = np.zeros((a.shape[0], b.shape[1]))
    for r, c, k in itertools.product(range(a.shape[0]), range(b.shape[1]), range(a.shape[1])):
        y[r, c] += a[r, k] * b[k, c]
    return y


@pytest.mark.parametrize("flip_a", [True, False])
@pytest.mark.parametrize("flip_b", [True, False])
def test_matrices_are_multiplied_in_batches_that_broadcast(tmp_path, flip_a, flip_b):
    def want(a, b):
        y = np.zeros((2, 3, 4, 5))
        for n, m in np.ndindex(2, 3):
            left, right = a[n, 0], b[m]
            y[n, m] = _matrices(left.T if flip_a else left, right.T if flip_b else right)
        return y

    check(
        tmp_path,
        lambda made: made.add_batched_mat_mul("m", ["a", "b"], "y", flip_a, flip_b),
        want,
        a=numbers(ROWS, 2, 1, *((6, 4) if flip_a else (4, 6))),
        b=numbers(ROWS, 3, *((5, 6) if flip_b else (6, 5)), seed=1),
    )


@pytest.mark.parametrize(("left", "right", "shape"), [((4,), (4, 2), (1, 2)), ((3, 4), (4,), (3, 1)), ((4,), (4,), (1, 1))])
def test_a_vector_is_a_row_on_the_left_and_a_column_on_the_right(tmp_path, left, right, shape):
    def want(a, b):
        return _matrices(a.reshape(-1, 4), b.reshape(4, -1)).reshape(shape)

    check(
        tmp_path,
        lambda made: made.add_batched_mat_mul("m", ["a", "b"], "y"),
        want,
        a=numbers(ROWS, *left),
        b=numbers(ROWS, *right, seed=1),
    )


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_a_matrix_of_the_layer_multiplies_the_last_dimension(tmp_path, shape):
    weights, bias = numbers(4, 5, seed=1), numbers(5, seed=2)

    def want(x):
        made = _matrices(x.reshape(-1, 4), weights) + bias
        return made.reshape(*shape[:-1], 5)

    def add(made):
        made.add_batched_mat_mul("m", ["x"], "y", W=weights, weight_matrix_rows=4, weight_matrix_columns=5, bias=bias)

    check(tmp_path, add, want, x=numbers(ROWS, *shape))


@pytest.mark.parametrize("cosine", [True, False])
def test_a_dot_product(tmp_path, cosine):
    def want(a, b):
        product = sum(float(p) * float(q) for p, q in zip(a.reshape(-1), b.reshape(-1), strict=True))
        if cosine:
            product /= sum(float(p) ** 2 for p in a.reshape(-1)) ** 0.5 * sum(float(q) ** 2 for q in b.reshape(-1)) ** 0.5
        return np.reshape(product, (1, 1, 1, 1, 1))

    check(
        tmp_path,
        lambda made: made.add_elementwise("d", ["a", "b"], "y", "COS" if cosine else "DOT"),
        want,
        exact=False,
        a=numbers(ROWS, 5),
        b=numbers(ROWS, 5, seed=1),
    )
