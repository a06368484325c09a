"""Projections: ``(x - mean) @ components.T``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpublish.converting.graph.algebra import Linear
from mlpublish.converting.graph.columnwise import Function, Name, Scaled
from mlpublish.converting.graph.node import Doubles, Node
from mlpublish.converting.of_sklearn.reading import Reader, finite


def _principal(step: Any, x: Node) -> Node:
    """PCA and IncrementalPCA."""
    components = _components(step)
    if step.whiten:
        deviations = np.sqrt(finite(step.explained_variance_, step, "explained_variance_"))
        floor = np.finfo(np.asarray(step.explained_variance_).dtype).eps  # as the library: components without variance
        components = components / np.maximum(deviations, floor)[:, np.newaxis]
    return _projected(_centred(step, x), components)


def _plain(step: Any, x: Node) -> Node:
    """What projects without a mean: TruncatedSVD, learned distances, and projections at random."""
    return _projected(x, _components(step))


def _independent(step: Any, x: Node) -> Node:
    """FastICA: without whitening it has no mean."""
    return _projected(_centred(step, x) if step.whiten else x, _components(step))


def _factors(step: Any, x: Node) -> Node:
    """FactorAnalysis: the factors' means, given the row."""
    loadings = _components(step)
    with np.errstate(divide="ignore", invalid="ignore"):
        weighed = finite(loadings / finite(step.noise_variance_, step, "noise_variance_"), step, "noise_variance_")
    covariance = np.linalg.inv(np.eye(len(loadings)) + weighed @ loadings.T)
    return _projected(_centred(step, x), covariance @ weighed)


def _waves(step: Any, x: Node) -> Node:
    """RBFSampler: cosines at random, which stand for a kernel."""
    weights = finite(step.random_weights_, step, "random_weights_").T
    angles = Linear(of=x, weights=weights, offset=finite(step.random_offset_, step, "random_offset_"))
    height = np.full(len(weights), np.sqrt(2 / len(weights)))
    return Scaled(of=Function(of=angles, name=Name.COS), shift=np.zeros(len(weights)), scale=height)


def _components(step: Any) -> Doubles:
    return finite(step.components_, step, "components_")


def _centred(step: Any, x: Node) -> Node:
    """Rows without the mean: taken off before the projection, where it costs float32 the least."""
    mean = finite(step.mean_, step, "mean_")
    return Scaled(of=x, shift=-mean, scale=np.ones(x.width)) if mean.any() else x


def _projected(x: Node, components: Doubles) -> Node:
    return Linear(of=x, weights=components, offset=np.zeros(len(components)))


READERS: Mapping[str, Reader] = {
    "sklearn.decomposition.FactorAnalysis": Reader(transform=_factors),
    "sklearn.decomposition.FastICA": Reader(transform=_independent),
    "sklearn.decomposition.IncrementalPCA": Reader(transform=_principal),
    "sklearn.decomposition.PCA": Reader(transform=_principal),
    "sklearn.decomposition.TruncatedSVD": Reader(transform=_plain),
    "sklearn.kernel_approximation.RBFSampler": Reader(transform=_waves),
    "sklearn.neighbors.NeighborhoodComponentsAnalysis": Reader(transform=_plain),
    "sklearn.random_projection.GaussianRandomProjection": Reader(transform=_plain),
    "sklearn.random_projection.SparseRandomProjection": Reader(transform=_plain),
}
