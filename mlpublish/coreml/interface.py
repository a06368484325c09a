"""What a specification says of its interface: functions, features, the shapes that they may have, labels.

Source of the rules: Model.proto (``ModelDescription``, ``FunctionDescription``) and FeatureTypes.proto.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from mlpublish.coreml.schema import Message, schema
from mlpublish.errors import ConversionError, FormatError
from mlpublish.formats.interface import Feature, Flexible, Interface

MAIN = "main"
"""The one function of a model that names none."""

MAX_FUNCTIONS = 256
"""Of one model; each is looked through."""

_REMEDY = "Get the model again from where it was made; it may be cut or altered."
_ARRAYS = {"FLOAT16": "float16", "FLOAT32": "float32", "DOUBLE": "float64", "INT32": "int32", "INT8": "int8"}


def functions_of(description: Message) -> tuple[str, ...]:
    """The names of a model's functions, as the specification lists them; ``main`` alone where it lists none.

    Raises:
        FormatError: there are more than ``MAX_FUNCTIONS``.
    """
    count = len(description.functions)
    if count > MAX_FUNCTIONS:
        raise FormatError(
            f"The model has {count} functions, at most {MAX_FUNCTIONS} are read.", remedy=_REMEDY, field="description"
        )
    return tuple(str(each.name) for each in description.functions) or (MAIN,)


def function_of(description: Message, what: str, wanted: str | None = None) -> str:
    """The function that is called: the wanted one, else the default one of several, else ``main``.

    Raises:
        ConversionError: the model has no function of the wanted name.
        FormatError: it has several, and names none of them as its default.
    """
    names = functions_of(description)
    name = wanted or str(description.defaultFunctionName) or (MAIN if not description.functions else "")
    if name in names:
        return name
    if wanted is None:
        raise FormatError(f"{what} names no default function.", remedy=_REMEDY, field=what)
    raise ConversionError(
        f"{what} has no function {wanted!r}.", remedy=f"Name one of its functions: {', '.join(names)}.", field="function"
    )


def interface_of(description: Message, what: str, function: str) -> Interface:
    """The inputs, outputs and states of one function.

    Raises:
        FormatError: a feature is of a kind that is not read, or says what cannot be.
    """
    named = [each for each in description.functions if each.name == function]
    side = named[0] if named else description
    return Interface(
        inputs=tuple(feature_of(each, what) for each in side.input),
        outputs=tuple(feature_of(each, what) for each in side.output),
        states=tuple(feature_of(each, what) for each in side.state),
    )


def feature_of(described: Message, what: str) -> Feature:
    """One ``FeatureDescription``.

    Raises:
        FormatError: it is of a kind that is not read, or says what cannot be.
    """
    name, optional = str(described.name), bool(described.type.isOptional)
    kind = described.type.WhichOneof("Type")
    match kind:
        case "multiArrayType":
            return _array(described.type.multiArrayType, name, what, kind="multiArray", optional=optional)
        case "stateType":
            return _array(described.type.stateType.arrayType, name, what, kind="state")
        case "imageType":
            return _image(described.type.imageType, name, what, optional=optional)
        case "int64Type" | "stringType":
            plain = kind.removesuffix("Type")
            return Feature(name=name, kind=plain, dtype=plain, optional=optional)
        case "doubleType":
            return Feature(name=name, kind="double", dtype="float64", optional=optional)
        case "dictionaryType":
            key = described.type.dictionaryType.WhichOneof("KeyType") or "stringKeyType"
            return Feature(name=name, kind="dictionary", dtype=key.removesuffix("KeyType"), optional=optional)
        case "sequenceType":
            element = described.type.sequenceType.WhichOneof("Type") or "stringType"
            return Feature(name=name, kind="sequence", dtype=element.removesuffix("Type"), optional=optional)
    raise _broken(what, name, f"is of a kind that is not read ({kind})")


def _array(array: Message, name: str, what: str, *, kind: str, optional: bool = False) -> Feature:
    names = {number: text for text, number in schema("FeatureTypes").ArrayFeatureType.ArrayDataType.items()}
    dtype = _ARRAYS.get(names.get(array.dataType, ""))
    if dtype is None:
        raise _broken(what, name, f"is an array of type {array.dataType}, which is not known")
    flexible = None
    match array.WhichOneof("ShapeFlexibility"):
        case "enumeratedShapes":
            flexible = _enumerated((each.shape for each in array.enumeratedShapes.shapes), name, what)
        case "shapeRange":
            flexible = _ranged(array.shapeRange.sizeRanges)
    return Feature(
        name=name,
        kind=kind,
        shape=_default(tuple(array.shape), flexible, name, what),
        dtype=dtype,
        flexible=flexible,
        optional=optional,
        default=_default_value(array, name, what),
    )


def _image(image: Message, name: str, what: str, *, optional: bool) -> Feature:
    spaces = schema("FeatureTypes").ImageFeatureType.ColorSpace
    known = {number: text for text, number in spaces.items() if number}
    if image.colorSpace not in known:
        raise _broken(what, name, f"is an image in color space {image.colorSpace}, which is not known")
    flexible = None
    match image.WhichOneof("SizeFlexibility"):
        case "enumeratedSizes":
            flexible = _enumerated(((each.height, each.width) for each in image.enumeratedSizes.sizes), name, what)
        case "imageSizeRange":
            flexible = _ranged((image.imageSizeRange.heightRange, image.imageSizeRange.widthRange))
    size = (image.height, image.width)
    return Feature(
        name=name,
        kind="image",
        shape=_default(size if any(size) else (), flexible, name, what),
        dtype="float16" if known[image.colorSpace] == "GRAYSCALE_FLOAT16" else "uint8",
        flexible=flexible,
        optional=optional,
        color_space=known[image.colorSpace],
    )


def _enumerated(shapes: Iterable[Iterable[int]], name: str, what: str) -> Flexible:
    found = tuple(dict.fromkeys(tuple(shape) for shape in shapes))
    if not found:
        raise _broken(what, name, "lists the shapes that it may have, and lists none")
    for shape in found:
        _refuse_negative(shape, name, what)
    return Flexible(shapes=found)


def _ranged(ranges: Iterable[Message]) -> Flexible:
    """A negative upper bound is none."""
    found = tuple((int(each.lowerBound), None if each.upperBound < 0 else int(each.upperBound)) for each in ranges)
    return Flexible(ranges=found)


def _default(said: tuple[int, ...], flexible: Flexible | None, name: str, what: str) -> tuple[int, ...]:
    """Where none is said, the first of the enumerated shapes, or the ranges' lower bounds."""
    _refuse_negative(said, name, what)
    if said or flexible is None:
        return said
    return flexible.shapes[0] if flexible.shapes else tuple(least for least, _ in flexible.ranges)


def _default_value(array: Message, name: str, what: str) -> float | None:
    said = array.WhichOneof("defaultOptionalValue")
    if said is None:
        return None
    value = float(getattr(array, said))
    if not math.isfinite(value):
        raise _broken(what, name, f"has the default value {value}")
    return value


def _refuse_negative(shape: tuple[int, ...], name: str, what: str) -> None:
    if any(size < 0 for size in shape):
        raise _broken(what, name, f"has the shape {shape}")


def _broken(what: str, name: str, problem: str) -> FormatError:
    return FormatError(f"{what}: the feature {name!r} {problem}.", remedy=_REMEDY, field=name)
