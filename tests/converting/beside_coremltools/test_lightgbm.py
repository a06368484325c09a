"""LightGBM, for which coremltools has no converter."""

from __future__ import annotations

import numpy as np
import pytest

from tests.converting.sources.data import NUMBERS

lightgbm = pytest.importorskip("lightgbm", reason="needs LightGBM: pip install 'mlpublish[lightgbm]'")


def test_it_is_not_known_to_coremltools(judge):
    import coremltools

    model = lightgbm.LGBMRegressor(n_estimators=4, verbose=-1, n_jobs=1).fit(NUMBERS.x, NUMBERS.y)
    with pytest.raises(ValueError, match="Unable to determine the type of the model"):
        coremltools.convert(model)
    np.testing.assert_allclose(judge.ours(model, NUMBERS.held)["prediction"], model.predict(NUMBERS.held), rtol=1e-9)
