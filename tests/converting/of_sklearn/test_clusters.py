from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans

from mlpublish.errors import ConversionError
from tests.converting.of_sklearn.agreeing import HELD_OUT, ROWS, assert_predicts, assert_transforms, of

MIDWAY = np.vstack([HELD_OUT, (ROWS[::2] + ROWS[1::2]) / 2])


@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
def test_the_nearest_centre_is_the_cluster(kind):
    model = kind(n_clusters=4, n_init=1, random_state=0).fit(ROWS)
    assert len(set(model.predict(MIDWAY).tolist())) > 2
    assert_predicts(model, MIDWAY)
    assert_transforms(model, MIDWAY)
    (number,) = of(model).numbers
    assert number.whole


def test_a_hierarchy_is_refused():
    with pytest.raises(ConversionError, match="BisectingKMeans is not converted"):
        of(BisectingKMeans(n_clusters=3, random_state=0).fit(ROWS))
