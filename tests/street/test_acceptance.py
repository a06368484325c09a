"""The acceptance in Python: a trained model is released in one call, and the device's copy answers as the model does."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import mlpublish
from mlpublish.coreml import evaluate
from mlpublish.errors import ConversionError, EndpointUnreachable, MlpublishError, ParityError, RecipeError
from mlpublish.formats.status import Reason, UpdateStatus

WHO = {"app": "com.acme.digits", "app_version": "2.0"}


def answers_of(model: Path, rows: np.ndarray) -> dict[str, np.ndarray]:
    """What the file on the device says."""
    return evaluate.load(model).predict_rows({"input": rows})


def test_the_notebooks_one_call(digits, server, configured, phone, here):
    receipt = mlpublish.release("models:/digits@champion", **WHO, to=server.url)
    assert (receipt.number, receipt.name, receipt.version, receipt.channel) == (1, "digits", "2", "stable")
    assert "digits 2" in receipt._repr_html_()
    report = phone()
    assert (report.status, report.installed) == (UpdateStatus.SUCCESS, 1)
    source = mlflow.sklearn.load_model("models:/digits/2")
    assert np.array_equal(answers_of(report.models["digits"], digits.rows)["classLabel"], source.predict(digits.rows))
    assert phone().reason is Reason.ALREADY_INSTALLED
    assert list(here.iterdir()) == []


def test_the_repository_may_stand_in_mlpublish_toml(digits, server, development, phone):
    Path("mlpublish.toml").write_text(f'repository = "{development.folder}"\nendpoint = "{server.url}"\n')
    assert mlpublish.release("models:/digits@champion", **WHO).number == 1
    assert phone().installed == 1


def test_with_nothing_configured_the_remedy_makes_a_development_repository(digits, server):
    with pytest.raises(RecipeError, match="mlpublish repo init --dev DIR"):
        mlpublish.release("models:/digits@champion", **WHO, to=server.url)


def test_releasing_twice_changes_nothing(digits, server, configured, development, below):
    first = mlpublish.release("models:/digits@champion", **WHO, to=server.url)
    before = below(development.repository)
    again = mlpublish.release("models:/digits@champion", **WHO, to=server.url)
    assert (again.number, again.sha256, first.created, again.created) == (1, first.sha256, True, False)
    assert below(development.repository) == before


def test_the_next_version_is_the_next_release_and_the_device_gets_it(digits, server, configured, phone):
    for version in (1, 2):
        mlpublish.release(f"models:/digits/{version}", **WHO, to=server.url)
        assert phone().installed == version
    mlpublish.channel.rollback(WHO["app"], to=server.url, app_version="2.0")
    report = phone()
    assert (report.status, report.installed) == (UpdateStatus.SUCCESS, 1)


@pytest.mark.parametrize("kind", ["object", "run"])
def test_a_model_may_be_an_object_or_any_uri_of_mlflow(digits, server, configured, phone, kind):
    rows, labels = digits.rows[:200], digits.labels[:200] % 2
    model = LogisticRegression(max_iter=2000).fit(rows, labels)
    given: object = model
    if kind == "run":
        with mlflow.start_run() as run:
            mlflow.sklearn.log_model(model, name="parity", input_example=rows[:4], pip_requirements=["scikit-learn"])
        given = f"runs:/{run.info.run_id}/parity"
    receipt = mlpublish.release(given, **WHO, to=server.url, samples=rows, name="parity")
    assert receipt.models[0].parity.samples == 200
    (file,) = phone().models.values()
    assert np.array_equal(answers_of(file, digits.rows)["classLabel"], model.predict(digits.rows))


def test_two_models_and_labels_travel_and_both_answer(digits, server, configured, phone):
    ages = LinearRegression().fit(digits.rows, digits.labels)
    Path("labels.txt").write_text("\n".join(map(str, range(10))))
    receipt = mlpublish.release(
        "models:/digits@champion", ages, **WHO, to=server.url, name="reader", samples=digits.rows, files=["labels.txt"]
    )
    assert sorted(model.name for model in receipt.models) == ["digits", "linearregression"]
    report = phone()
    source = mlflow.sklearn.load_model("models:/digits/2")
    classes = answers_of(report.models["digits"], digits.rows)["classLabel"]
    assert np.array_equal(classes, source.predict(digits.rows))
    values = answers_of(report.models["linearregression"], digits.rows)["prediction"]
    assert np.allclose(values.ravel(), ages.predict(digits.rows), rtol=0, atol=1e-3)
    assert (report.path / "files" / "labels.txt").read_text() == Path("labels.txt").read_text()


def test_a_float16_network_travels_too(cnn, digits, server, configured, phone):
    import torch

    images = digits.rows.reshape(-1, 1, 8, 8).astype(np.float32)
    receipt = mlpublish.release(cnn, **WHO, to=server.url, name="cnn", samples=images[:100])
    (model,) = receipt.models
    assert (model.precision, model.parity.passed, model.parity.twin.passed) == ("float16", True, True)
    file = phone().models["cnn"]
    with torch.no_grad():
        wanted = cnn(torch.from_numpy(images[100:150])).numpy()
    (got,) = answers_of(file, images[100:150]).values()
    assert np.abs(got - wanted).max() <= 2e-2 * np.abs(wanted).max()
    assert np.mean(got.argmax(1) == wanted.argmax(1)) >= 0.98


@pytest.fixture
def published(development, below):
    """Everything that stands in the repository, and the uploads that wait for a commit."""
    return lambda: (below(development.repository), below(development.folder / "blobs"))


def test_a_model_that_does_not_answer_as_its_source_is_not_published(digits, server, configured, published):
    """Rounding to float32 alone breaks a tolerance of zero, so it stands for a conversion that went wrong."""
    Path("mlpublish.toml").write_text("[recipe]\ntolerance = 0\n")
    before = published()
    with pytest.raises(ParityError, match="allowed 0"):
        mlpublish.release("models:/digits@champion", **WHO, to=server.url, out="kept")
    assert published() == before
    assert list(Path("kept").rglob("*")) == []


@pytest.mark.parametrize("samples", [np.zeros((4, 63)), np.full((4, 64), "x")], ids=["shape", "text"])
def test_samples_that_do_not_fit_publish_nothing(digits, server, configured, published, samples):
    before = published()
    with pytest.raises(ConversionError) as told:
        mlpublish.release("models:/digits@champion", **WHO, to=server.url, samples=samples)
    assert told.value.field == "samples"
    assert published() == before


def test_a_server_that_is_down_is_found_before_the_model_is_opened(server, configured):
    server.process.kill()
    server.process.wait()
    with pytest.raises(EndpointUnreachable):
        mlpublish.release("models:/nobody@nowhere", **WHO, to=server.url)


def test_a_wrong_token_is_found_before_the_model_is_opened(server, configured):
    with pytest.raises(MlpublishError) as told:
        mlpublish.release("models:/nobody@nowhere", **WHO, to=server.url, token="x" * 43)
    assert told.value.exit_code == 4
