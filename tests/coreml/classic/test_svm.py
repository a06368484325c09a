from __future__ import annotations

import math
import sys
import warnings
from itertools import combinations

import numpy as np
import pytest
from sklearn.svm import SVC, SVR, NuSVC

from mlpublish.coreml.classic.run import Classic, unsupported
from mlpublish.coreml.classic.svm import MOST_COUPLED
from mlpublish.errors import ConversionError
from tests.coreml.classic.building import classifier, model, run

KERNELS = {
    "linear": {},
    "rbf": {"gamma": 0.3},
    "poly": {"gamma": 0.2, "coef0": 0.7, "degree": 3},
    "sigmoid": {"gamma": 0.05, "coef0": -0.3},
}


def set_kernel(kernel, name, *, gamma=0.0, coef0=0.0, degree=0):
    if name == "linear":
        kernel.linearKernel.SetInParent()
    elif name == "rbf":
        kernel.rbfKernel.gamma = gamma
    elif name == "poly":
        kernel.polyKernel.gamma, kernel.polyKernel.c, kernel.polyKernel.degree = gamma, coef0, degree
    else:
        kernel.sigmoidKernel.gamma, kernel.sigmoidKernel.c = gamma, coef0


def set_vectors(held, vectors, *, sparse):
    (held.sparseSupportVectors if sparse else held.denseSupportVectors).SetInParent()
    for each in vectors.tolist():
        if not sparse:
            held.denseSupportVectors.vectors.add().values.extend(each)
            continue
        added = held.sparseSupportVectors.vectors.add()
        for place, value in enumerate(each):
            if value:
                added.nodes.add(index=place + 1, value=value)


def written(trained, labels, *, sparse=False):
    """libsvm's model as scikit-learn keeps it: its decision adds the intercept where libsvm's takes rho away."""
    has_probabilities = len(trained._probA) > 0
    spec = classifier("supportVectorClassifier", {"x": trained.n_features_in_}, labels, probabilities=has_probabilities)
    held = spec.supportVectorClassifier
    set_kernel(held.kernel, trained.kernel, **KERNELS[trained.kernel])
    set_vectors(held, trained.support_vectors_, sparse=sparse)
    held.numberOfSupportVectorsPerClass.extend(trained.n_support_.tolist())
    for row in trained._dual_coef_.tolist():
        held.coefficients.add().alpha.extend(row)
    held.rho.extend((-trained._intercept_).tolist())
    held.probA.extend(trained._probA.tolist())
    held.probB.extend(trained._probB.tolist())
    return spec


def trained(kernel, classes, *, probability=False, kind=SVC):
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(90, 4)).round(1)
    y = (np.arange(90) + (x[:, 0] > 0)) % classes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # scikit-learn 1.9 wants probabilities from another class
        return kind(kernel=kernel, probability=probability, random_state=0, **KERNELS[kernel]).fit(x, y)


ROWS = np.random.default_rng(7).normal(size=(400, 4)).round(1)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("kernel", KERNELS)
def test_votes_as_libsvm(kernel, classes, sparse):
    machine = trained(kernel, classes)
    got = run(written(machine, list(range(classes)), sparse=sparse), x=ROWS)
    assert got["label"].tolist() == machine.predict(ROWS).tolist()
    assert list(got) == ["label"]


@pytest.mark.parametrize("classes", [3, 5])
@pytest.mark.parametrize(("kind", "kernel"), [*((SVC, each) for each in KERNELS), (NuSVC, "linear"), (NuSVC, "rbf")])
def test_probabilities_of_several_classes_as_libsvm(kernel, classes, kind):
    machine = trained(kernel, classes, probability=True, kind=kind)
    labels = [f"class {place}" for place in range(classes)]
    got, want = run(written(machine, labels), x=ROWS), machine.predict_proba(ROWS)
    np.testing.assert_allclose(got["probabilities"], want, atol=1e-12)
    assert got["label"].tolist() == [labels[place] for place in want.argmax(axis=1)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_two_classes_take_their_share_as_it_is(kernel):
    """scikit-learn's older libsvm couples two classes as well, up to half a percent beside the share."""
    machine = trained(kernel, 2, probability=True)
    got = run(written(machine, [5, 6]), x=ROWS)["probabilities"]
    decisions = -machine.decision_function(ROWS)  # libsvm's is for the first class
    (a,), (b,) = machine._probA, machine._probB
    first = [1 / (1 + math.exp(a * each + b)) for each in decisions]
    np.testing.assert_allclose(got, [[each, 1 - each] for each in first], rtol=1e-9)
    np.testing.assert_allclose(got, machine.predict_proba(ROWS), atol=0.005)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_regressions_as_libsvm(kernel, sparse):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 4))
    machine = SVR(kernel=kernel, **KERNELS[kernel]).fit(x, x[:, 0] - x[:, 1] ** 2)
    spec = model("supportVectorRegressor", {"x": 4}, {"y": "double"})
    held = spec.supportVectorRegressor
    set_kernel(held.kernel, kernel, **KERNELS[kernel])
    set_vectors(held, machine.support_vectors_, sparse=sparse)
    held.coefficients.alpha.extend(machine.dual_coef_[0].tolist())
    held.rho = -machine.intercept_[0]
    np.testing.assert_allclose(run(spec, x=ROWS)["y"], machine.predict(ROWS), rtol=1e-9, atol=1e-9)


def test_many_rows_come_in_parts():
    machine = trained("rbf", 3, probability=True)
    rows = np.random.default_rng(0).normal(size=(40_000, 4))
    got = run(written(machine, [0, 1, 2]), x=rows)["probabilities"]
    np.testing.assert_allclose(got[-50:], machine.predict_proba(rows[-50:]), atol=1e-12)
    assert got.shape == (40_000, 3)


def by_hand(decisions, classes):
    """One pair's decision each, all of them the constant: -rho."""
    spec = classifier("supportVectorClassifier", {"x": 1}, list(range(classes)), probabilities=False)
    held = spec.supportVectorClassifier
    held.kernel.linearKernel.SetInParent()
    held.denseSupportVectors.SetInParent()
    held.numberOfSupportVectorsPerClass.extend([0] * classes)
    for _ in range(classes - 1):
        held.coefficients.add()
    held.rho.extend(-each for each in decisions)
    return spec


@pytest.mark.parametrize(
    ("decisions", "label"),
    [
        ([1.0], 0),
        ([0.0], 1),  # not above 0
        ([-0.0], 1),
        ([1.0, -1.0, 1.0], 0),  # a vote each
        ([-1.0, 1.0, -1.0], 0),
        ([-1.0, -1.0, -1.0], 2),
        ([-1.0, 1.0, 1.0], 1),
        ([], 0),
    ],
)
def test_without_support_vectors_the_constants_vote_and_the_first_of_equals_wins(decisions, label):
    classes = {0: 1, 1: 2, 3: 3}[len(decisions)]
    assert run(by_hand(decisions, classes), x=[[1.0], [9.0]])["label"].tolist() == [label, label]


def test_shares_are_kept_from_0_and_1():
    spec = by_hand([1000.0], 2)
    spec.description.predictedProbabilitiesName = "probabilities"
    spec.supportVectorClassifier.probA.append(-1)
    spec.supportVectorClassifier.probB.append(0)
    run_of = Classic(spec)
    run_of._outputs.append("probabilities")
    got = run_of.run({"x": np.zeros((1, 1))})["probabilities"]
    np.testing.assert_allclose(got, [[1 - 1e-7, 1e-7]], rtol=1e-9)


def test_probabilities_that_cannot_be_computed_are_named():
    spec = written(trained("rbf", 3, probability=True), [0, 1, 2])
    del spec.supportVectorClassifier.probA[:], spec.supportVectorClassifier.probB[:]
    assert unsupported(spec) == ["supportVectorClassifier with probabilities but without probA"]


def _without(field):
    return lambda held: getattr(held, field).pop()


BROKEN = {
    "a coefficient less": lambda held: held.coefficients[0].alpha.pop(),
    "a row of coefficients less": _without("coefficients"),
    "rho": _without("rho"),
    "probA": _without("probA"),
    "counts": _without("numberOfSupportVectorsPerClass"),
    "a negative count": lambda held: held.numberOfSupportVectorsPerClass.__setitem__(0, -1),
    "an absurd count": lambda held: held.numberOfSupportVectorsPerClass.__setitem__(0, 2**31 - 1),
    "no kernel": lambda held: held.ClearField("kernel"),
    "gamma NaN": lambda held: setattr(held.kernel.rbfKernel, "gamma", math.nan),
    "a negative degree": lambda held: setattr(held.kernel.polyKernel, "degree", -1),
    "a vector less": lambda held: held.denseSupportVectors.vectors.pop(),
    "a vector of another length": lambda held: held.denseSupportVectors.vectors[3].values.pop(),
    "a value NaN": lambda held: held.denseSupportVectors.vectors[3].values.__setitem__(0, math.nan),
    "no labels": lambda held: held.ClearField("int64ClassLabels"),
    "a label more": lambda held: held.int64ClassLabels.vector.append(9),
    "no vectors": lambda held: held.ClearField("supportVectors"),
    "a sparse index of 0": lambda held: _sparse(held, 0),
    "a sparse index too high": lambda held: _sparse(held, 2**31 - 1),
}


def _sparse(held, index):
    count = len(held.denseSupportVectors.vectors)
    for _ in range(count):
        held.sparseSupportVectors.vectors.add().nodes.add(index=index, value=1.0)


@pytest.mark.parametrize("broken", BROKEN)
def test_a_machine_that_does_not_hold_together_is_refused(broken):
    spec = written(trained("rbf", 3, probability=True), [0, 1, 2])
    BROKEN[broken](spec.supportVectorClassifier)
    with pytest.raises(ConversionError, match="supportVectorClassifier"):
        Classic(spec).run({"x": ROWS})


def test_rows_of_another_width_are_refused():
    with pytest.raises(ConversionError, match="4 features for rows of 3"):
        run(written(trained("rbf", 3), [0, 1, 2]), x=ROWS[:, :3])


def test_pairs_are_in_libsvms_order():
    """Four classes of one support vector each, every coefficient another number: the decisions by the text of SVM.proto."""
    rng = np.random.default_rng(1)
    vectors, alpha, rho = rng.normal(size=(4, 2)), rng.normal(size=(3, 4)), rng.normal(size=6)
    spec = by_hand(rho, 4)
    held = spec.supportVectorClassifier
    del held.numberOfSupportVectorsPerClass[:], held.coefficients[:], held.rho[:]
    held.numberOfSupportVectorsPerClass.extend([1] * 4)
    set_vectors(held, vectors, sparse=False)
    for row in alpha.tolist():
        held.coefficients.add().alpha.extend(row)
    held.rho.extend(rho.tolist())
    rows = rng.normal(size=(200, 2))
    wanted = []
    for row in rows:
        kernel = [sum(a * b for a, b in zip(row, vector, strict=True)) for vector in vectors]
        votes = [0] * 4
        for place, (i, j) in enumerate(combinations(range(4), 2)):
            decision = alpha[j - 1][i] * kernel[i] + alpha[i][j] * kernel[j] - rho[place]
            votes[i if decision > 0 else j] += 1
        wanted.append(votes.index(max(votes)))
    assert run(spec, x=rows)["label"].tolist() == wanted


def many_classes(classes, *, probabilities=False):
    """A vector per class, which is its number; of a pair the class with the larger x times number wins."""
    spec = classifier("supportVectorClassifier", {"x": 1}, list(range(classes)), probabilities=probabilities)
    held = spec.supportVectorClassifier
    set_kernel(held.kernel, "linear")
    set_vectors(held, np.arange(classes, dtype=float).reshape(-1, 1), sparse=False)
    held.numberOfSupportVectorsPerClass.extend([1] * classes)
    for row in range(classes - 1):  # of class c: its opponent in this row is row + 1 for c <= row, else row
        held.coefficients.add().alpha.extend([1.0] * (row + 1) + [-1.0] * (classes - row - 1))
    pairs = classes * (classes - 1) // 2
    held.rho.extend([0.0] * pairs)
    if probabilities:
        held.probA.extend([-1.0] * pairs)
        held.probB.extend([0.0] * pairs)
    return spec


def test_many_classes_vote_without_a_step_per_pair():
    """The lines that run grow with the classes, not with their square."""
    opened, lines, before = Classic(many_classes(300)), 0, sys.gettrace()

    def trace(_frame, _event, _argument):
        nonlocal lines
        lines += 1
        return trace

    sys.settrace(trace)
    try:
        got = opened.run({"x": np.array([[1.0], [-1.0]])})
    finally:
        sys.settrace(before)
    assert got["label"].tolist() == [299, 0]
    assert lines < 10_000


def test_a_decision_that_is_no_number_is_a_vote_for_the_second():
    assert run(many_classes(4), x=np.array([[math.nan]]))["label"].tolist() == [3]


def test_probabilities_of_more_classes_than_can_be_coupled_are_named():
    assert unsupported(many_classes(MOST_COUPLED + 1, probabilities=True)) == [
        f"supportVectorClassifier with probabilities of more than {MOST_COUPLED} classes"
    ]
