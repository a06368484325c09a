"""Support vectors, votes and coupled probabilities: what a saved program says, beside the graph in doubles."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.converting.graph.algebra import Linear
from mlpublish.converting.graph.answer import Number, Predicted
from mlpublish.converting.graph.columnwise import Clipped, Function, Name
from mlpublish.converting.graph.machines import Coupled, Kernel, KernelName, SupportVectors, Votes
from mlpublish.converting.graph.node import Array, Node
from tests.converting.writing.programs import BACKENDS, asked, differences, saved

EVERY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)
KERNELS = {
    "linear": Kernel(name=KernelName.LINEAR),
    "constant": Kernel(name=KernelName.POLY, gamma=0.3, coef0=0.1, degree=0),
    "poly_1": Kernel(name=KernelName.POLY, gamma=0.3, coef0=0.1, degree=1),
    "poly_5": Kernel(name=KernelName.POLY, gamma=0.3, coef0=-0.5, degree=5),
    "rbf": Kernel(name=KernelName.RBF, gamma=0.4),
    "sigmoid": Kernel(name=KernelName.SIGMOID, gamma=0.2, coef0=-0.4),
}


def machine(x: Node, kernel: Kernel, counts: tuple[int, ...]) -> SupportVectors:
    random = np.random.default_rng(len(counts))
    size, classes = sum(counts) or 7, len(counts)
    return SupportVectors(
        of=x,
        kernel=kernel,
        vectors=random.normal(size=(size, x.width)),
        counts=counts,
        coefficients=random.normal(size=(max(classes - 1, 1), size)),
        rho=random.normal(size=classes * (classes - 1) // 2 or 1),
    )


@pytest.mark.parametrize("width", [1, 3])
@EVERY_BACKEND
def test_decisions_and_votes_with_every_kernel(tmp_path, width, backend):
    x = Array(size=width)
    nodes: dict[str, Node] = {}
    for name, kernel in KERNELS.items():
        for counts in ((), (3, 4), (1, 5, 2), (2, 1, 3, 1)):
            node = machine(x, kernel, counts)
            nodes[f"{name}_{len(counts)}"] = node
            if counts:
                nodes[f"{name}_{len(counts)}_votes"] = Votes(of=node, classes=len(counts))
    gaps = differences(tmp_path, nodes, np.random.default_rng(0).normal(size=(6, width)), backend=backend)
    assert max(gaps.values()) < 1e-5
    assert {gap for name, gap in gaps.items() if name.endswith("votes")} == {0.0}


def test_a_decision_of_0_speaks_for_the_second_class(tmp_path):
    node = Votes(of=Array(size=3), classes=3)
    rows = np.array([[0.0, 0, 0], [1, 0, -1], [-0.0, 1e-30, np.nan]])
    assert differences(tmp_path, {"votes": node}, rows)["votes"] == 0


def coupled(x: Node, classes: int) -> Coupled:
    return Coupled(of=Clipped(of=Function(of=x, name=Name.EXPIT), low=1e-7, high=1 - 1e-7), classes=classes)


@pytest.mark.parametrize("classes", [2, 3, 10])
@EVERY_BACKEND
def test_probabilities_are_coupled_as_libsvm_does_it(tmp_path, classes, backend):
    pairs = classes * (classes - 1) // 2
    random = np.random.default_rng(classes)
    rows = np.vstack([random.normal(size=(6, pairs)) * scale for scale in (0, 0.3, 2, 5)])
    nodes = {"coupled": coupled(Array(size=pairs), classes)}
    assert differences(tmp_path, nodes, rows, backend=backend)["coupled"] < 1e-5


@pytest.mark.parametrize("classes", [2, 3])
def test_saturated_pairs_are_coupled(tmp_path, classes):
    pairs = classes * (classes - 1) // 2
    rows = np.array([[sign * 10.0**power] * pairs for sign in (-1, 1) for power in (1, 1.3, 2)])
    assert differences(tmp_path, {"coupled": coupled(Array(size=pairs), classes)}, rows)["coupled"] < 1e-5


@pytest.mark.filterwarnings("ignore::FutureWarning")
@EVERY_BACKEND
def test_a_fitted_machine_tells_its_probabilities(tmp_path, backend):
    """scikit-learn's own answer, from its attributes."""
    from sklearn.datasets import load_iris
    from sklearn.svm import SVC

    rows, labels = load_iris(return_X_y=True)
    rows = rows.astype(np.float32).astype(np.float64)
    model = SVC(probability=True, gamma=0.3, random_state=0).fit(rows[::2], labels[::2])
    machine = SupportVectors(
        of=Array(size=4),
        kernel=Kernel(name=KernelName.RBF, gamma=0.3),
        vectors=model.support_vectors_,
        counts=tuple(model.n_support_.tolist()),
        coefficients=model.dual_coef_,
        rho=-model.intercept_,
    )
    pairs = Linear(of=machine, weights=np.diag(-model.probA_), offset=-model.probB_)
    node = coupled(pairs, 3)

    path = saved(tmp_path, Predicted(numbers=(Number(name="prediction", node=node),)))
    got = asked(path, rows[1::8], backend=backend)["prediction"]
    np.testing.assert_allclose(got, model.predict_proba(rows[1::8]), atol=1e-5)
