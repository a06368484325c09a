"""Signatures of models whose inputs are no plain arrays: images have one, what rows of arrays cannot say has none."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml.converted import foreign
from mlpublish.coreml.schema import schema
from mlpublish.mlflow_plugin.signatures import signature_of
from tests.coreml.conftest import ct  # noqa: F401 - a fixture


@pytest.mark.parametrize(("space", "channels"), [("BGR", 3), ("GRAYSCALE", 1)])
def test_an_image_is_uint8_pixels_in_a_signature(ct, tmp_path, space, channels):  # noqa: F811
    from coremltools.converters.mil import Builder as mb

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, channels, 4, 6))], opset_version=ct.target.iOS16)
    def made(photo):
        return mb.reduce_mean(x=photo, axes=[1, 2, 3], keep_dims=False, name="brightness")

    image = ct.ImageType(name="photo", shape=(1, channels, 4, 6), color_layout=getattr(ct.colorlayout, space))
    model = ct.convert(
        made, convert_to="mlprogram", inputs=[image], minimum_deployment_target=ct.target.iOS16, skip_model_load=True
    )
    model.save(str(tmp_path / "photos.mlpackage"))
    (tmp_path / "copy").mkdir()
    signature = signature_of(foreign(tmp_path / "photos.mlpackage", tmp_path / "copy"), None)
    (taken,) = signature.inputs.inputs
    assert (taken.type, taken.shape) == (np.dtype(np.uint8), (-1, 4, 6, channels))


def test_a_model_that_takes_dictionaries_travels_without_one(tmp_path):
    spec = schema("Model").Model(specificationVersion=1)
    spec.description.input.add(name="words").type.dictionaryType.stringKeyType.SetInParent()
    spec.description.output.add(name="counts").type.multiArrayType.dataType = 65600
    spec.description.output[0].type.multiArrayType.shape.append(2)
    spec.dictVectorizer.stringToIndex.vector.extend(["a", "b"])
    (tmp_path / "words.mlmodel").write_bytes(spec.SerializeToString())
    (tmp_path / "copy").mkdir()
    assert signature_of(foreign(tmp_path / "words.mlmodel", tmp_path / "copy"), None) is None
