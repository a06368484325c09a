"""Support vectors, neighbours, Bayes, networks, clusters, and classifiers made of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from sklearn import calibration, cluster, ensemble, multiclass, naive_bayes, neighbors, neural_network, svm
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.converting.sources.data import NUMBERS, TEXTS, THREE, TWO, TWO_NUMBERS, TWO_TEXTS, above_zero
from tests.converting.sources.entry import Entry, by_methods, with_scores
from tests.converting.sources.entry import of_scikit_learn as of

KERNELS = ("linear", "rbf", "poly", "sigmoid")


def _scaled(make):
    return lambda: make_pipeline(StandardScaler(), make())


def entries() -> Iterator[Entry]:
    yield from _support_vectors()
    yield from _neighbours()
    yield from _bayes()
    yield from _clusters()
    yield from _networks()
    yield from _committees()
    yield from _calibrated()


def _support_vectors() -> Iterator[Entry]:
    def machine(kind, kernel, **asked):
        return _scaled(lambda: kind(kernel=kernel, **asked))

    classes = {f"{kernel}_binary": (machine(svm.SVC, kernel), TWO) for kernel in KERNELS}
    classes |= {f"{kernel}": (machine(svm.SVC, kernel), TEXTS) for kernel in KERNELS}
    probable = {"probability": True, "random_state": 0}
    yield from of(
        "SVC",
        **classes,
        probability_binary=(machine(svm.SVC, "rbf", **probable), TWO_TEXTS),
        probability=(machine(svm.SVC, "rbf", **probable), THREE),
        ties_broken=(machine(svm.SVC, "rbf", break_ties=True), THREE),
        on_raw_rows=(svm.SVC, TEXTS),
    )
    yield from of("SVR", **{kernel: (machine(svm.SVR, kernel), NUMBERS) for kernel in KERNELS})
    yield from of("NuSVC", binary=(machine(svm.NuSVC, "rbf"), TWO), three_classes=(machine(svm.NuSVC, "rbf", nu=0.2), THREE))
    yield from of("NuSVR", regression=(machine(svm.NuSVR, "rbf"), NUMBERS))
    for entry in of("OneClassSVM", **{kernel: (machine(svm.OneClassSVM, kernel, nu=0.3), NUMBERS) for kernel in KERNELS}):
        yield replace(entry, said=with_scores)
    yield from of(
        "OneVsOneClassifier",
        of_lines=(_scaled(lambda: multiclass.OneVsOneClassifier(LogisticRegression())), THREE),
        of_bayes=(lambda: multiclass.OneVsOneClassifier(naive_bayes.GaussianNB()), TEXTS),
    )


def _neighbours() -> Iterator[Entry]:
    def classifier(**asked):
        return _scaled(lambda: neighbors.KNeighborsClassifier(**asked))

    def regressor(**asked):
        return _scaled(lambda: neighbors.KNeighborsRegressor(**asked))

    yield from of(
        "KNeighborsClassifier",
        uniform=(classifier(n_neighbors=3), TEXTS),
        distance=(classifier(weights="distance"), THREE),
        manhattan=(classifier(p=1), TWO),
        minkowski=(classifier(p=3, weights="distance"), TWO_TEXTS),
        on_raw_rows=(neighbors.KNeighborsClassifier, THREE),
    )
    yield from of(
        "KNeighborsRegressor",
        uniform=(regressor(n_neighbors=3), NUMBERS),
        distance=(regressor(weights="distance"), NUMBERS),
        two_targets=(regressor(), TWO_NUMBERS),
        at_training_rows=(regressor(weights="distance", algorithm="kd_tree"), replace(NUMBERS, held=NUMBERS.x[:40])),
    )
    yield from of(
        "NearestCentroid",
        binary=(_scaled(neighbors.NearestCentroid), TWO_TEXTS),
        three_classes=(lambda: neighbors.NearestCentroid(metric="manhattan"), THREE),
    )


def _bayes() -> Iterator[Entry]:
    yield from of("GaussianNB", binary=(naive_bayes.GaussianNB, TWO), three_classes=(naive_bayes.GaussianNB, TEXTS))
    for name in ("MultinomialNB", "ComplementNB"):
        kind = getattr(naive_bayes, name)
        yield from of(name, binary=(kind, above_zero(TWO)), three_classes=(kind, above_zero(TEXTS)))
    yield from of(
        "BernoulliNB",
        binary=(naive_bayes.BernoulliNB, TWO),
        three_classes=(lambda: naive_bayes.BernoulliNB(binarize=2.1), TEXTS),
        binary_rows=(lambda: make_pipeline(Binarizer(threshold=0.3), naive_bayes.BernoulliNB(binarize=None)), THREE),
    )


def _clusters() -> Iterator[Entry]:
    def centres():
        return cluster.KMeans(4, n_init=1, random_state=0)

    for entry in (
        *of(
            "KMeans",
            clusters=(centres, NUMBERS),
            scaled=(_scaled(centres), NUMBERS),
            before_a_line=(lambda: make_pipeline(StandardScaler(), centres(), Ridge()), NUMBERS),
        ),
        *of("MiniBatchKMeans", clusters=(lambda: cluster.MiniBatchKMeans(4, n_init=1, random_state=0), NUMBERS)),
    ):
        yield replace(entry, said=_of_doubles)  # fitted on doubles it does not take float32


def _of_doubles(model, rows):
    return by_methods(model, rows.astype(np.float64))


def _networks() -> Iterator[Entry]:
    small = {"hidden_layer_sizes": (6, 4), "max_iter": 60, "random_state": 0}
    kinds = ("relu", "tanh", "logistic", "identity")

    def classifier(**asked):
        return _scaled(lambda: neural_network.MLPClassifier(**small, **asked))

    def regressor(**asked):
        return _scaled(lambda: neural_network.MLPRegressor(**small, **asked))

    yield from of("MLPClassifier", binary=(classifier(), TWO), **{kind: (classifier(activation=kind), TEXTS) for kind in kinds})
    yield from of(
        "MLPRegressor",
        two_targets=(regressor(), TWO_NUMBERS),
        **{kind: (regressor(activation=kind), NUMBERS) for kind in kinds},
    )


def _committees() -> Iterator[Entry]:
    classifiers = [
        ("line", make_pipeline(StandardScaler(), LogisticRegression())),
        ("tree", DecisionTreeClassifier(max_depth=4, random_state=0)),
        ("bayes", naive_bayes.GaussianNB()),
    ]
    regressors = [("line", Ridge()), ("tree", DecisionTreeRegressor(max_depth=4, random_state=0))]
    yield from of(
        "VotingClassifier",
        soft=(lambda: ensemble.VotingClassifier(classifiers, voting="soft"), TEXTS),
        soft_weighted=(lambda: ensemble.VotingClassifier(classifiers, voting="soft", weights=[3, 1, 2]), TWO),
        hard=(lambda: ensemble.VotingClassifier(classifiers, weights=[3, 1, 1.5]), THREE),
        hard_of_support_vectors=(lambda: ensemble.VotingClassifier([*classifiers, ("machine", _scaled(svm.SVC)())]), TEXTS),
    )
    yield from of("VotingRegressor", weighted=(lambda: ensemble.VotingRegressor(regressors, weights=[1, 2]), NUMBERS))
    yield from of(
        "StackingClassifier",
        binary=(lambda: ensemble.StackingClassifier(classifiers, LogisticRegression(), cv=2), TWO),
        three_classes=(lambda: ensemble.StackingClassifier(classifiers, LogisticRegression(), cv=2), TEXTS),
        with_the_rows=(
            lambda: ensemble.StackingClassifier(
                classifiers, DecisionTreeClassifier(max_depth=3, random_state=0), passthrough=True, cv=2
            ),
            THREE,
        ),
        on_support_vectors=(lambda: ensemble.StackingClassifier([("machine", _scaled(svm.SVC)())], cv=2), TEXTS),
        on_labels=(lambda: ensemble.StackingClassifier(classifiers, cv=2, stack_method="predict"), TWO_TEXTS),
    )
    yield from of(
        "StackingRegressor", regression=(lambda: ensemble.StackingRegressor(regressors, LinearRegression(), cv=2), NUMBERS)
    )


def _calibrated() -> Iterator[Entry]:
    def made(inner, **asked):
        return lambda: calibration.CalibratedClassifierCV(inner, cv=2, **asked)

    machine = make_pipeline(StandardScaler(), svm.LinearSVC())
    yield from of(
        "CalibratedClassifierCV",
        sigmoid_binary=(made(machine), TWO),
        sigmoid=(made(machine), TEXTS),
        sigmoid_of_one=(made(machine, ensemble=False), THREE),
        isotonic_binary=(made(naive_bayes.GaussianNB(), method="isotonic"), TWO),
        isotonic=(made(naive_bayes.GaussianNB(), method="isotonic"), THREE),
        of_trees=(made(DecisionTreeClassifier(max_depth=3, random_state=0)), THREE),
        of_support_vectors=(made(make_pipeline(StandardScaler(), svm.SVC())), THREE),
        of_pairs=(made(make_pipeline(StandardScaler(), svm.SVC(decision_function_shape="ovo"))), TEXTS),
    )
