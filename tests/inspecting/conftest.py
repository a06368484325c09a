"""Models to look at: coremltools' own, or written straight in Apple's schema; bundles that carry them with golden data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlpublish.artifacts import Bundle, ConvertedModel
from mlpublish.bundling.bundle import bundle
from mlpublish.coreml import evaluate, golden
from mlpublish.coreml.compare import Answers
from mlpublish.coreml.package import describe
from mlpublish.formats.wire import digest_of
from tests.cli.conftest import cli  # noqa: F401 - a fixture
from tests.conftest import files_of
from tests.coreml.conftest import ct, dense, glm, package, spec_file, weight_file  # noqa: F401 - fixtures


def _classifier(held) -> None:
    held.weights.add(value=[1.0, -2.0])
    held.offset.append(0.5)
    held.stringClassLabels.vector.extend(["no", "yes"])


@pytest.fixture
def classifier(glm) -> Path:  # noqa: F811
    """A linear classifier with two labels, as a ``.mlmodel``."""
    return glm(_classifier)


@pytest.fixture
def carried(classifier, new_model) -> ConvertedModel:
    """The classifier as ``convert`` leaves it: with golden data and its record."""
    model = evaluate.load(classifier)
    inputs = {"input": np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)}
    answers = Answers(outputs=model.predict_rows(inputs), classes=model.classes, scores=("classProbability",))
    kept = classifier.parent / "models" / digest_of(classifier.read_bytes())[:12] / "digits.golden"
    kept.parent.mkdir(parents=True)
    golden.write(kept, inputs, answers)
    said = describe(classifier)
    return new_model(
        content=classifier.read_bytes(), golden=kept, kind=said.kind, specification_version=1, interface=said.interface
    )


@pytest.fixture
def packed(carried, tmp_path) -> Bundle:
    """A bundle of it."""
    return bundle(carried, out=tmp_path / "bundles")


@pytest.fixture
def of_package(dense, new_model, tmp_path) -> Callable[..., Bundle]:  # noqa: F811
    """A bundle of an ``.mlpackage``."""

    def made(**settings) -> Bundle:
        path = dense(name="digits", **settings)
        record = new_model(path=path, files=files_of(path), kind="mlProgram", interface=describe(path).interface)
        return bundle(record, out=tmp_path / "bundles")

    return made
