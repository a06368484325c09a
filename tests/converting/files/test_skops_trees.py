"""Trees of scikit-learn whose nodes were changed in a skops file: it would follow them out of its memory, or for ever."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeRegressor

from mlpublish.converting.convert import convert
from mlpublish.errors import ConversionError

sio = pytest.importorskip("skops.io", reason="needs skops: pip install 'mlpublish[skops]'")

ROWS = np.random.default_rng(11).normal(size=(40, 3))
MODELS = {
    "tree": lambda: DecisionTreeRegressor(max_depth=2),
    "forest": lambda: RandomForestRegressor(2, max_depth=2, n_jobs=1, random_state=0),
    "gradient boosting": lambda: GradientBoostingRegressor(n_estimators=2, max_depth=2),
    "histograms": lambda: HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=4),
    "isolation": lambda: IsolationForest(n_estimators=2, max_samples=8, random_state=0),
}


def sides(nodes):
    return ("left_child", "right_child") if "left_child" in nodes.dtype.names else ("left", "right")


def circle(nodes):
    for side in sides(nodes):
        nodes[side][0] = 0


def far(nodes):
    for side in sides(nodes):
        nodes[side][0] = 2**30


def twice(nodes):
    left, right = sides(nodes)
    nodes[left][0] = nodes[right][0]


def asking(nodes):
    nodes["feature" if "feature" in nodes.dtype.names else "feature_idx"][0] = 2**29


CHANGES = {"a circle": circle, "far away": far, "one child twice": twice, "a feature that is not there": asking}


def changed(model, change) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sio.dumps(model))) as archive, zipfile.ZipFile(made, "w") as other:
        for name in archive.namelist():
            part = archive.read(name)
            if name.endswith(".npy"):
                values = np.load(io.BytesIO(part))
                if values.dtype.names and {"left", "left_child"} & set(values.dtype.names):
                    change(values)
                    held = io.BytesIO()
                    np.save(held, values)
                    part = held.getvalue()
            other.writestr(name, part)
    return made.getvalue()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_nodes_that_do_not_hang_together_are_refused_before_they_are_followed(tmp_path, model, change):
    fitted = model().fit(ROWS, ROWS[:, 0] + ROWS[:, 1])
    (tmp_path / "m.skops").write_bytes(changed(fitted, change))
    with pytest.raises(ConversionError, match="nodes do not hang together"):
        convert(tmp_path / "m.skops", samples=ROWS, out=tmp_path / "out", progress=False)
