from __future__ import annotations

import re

import numpy as np
import pytest

from mlpublish.converting.files.lightgbm_text import parsed
from mlpublish.errors import ConversionError

lgb = pytest.importorskip("lightgbm", reason="needs lightgbm: pip install 'mlpublish[lightgbm]'")


@pytest.fixture(scope="module")
def text() -> str:
    rows = np.random.default_rng(1).normal(size=(80, 3))
    more = {"num_leaves": 5, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1, "objective": "multiclass", "num_class": 3}
    return lgb.train(more, lgb.Dataset(rows, np.digitize(rows.sum(axis=1), [-1, 1])), 2).model_to_string()


def test_a_text_is_what_the_library_says_of_itself(text):
    model, told = parsed(text), lgb.Booster(model_str=text).dump_model()
    assert (model.objective, model.results, model.averaged) == ("multiclass num_class:3", 3, False)
    assert list(model.names) == told["feature_names"]
    assert len(model.trees) == len(told["tree_info"]) == 6
    for tree, other in zip(model.trees, told["tree_info"], strict=True):
        root = other["tree_structure"]
        assert (tree.feature[0], tree.threshold[0], len(tree.leaves)) == (
            root["split_feature"],
            root["threshold"],
            other["num_leaves"],
        )


def test_a_text_that_was_cut_off_anywhere_among_its_trees_is_refused(text):
    end = text.index("end of trees")
    for place in range(0, end, 37):
        with pytest.raises(ConversionError, match="no whole model of LightGBM"):
            parsed(text[:place])


CHANGES = {
    "a leaf less": (r"leaf_value=\S+ ", "leaf_value=", "leaf_value has 4 numbers in place of 5"),
    "a child of its own": (r"left_child=\S+", "left_child=0", "do not hang together"),
    "one child twice": (r"right_child=(\S+) \S+", r"right_child=\1 \1", "do not hang together"),
    "a child beyond": (r"left_child=\S+", "left_child=77", "do not hang together"),
    "a feature beyond": (r"split_feature=\S+", "split_feature=3", "not there"),
    "a feature before": (r"split_feature=\S+", "split_feature=-1", "do not hang together"),
    "a word": (r"threshold=\S+", "threshold=high", "holds what is no number"),
    "a leaf of infinity": (r"leaf_value=\S+", "leaf_value=inf", "NaN or infinity"),
    "no leaves": ("num_leaves=5", "num_leaves=0", "no leaves"),
    "trees left out": ("tree_sizes=\\S+ ", "tree_sizes=", "trees are lacking"),
    "no names": ("feature_names", "names", "lacks feature_names"),
}


@pytest.mark.parametrize(("pattern", "new", "told"), CHANGES.values(), ids=CHANGES)
def test_a_text_that_was_changed_is_refused(text, pattern, new, told):
    changed, count = re.subn(pattern, new, text, count=1)
    assert count == 1
    with pytest.raises(ConversionError, match=told):
        parsed(changed)
