from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA, FactorAnalysis, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.kernel_approximation import RBFSampler
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from mlpublish.converting.of_sklearn.decomposition import READERS
from mlpublish.converting.of_sklearn.reading import transformed
from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import HELD_OUT, ROWS, THREE, assert_transforms, of

PROJECTIONS = {
    "PCA": PCA(),
    "PCA, two": PCA(n_components=2),
    "PCA, whiten": PCA(n_components=3, whiten=True),
    "PCA, share": PCA(n_components=0.99, svd_solver="full"),
    "PCA, randomized": PCA(n_components=2, svd_solver="randomized", random_state=0),
    "IncrementalPCA": IncrementalPCA(n_components=2, batch_size=20),
    "IncrementalPCA, whiten": IncrementalPCA(n_components=2, batch_size=20, whiten=True),
    "TruncatedSVD": TruncatedSVD(n_components=2, random_state=0),
    "TruncatedSVD, arpack": TruncatedSVD(n_components=3, algorithm="arpack", random_state=0),
    "FactorAnalysis": FactorAnalysis(n_components=2, max_iter=50, tol=1.0),
    "FactorAnalysis, varimax": FactorAnalysis(n_components=2, max_iter=50, tol=1.0, rotation="varimax"),
    "FastICA": FastICA(n_components=2, random_state=0, whiten="unit-variance", tol=0.1),
    "FastICA, arbitrary": FastICA(n_components=2, random_state=0, whiten="arbitrary-variance", tol=0.1),
    "FastICA, no whitening": FastICA(random_state=0, whiten=False, tol=0.5),
    "GaussianRandomProjection": GaussianRandomProjection(n_components=3, random_state=0),
    "NeighborhoodComponentsAnalysis": NeighborhoodComponentsAnalysis(n_components=2, random_state=0, max_iter=5),
    "RBFSampler": RBFSampler(gamma=0.1, n_components=7, random_state=0),
    "SparseRandomProjection": SparseRandomProjection(n_components=3, random_state=0, density=0.5),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", PROJECTIONS.values(), ids=PROJECTIONS)
def test_a_projection_is_its_components(model):
    assert_transforms(model.fit(ROWS, THREE))


def test_every_projection_is_tried():
    assert {name.rpartition(".")[2] for name in READERS} == {type(model).__name__ for model in PROJECTIONS.values()}


def test_whitening_holds_a_component_without_variance():
    flat = np.column_stack([ROWS, ROWS[:, 0] + ROWS[:, 1]])
    model = PCA(whiten=True).fit(flat)
    model.explained_variance_[-1] = 1e-40  # as the solvers by eigenvalues leave it
    rows = np.column_stack([HELD_OUT, np.zeros(len(HELD_OUT))])[:-2]
    np.testing.assert_array_less(np.abs(model.transform(rows)).max(), np.inf)
    assert_transforms(model, rows)


def test_a_factor_without_noise_is_refused():
    model = FactorAnalysis(n_components=2, max_iter=5, tol=10.0).fit(ROWS)
    model.noise_variance_[1] = 0
    with pytest.raises(ConversionError, match=r"FactorAnalysis.noise_variance_ holds NaN or infinity"):
        of(model, method=transformed)


@pytest.mark.parametrize("attribute", ["components_", "mean_", "explained_variance_"])
def test_numbers_that_are_not_finite_are_refused(attribute):
    model = PCA(n_components=2, whiten=True).fit(ROWS)
    getattr(model, attribute).flat[0] = np.nan
    with pytest.raises(ConversionError, match=rf"PCA.{attribute} holds NaN or infinity"):
        of(model, method=transformed)
