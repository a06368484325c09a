"""Core ML files to try things on: written by coremltools' own builder or straight in Apple's schema, never by mlpublish."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mlpublish.coreml.schema import schema
from tests.loaded import imported_libraries_are_no_garbage as imported_libraries_are_no_garbage


@pytest.fixture(scope="session")
def ct() -> ModuleType:
    logging.getLogger("coremltools").setLevel(logging.CRITICAL)
    import coremltools

    return coremltools


@pytest.fixture
def package(ct, tmp_path) -> Callable[..., Path]:
    """Build a function of one input, in the MIL builder's words, and save it as a package."""

    def build(body, shape=(1, 4), name="model", precision="FLOAT32", **settings) -> Path:
        from coremltools.converters.mil import Builder as mb

        made = mb.program(input_specs=[mb.TensorSpec(shape=shape)], opset_version=ct.target.iOS16)(body)
        converted = ct.convert(
            made,
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=getattr(ct.precision, precision),
            skip_model_load=True,
            **settings,
        )
        path = tmp_path / f"{name}.mlpackage"
        converted.save(str(path))
        return path

    return build


@pytest.fixture
def dense(package) -> Callable[..., Path]:
    """``input`` (1, 4) @ weights.T, large enough for a weight file; ``weights`` is (3, 4)."""

    def build(weights=None, **settings) -> Path:
        from coremltools.converters.mil import Builder as mb

        factors = np.arange(12, dtype=np.float32).reshape(3, 4) if weights is None else weights

        def body(input):
            return mb.linear(x=input, weight=factors, bias=np.zeros(3, np.float32), name="prediction")

        return package(body, **settings)

    return build


@pytest.fixture
def glm(tmp_path) -> Callable[..., Path]:
    """A classic file around one linear model over ``input``, filled in by the test."""

    def build(fill, kind="glmClassifier", size=2) -> Path:
        spec = schema("Model").Model(specificationVersion=1)
        fed = spec.description.input.add(name="input").type.multiArrayType
        fed.shape.append(size)
        fed.dataType = 65568
        if kind == "glmClassifier":
            spec.description.output.add(name="classLabel").type.int64Type.SetInParent()
            spec.description.output.add(name="classProbability").type.dictionaryType.int64KeyType.SetInParent()
            spec.description.predictedFeatureName = "classLabel"
            spec.description.predictedProbabilitiesName = "classProbability"
        else:
            spec.description.output.add(name="prediction").type.doubleType.SetInParent()
        getattr(spec, kind).SetInParent()
        fill(getattr(spec, kind))
        path = tmp_path / "model.mlmodel"
        path.write_bytes(spec.SerializeToString())
        return path

    return build


@pytest.fixture
def weight_file() -> Callable[[Path], Path]:
    return lambda package: package / "Data/com.apple.CoreML/weights/weight.bin"


@pytest.fixture
def spec_file() -> Callable[[Path], Path]:
    return lambda package: package / "Data/com.apple.CoreML/model.mlmodel"


@pytest.fixture
def record() -> struct.Struct:
    """A weight file's record: sentinel, type, length, offset."""
    return struct.Struct("<IIQQ")
