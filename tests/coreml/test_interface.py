"""What a specification says of its interface, written straight in Apple's schema."""

from __future__ import annotations

import pytest

from mlpublish.coreml.interface import feature_of
from mlpublish.coreml.labels import labels_of
from mlpublish.coreml.package import description_of
from mlpublish.coreml.schema import schema
from mlpublish.errors import ConversionError, FormatError
from mlpublish.formats.evidence import Feature, Flexible, Interface
from mlpublish.formats.wire import Reader


def described(fill):
    message = schema("Model").FeatureDescription(name="x")
    fill(message.type)
    return feature_of(message, "m.mlmodel")


def array(kind=65568, shape=(1, 3), **ranges):
    def fill(type_):
        made = type_.multiArrayType
        made.dataType = kind
        made.shape.extend(shape)
        for each in ranges.get("shapes", ()):
            made.enumeratedShapes.shapes.add(shape=each)
        for least, most in ranges.get("ranges", ()):
            made.shapeRange.sizeRanges.add(lowerBound=least, upperBound=most)

    return fill


@pytest.mark.parametrize(
    ("number", "dtype"), [(65552, "float16"), (65568, "float32"), (65600, "float64"), (131104, "int32"), (131080, "int8")]
)
def test_an_array_has_its_type_and_its_shape(number, dtype):
    assert described(array(number)) == Feature(name="x", kind="multiArray", shape=(1, 3), dtype=dtype)


def test_enumerated_shapes_allow_themselves_and_nothing_else():
    found = described(array(shapes=[(1, 3), (1, 5)]))
    assert found.flexible == Flexible(shapes=((1, 3), (1, 5)))
    assert [found.allows(shape) for shape in ((1, 3), (1, 5), (1, 4), (3,))] == [True, True, False, False]
    assert found.shapes_told == "(1, 3) or (1, 5)"


def test_ranges_allow_both_bounds_and_may_have_no_upper_one():
    found = described(array(ranges=[(1, 1), (3, 7), (2, -1)], shape=(1, 3, 2)))
    assert found.flexible == Flexible(ranges=((1, 1), (3, 7), (2, None)))
    assert [found.allows(shape) for shape in ((1, 3, 2), (1, 7, 900), (1, 8, 2), (1, 2, 2), (1, 3, 1), (1, 3))] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    assert found.shapes_told == "(1, 3…7, 2 or more)"


def test_without_a_shape_the_default_is_the_first_one_or_the_lower_bounds():
    assert described(array(shape=(), shapes=[(1, 5), (1, 3)])).shape == (1, 5)
    assert described(array(shape=(), ranges=[(1, 4), (2, -1)])).shape == (1, 2)
    nothing = described(array(shape=()))
    assert nothing.shape == ()
    assert nothing.allows((4, 4))


@pytest.mark.parametrize("space", [("GRAYSCALE", 10), ("RGB", 20), ("BGR", 30), ("GRAYSCALE_FLOAT16", 40)])
def test_an_image_has_its_colours_and_its_height_before_its_width(space):
    name, number = space

    def fill(type_):
        type_.imageType.width, type_.imageType.height, type_.imageType.colorSpace = 6, 8, number

    found = described(fill)
    assert (found.kind, found.shape, found.color_space) == ("image", (8, 6), name)
    assert found.dtype == ("float16" if name == "GRAYSCALE_FLOAT16" else "uint8")
    assert not found.allows((6, 8))


def test_an_images_sizes_may_be_listed_or_range():
    def listed(type_):
        type_.imageType.colorSpace = 20
        type_.imageType.enumeratedSizes.sizes.add(width=6, height=8)
        type_.imageType.enumeratedSizes.sizes.add(width=12, height=16)

    def ranged(type_):
        type_.imageType.colorSpace = 20
        type_.imageType.imageSizeRange.widthRange.lowerBound = 6
        type_.imageType.imageSizeRange.widthRange.upperBound = -1
        type_.imageType.imageSizeRange.heightRange.lowerBound = 8
        type_.imageType.imageSizeRange.heightRange.upperBound = 9

    assert (described(listed).shape, described(listed).flexible) == ((8, 6), Flexible(shapes=((8, 6), (16, 12))))
    assert (described(ranged).shape, described(ranged).flexible) == ((8, 6), Flexible(ranges=((8, 9), (6, None))))


def test_scalars_dictionaries_sequences_and_states_are_named():
    assert described(lambda t: t.int64Type.SetInParent()) == Feature(name="x", kind="int64", dtype="int64")
    assert described(lambda t: t.stringType.SetInParent()).dtype == "string"
    assert described(lambda t: t.doubleType.SetInParent()).dtype == "float64"
    assert described(lambda t: t.dictionaryType.int64KeyType.SetInParent()).dtype == "int64"
    assert described(lambda t: t.sequenceType.int64Type.SetInParent()) == Feature(name="x", kind="sequence", dtype="int64")

    def state(type_):
        type_.stateType.arrayType.shape.extend((1, 4))
        type_.stateType.arrayType.dataType = 65552

    assert described(state) == Feature(name="x", kind="state", shape=(1, 4), dtype="float16")


@pytest.mark.parametrize(("field", "value"), [("intDefaultValue", 3), ("floatDefaultValue", 0.5), ("doubleDefaultValue", -1.5)])
def test_an_optional_array_has_its_default(field, value):
    def fill(type_):
        array()(type_)
        type_.isOptional = True
        setattr(type_.multiArrayType, field, value)

    found = described(fill)
    assert (found.optional, found.default) == (True, value)


def _nothing(_):
    pass


def _array_of_no_type(type_):
    type_.multiArrayType.shape.append(3)


def _negative(type_):
    array(shape=(1, -3))(type_)


def _listed_negative(type_):
    array(shapes=[(1, 3), (-1, 3)])(type_)


def _no_colours(type_):
    type_.imageType.width = type_.imageType.height = 4


def _no_sizes(type_):
    type_.imageType.colorSpace = 20
    type_.imageType.enumeratedSizes.SetInParent()


def _no_number(type_):
    array()(type_)
    type_.multiArrayType.floatDefaultValue = float("nan")


@pytest.mark.parametrize("fill", [_nothing, _array_of_no_type, _negative, _listed_negative, _no_colours, _no_sizes, _no_number])
def test_what_cannot_be_is_refused_and_the_feature_named(fill):
    with pytest.raises(FormatError, match="'x'"):
        described(fill)


def several(default="prefill"):
    spec = schema("Model").Model(specificationVersion=9)
    spec.mlProgram.SetInParent()
    for name, size in (("prefill", 4), ("decode", 1)):
        function = spec.description.functions.add(name=name)
        array(shape=(1, size))(function.input.add(name="x").type)
        array(shape=(1, 2))(function.output.add(name="y").type)
        state = function.state.add(name="cache").type.stateType.arrayType
        state.shape.extend((1, 8))
        state.dataType = 65552
    spec.description.defaultFunctionName = default
    return spec


def test_of_several_functions_the_wanted_one_is_described_else_the_default_one():
    said = description_of(several(), "m")
    assert (said.function, said.functions, said.interface.inputs[0].shape) == ("prefill", ("prefill", "decode"), (1, 4))
    other = description_of(several(), "m", "decode")
    assert (other.function, other.interface.inputs[0].shape) == ("decode", (1, 1))
    assert other.states == (Feature(name="cache", kind="state", shape=(1, 8), dtype="float16"),)
    assert Interface.from_reader(Reader(other.interface.to_dict(), "t")) == other.interface


def test_a_function_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ConversionError, match=r"no function 'x'.*prefill, decode"):
        description_of(several(), "m", "x")
    with pytest.raises(FormatError, match="no default function"):
        description_of(several(default=""), "m")
    with pytest.raises(FormatError, match="no default function"):
        description_of(several(default="gone"), "m")


def test_a_model_without_functions_has_the_one_called_main(glm):
    from mlpublish.coreml.package import describe

    path = glm(lambda _: None)
    assert (describe(path).function, describe(path).functions, describe(path).states) == ("main", ("main",), ())
    assert describe(path, "main") == describe(path)
    with pytest.raises(ConversionError, match="no function 'other'"):
        describe(path, "other")


def test_labels_are_read_without_running_anything(glm):
    from mlpublish.coreml.package import read

    assert labels_of(read(glm(lambda held: held.stringClassLabels.vector.extend(["a", "b"])))) == ("a", "b")
    spec = read(glm(lambda held: held.int64ClassLabels.vector.extend([3, 1])))
    assert labels_of(spec) == (3, 1)
    outer = schema("Model").Model(specificationVersion=1)
    outer.pipelineClassifier.pipeline.models.add().scaler.SetInParent()
    outer.pipelineClassifier.pipeline.models.add().CopyFrom(spec)
    assert labels_of(outer) == (3, 1)
    assert labels_of(several()) == ()


@pytest.mark.parametrize("labels", [["dog", "cat", "owl"], [7, 3, 5]])
def test_a_programs_labels_are_those_of_its_classify(ct, package, labels):
    from coremltools.converters.mil import Builder as mb

    from mlpublish.coreml.package import read

    path = package(
        lambda input: mb.softmax(x=input, axis=-1, name="p"), shape=(1, 3), classifier_config=ct.ClassifierConfig(labels)
    )
    assert labels_of(read(path)) == tuple(labels)


OLD = {"name": "x", "kind": "multiArray", "shape": [1, 3], "dtype": "float32"}


def test_a_plain_feature_keeps_the_bytes_it_always_had():
    assert Feature(name="x", kind="multiArray", shape=(1, 3)).to_dict() == OLD
    assert Feature.from_reader(Reader(OLD, "t")) == Feature(name="x", kind="multiArray", shape=(1, 3))
    plain = Interface(inputs=(Feature(name="x", kind="multiArray"),), outputs=())
    assert "states" not in plain.to_dict()


@pytest.mark.parametrize(
    "feature",
    [
        Feature(name="x", kind="multiArray", shape=(1, 3), flexible=Flexible(shapes=((1, 3), (1, 4)))),
        Feature(name="x", kind="multiArray", shape=(1, 3), flexible=Flexible(ranges=((1, 1), (2, None)))),
        Feature(name="x", kind="multiArray", shape=(1, 3), optional=True, default=0.0),
        Feature(name="x", kind="image", shape=(8, 6), dtype="uint8", color_space="BGR"),
    ],
)
def test_a_feature_is_read_back_as_it_was(feature):
    assert Feature.from_reader(Reader(feature.to_dict(), "t")) == feature


@pytest.mark.parametrize("shapes", [3, [3], [["a"]], [[True]], [[-1]]])
def test_shapes_that_are_none_are_refused_where_they_stand(shapes):
    with pytest.raises(FormatError, match=r"flexible\.shapes"):
        Feature.from_reader(Reader({**OLD, "flexible": {"shapes": shapes}}, "t"))
