from __future__ import annotations

import math
import statistics
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.errors import ConversionError
from tests.coreml.classic.building import classifier, model, run

X = np.asarray([[1.0, 2.0], [-3.0, 0.5]], np.float32)


def _two_classes(glm):
    glm.weights.add().value.extend([0.5, -1.0])
    glm.offset.append(0.25)
    glm.classEncoding = glm.OneVsRest
    glm.int64ClassLabels.vector.extend([7, 9])


def test_one_row_of_weights_speaks_for_the_second_class(glm):
    model = load(glm(_two_classes))
    got = model.predict_rows({"input": X})
    second = 1 / (1 + np.exp(-(X @ [0.5, -1.0] + 0.25)))
    assert model.classes == (7, 9)
    np.testing.assert_allclose(got["classProbability"], np.column_stack([1 - second, second]), rtol=1e-12)
    np.testing.assert_array_equal(got["classLabel"], np.where(second > 0.5, 9, 7))


def test_one_against_the_rest_is_scaled_to_a_sum_of_one(glm):
    def fill(model):
        for row in ([1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]):
            model.weights.add().value.extend(row)
        model.offset.extend([0, 0, 0])
        model.classEncoding = model.OneVsRest
        model.int64ClassLabels.vector.extend([0, 1, 2])

    got = load(glm(fill)).predict_rows({"input": X})
    np.testing.assert_allclose(got["classProbability"].sum(axis=1), 1)
    np.testing.assert_array_equal(got["classLabel"], [1, 2])


def test_a_regression_is_a_number_per_row(glm):
    def fill(model):
        model.weights.add().value.extend([2.0, 3.0])
        model.offset.append(-1.0)

    got = load(glm(fill, kind="glmRegressor")).predict_rows({"input": X})["prediction"]
    np.testing.assert_allclose(got, X @ [2.0, 3.0] - 1)


FIVE = np.asarray([[1.0, -2.0], [0.0, 0.0], [-0.0, 3.5], [800.0, -800.0], [-2.0, 0.25]])
WEIGHTS, OFFSETS = [[0.5, -1.0], [2.0, 0.25], [-1.0, 1.0]], [0.25, -0.5, 0.0]


def filled(spec, rows=3, **settings):
    held = spec.glmClassifier if spec.WhichOneof("Type") == "glmClassifier" else spec.glmRegressor
    for weights, offset in zip(WEIGHTS[:rows], OFFSETS[:rows], strict=True):
        held.weights.add().value.extend(weights)
        held.offset.append(offset)
    for name, value in settings.items():
        setattr(held, name, value)
    return spec


def inverse(link, score):
    """The inverse link, number by number."""
    if link == "probit":
        return statistics.NormalDist().cdf(score)
    return 1 / (1 + math.exp(-score)) if score > -700 else 0.0


def score(row, place):
    return sum(weight * value for weight, value in zip(WEIGHTS[place], row, strict=True)) + OFFSETS[place]


@pytest.mark.parametrize("encoding", [0, 1])
@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("labels", [["no", "yes"], [9, -2]])
def test_two_classes(labels, link, encoding):
    spec = filled(
        classifier("glmClassifier", {"x": 2}, labels), 1, classEncoding=encoding, postEvaluationTransform=int(link == "probit")
    )
    second = [inverse(link, score(row, 0)) for row in FIVE]
    got = run(spec, x=FIVE)
    np.testing.assert_allclose(got["probabilities"], [[1 - each, each] for each in second], atol=1e-15)
    assert got["label"].tolist() == [labels[each > 0.5] for each in second]


def test_several_classes_against_the_first():
    spec = filled(classifier("glmClassifier", {"x": 2}, ["a", "b", "c", "d"]), classEncoding=0)
    scores = [[0.0, *(score(row, place) for place in range(3))] for row in FIVE]
    shares = [[math.exp(each - max(row)) for each in row] for row in scores]
    got = run(spec, x=FIVE)
    np.testing.assert_allclose(got["probabilities"], [[each / sum(row) for each in row] for row in shares], atol=1e-15)
    assert got["label"].tolist() == ["abcd"[row.index(max(row))] for row in shares]


def test_several_classes_each_against_the_rest():
    spec = filled(classifier("glmClassifier", {"x": 2}, [4, 5, 6]), classEncoding=1)
    shares = [[inverse("logit", score(row, place)) for place in range(3)] for row in FIVE]
    got = run(spec, x=FIVE)
    np.testing.assert_allclose(got["probabilities"], [[each / sum(row) for each in row] for row in shares], atol=1e-15)
    assert got["label"].tolist() == [4 + row.index(max(row)) for row in shares]


def test_shares_that_are_all_0_stay_0_and_the_first_class_wins():
    spec = classifier("glmClassifier", {"x": 1}, [4, 5, 6])
    spec.glmClassifier.classEncoding = 1
    for _ in range(3):
        spec.glmClassifier.weights.add().value.append(-1)
        spec.glmClassifier.offset.append(0)
    got = run(spec, x=[[900.0]])
    assert got["probabilities"].tolist() == [[0, 0, 0]]
    assert got["label"].tolist() == [4]


@pytest.mark.parametrize("labels", [2, 3])
def test_a_logistic_regression_of_scikit_learn(labels):
    rng = np.random.default_rng(labels)
    x, y = rng.normal(size=(200, 4)), rng.integers(0, labels, 200)
    trained = LogisticRegression().fit(x, y)
    spec = classifier("glmClassifier", {"x": 4}, list(range(labels)))
    rows = trained.coef_[1:] - trained.coef_[0] if labels > 2 else trained.coef_
    for weights in rows.tolist():
        spec.glmClassifier.weights.add().value.extend(weights)
    offsets = trained.intercept_[1:] - trained.intercept_[0] if labels > 2 else trained.intercept_
    spec.glmClassifier.offset.extend(offsets.tolist())
    got = run(spec, x=x)
    np.testing.assert_allclose(got["probabilities"], trained.predict_proba(x), rtol=1e-10)
    assert got["label"].tolist() == trained.predict(x).tolist()


@pytest.mark.parametrize("link", [0, 1, 2])
@pytest.mark.parametrize("outputs", [1, 3])
def test_regressions(link, outputs):
    spec = filled(model("glmRegressor", {"x": 2}, {"y": "double"}), outputs, postEvaluationTransform=link)
    turned = [lambda value: value, partial(inverse, "logit"), partial(inverse, "probit")][link]
    want = [[turned(score(row, place)) for place in range(outputs)] for row in FIVE]
    np.testing.assert_allclose(run(spec, x=FIVE)["y"], want if outputs > 1 else [row[0] for row in want], atol=1e-13)


def test_features_are_counted_through_the_inputs():
    spec = filled(model("glmRegressor", {"a": "double", "b": "int64"}, {"y": "double"}), 1)
    got = run(spec, a=FIVE[:, 0], b=np.asarray([2, 0, -3, 1, 5]))["y"]
    np.testing.assert_allclose(got, [score(row, 0) for row in zip(FIVE[:, 0], [2, 0, -3, 1, 5], strict=True)])


@pytest.mark.parametrize(
    ("settings", "rows", "named"),
    [
        ({"postEvaluationTransform": 1}, 3, "glmClassifier with the probit link and more than two classes"),
        ({"postEvaluationTransform": 7}, 1, "glmClassifier with the link 7"),
        ({"classEncoding": 5}, 1, "glmClassifier with the class encoding 5"),
    ],
)
def test_what_is_not_evaluated_is_named(tmp_path, settings, rows, named):
    path = tmp_path / "m.mlmodel"
    path.write_bytes(filled(classifier("glmClassifier", {"x": 2}, list(range(rows + 1))), rows, **settings).SerializeToString())
    assert unsupported(path) == [named]
    with pytest.raises(ConversionError, match=named):
        load(path)


def test_labels_and_weights_that_do_not_fit_are_refused(glm):
    def fill(model):
        _two_classes(model)
        model.int64ClassLabels.vector.append(11)

    with pytest.raises(ConversionError, match="3 labels for 2"):
        load(glm(fill)).predict_rows({"input": X})


def test_weights_of_another_width_are_refused(glm):
    def fill(model):
        _two_classes(model)
        model.weights[0].value.append(1.0)

    with pytest.raises(ConversionError, match="glmClassifier"):
        load(glm(fill)).predict_rows({"input": X})
