"""Run a Bayesian probit regression (``bayesianProbitRegressor``).

Source of the rules: BayesianProbitRegressor.proto. Every feature takes one of some whole values, and every value has a weight,
a Gaussian; the bias is one more. ``mean`` and ``variance`` of their sum are outputs, the answer is Φ(mean), and the pessimistic
probability Φ(mean + optimism * standard deviation). The input is a vector (place: feature, number: its value) or a matrix of
two columns (feature, value).

The specification divides by a β which the file does not hold; it is taken as 1 here. A value without a weight is an error: the
file does not say what it would count. A sampled probability is random and not evaluated. (The format has no other naive Bayes.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.classic.stage import Array, Doubles, Label, Rows, Run, doubles, flat, given, normal
from mlpublish.coreml.schema import Message

KINDS = ("bayesianProbitRegressor",)


def unsupported(stage: Message) -> list[str]:
    """The sampled probability, where it is an output."""
    sampled = stage.bayesianProbitRegressor.sampledProbabilityOutputFeatureName
    wanted = sampled and sampled in [each.name for each in stage.description.output]
    return ["bayesianProbitRegressor with a sampled probability"] if wanted else []


def classes(_stage: Message) -> tuple[Label, ...]:
    """None: it is a regression."""
    return ()


def opened(stage: Message) -> Run:
    """Read the weights."""
    held = stage.bayesianProbitRegressor
    weights = _Weights(held)

    def run(known: Rows) -> Rows:
        mean, variance = weights.sums(given(known, str(held.regressionInputFeatureName)))
        answers: dict[str, Callable[[], Doubles]] = {
            str(held.meanOutputFeatureName): lambda: mean,
            str(held.varianceOutputFeatureName): lambda: variance,
            str(held.pessimisticProbabilityOutputFeatureName): lambda: normal(
                mean + _optimism(held, known) * np.sqrt(variance)
            ),
        }
        names = [str(each.name) for each in stage.description.output]
        return {name: answers.get(name, lambda: normal(mean))() for name in names}

    return run


def _optimism(held: Message, known: Rows) -> Doubles:
    """How many standard deviations the mean is shifted by; 0 where the input is left out."""
    name = str(held.optimismInputFeatureName)
    return flat(known[name], name)[:, 0] if name in known else np.zeros(1)


class _Weights:
    """The Gaussians, by feature and value."""

    def __init__(self, held: Message) -> None:
        pairs = [(feature.featureId, each) for feature in held.features for each in feature.weights]
        keys = np.asarray([(number << 32) | each.featureValue for number, each in pairs], dtype=np.uint64)
        self._features = int(held.numberOfFeatures)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        if (self._keys[1:] == self._keys[:-1]).any():
            raise ValueError("a value of a feature has two weights")
        gaussians = [*(each.featureWeight for _, each in pairs), held.bias]
        self._means = doubles((each.mean for each in gaussians), "a weight")
        precisions = doubles((each.precision for each in gaussians), "a weight")
        if (precisions <= 0).any():
            raise ValueError(f"a weight has the precision {precisions.min()}")
        self._variances = 1 / precisions

    def sums(self, values: Array) -> tuple[Doubles, Doubles]:
        """Mean and variance of the sum of each row's weights and the bias."""
        places = self._order[self._found(self._asked(values))]
        mean: Doubles = self._means[places].sum(axis=1) + self._means[-1]
        variance: Doubles = self._variances[places].sum(axis=1) + self._variances[-1]
        return mean, variance

    def _asked(self, values: Array) -> NDArray[np.uint64]:
        """(rows, features) or (rows, some, 2) -> the keys of the values, (rows, some)."""
        if values.ndim == 2:
            pairs = np.stack(np.broadcast_arrays(np.arange(values.shape[1]), values), axis=-1)
            if values.shape[1] != self._features:
                raise ValueError(f"rows of {values.shape[1]} features, not {self._features}")
        else:
            pairs = values
        if pairs.ndim != 3 or pairs.shape[2] != 2:
            raise ValueError(f"rows of the shape {values.shape[1:]}, neither a vector nor two columns")
        if not ((pairs >= 0) & (pairs < 1 << 32) & (pairs == np.floor(pairs))).all():
            raise ValueError("a feature or its value is no whole number from 0 on")
        whole = pairs.astype(np.uint64)
        return (whole[..., 0] << np.uint64(32)) | whole[..., 1]

    def _found(self, asked: NDArray[np.uint64]) -> NDArray[np.int64]:
        places = np.minimum(np.searchsorted(self._keys, asked), max(0, len(self._keys) - 1))
        unknown = self._keys[places] != asked if len(self._keys) else np.ones(asked.shape, dtype=np.bool_)
        if unknown.any():
            key = int(asked[unknown][0])
            raise ValueError(f"feature {key >> 32} has no weight for the value {key & 0xFFFFFFFF}")
        return places
