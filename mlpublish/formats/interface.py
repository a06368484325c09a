"""A model's interface as its specification has it: features, the shapes that each may have, what may be left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mlpublish.formats.wire import Reader, decimal


def feature_name(column: str) -> str:
    """A frame's column as a Core ML feature: letters, digits and ``_``, as Xcode's generated code and MIL want them."""
    return re.sub(r"^(?=[0-9])", "_", re.sub(r"[^A-Za-z0-9_]+", "_", column).strip("_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flexible:
    """The shapes that a feature of no fixed shape may have: one of a list, or any within ranges.

    Source: FeatureTypes.proto, ``ArrayFeatureType.ShapeFlexibility`` and ``ImageFeatureType.SizeFlexibility``.

    Args:
        shapes: every allowed shape; empty where ranges say it.
        ranges: per dimension the least and the most, both allowed; a most of None has no bound.
    """

    shapes: tuple[tuple[int, ...], ...] = ()
    ranges: tuple[tuple[int, int | None], ...] = ()

    def allows(self, shape: tuple[int, ...]) -> bool:
        """Whether a feature may have this shape."""
        if self.shapes:
            return shape in self.shapes
        return len(shape) == len(self.ranges) and all(
            least <= size and (most is None or size <= most) for size, (least, most) in zip(shape, self.ranges, strict=True)
        )

    def __str__(self) -> str:
        if self.shapes:
            return " or ".join(map(str, self.shapes))
        return f"({', '.join(_range(*each) for each in self.ranges)}{',' if len(self.ranges) == 1 else ''})"

    def to_dict(self) -> dict[str, Any]:
        """Only what it says: ``shapes`` or ``ranges``."""
        if self.shapes:
            return {"shapes": [list(shape) for shape in self.shapes]}
        return {"ranges": [{"least": least, "most": most} for least, most in self.ranges]}

    @classmethod
    def from_reader(cls, reader: Reader) -> Flexible:
        if reader.has("shapes"):
            shapes = reader.values["shapes"]
            if not isinstance(shapes, list) or not all(_is_shape(shape) for shape in shapes):
                reader.refuse("shapes", "a list of lists of whole numbers")
            return cls(shapes=tuple(tuple(shape) for shape in shapes))
        return cls(
            ranges=tuple(
                (each.whole_number("least"), each.optional("most", each.whole_number)) for each in reader.each("ranges")
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One input, output or state.

    Args:
        kind: Core ML's feature type: ``multiArray``, ``image``, ``int64``, ``double``, ``string``, ``dictionary``,
            ``sequence`` or ``state``.
        shape: its dimensions, the default ones where it is flexible; an image's are (height, width). Empty for scalars,
            dictionaries and sequences, and for an output of which the specification says no shape.
        dtype: the element's type; for a dictionary the key's type.
        flexible: the other shapes that it may have; None where the shape is fixed.
        optional: whether an input may be left out.
        default: what an array that is left out is filled with; None where the specification says nothing.
        color_space: an image's: ``RGB``, ``BGR``, ``GRAYSCALE`` or ``GRAYSCALE_FLOAT16``; empty for anything else.
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    flexible: Flexible | None = None
    optional: bool = False
    default: float | None = None
    color_space: str = ""

    def allows(self, shape: tuple[int, ...]) -> bool:
        """Whether it may have this shape; an array of which no shape is said may have any."""
        if self.flexible is not None:
            return self.flexible.allows(shape)
        return shape == self.shape or (self.kind == "multiArray" and not self.shape)

    @property
    def shapes_told(self) -> str:
        """Its allowed shapes as a reader wants to see them."""
        return str(self.shape if self.flexible is None else self.flexible)

    def to_dict(self) -> dict[str, Any]:
        """What manifests did not say from their beginning is written only where there is something, so that others keep their
        bytes.
        """
        more = {
            "flexible": self.flexible and self.flexible.to_dict(),
            "optional": self.optional,
            "default": None if self.default is None else decimal(self.default),
            "color_space": self.color_space,
        }
        written = {name: value for name, value in more.items() if value}
        return {"name": self.name, "kind": self.kind, "shape": list(self.shape), "dtype": self.dtype, **written}

    @classmethod
    def from_reader(cls, reader: Reader) -> Feature:
        return cls(
            name=reader.text("name"),
            kind=reader.text("kind"),
            shape=reader.whole_numbers("shape"),
            dtype=reader.text("dtype"),
            flexible=reader.optional("flexible", lambda name: Flexible.from_reader(reader.inner(name))),
            optional=bool(reader.optional("optional", reader.truth)),
            default=reader.optional("default", reader.decimal),
            color_space=reader.optional("color_space", reader.text) or "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A model's inputs, outputs and states, in the order of its specification."""

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    states: tuple[Feature, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """States are written only where there are some, so that other manifests keep their bytes."""
        states = {"states": [each.to_dict() for each in self.states]} if self.states else {}
        return {
            "inputs": [each.to_dict() for each in self.inputs],
            "outputs": [each.to_dict() for each in self.outputs],
            **states,
        }

    @classmethod
    def from_reader(cls, reader: Reader) -> Interface:
        states = reader.each("states") if reader.has("states") else ()
        return cls(
            inputs=tuple(Feature.from_reader(each) for each in reader.each("inputs")),
            outputs=tuple(Feature.from_reader(each) for each in reader.each("outputs")),
            states=tuple(Feature.from_reader(each) for each in states),
        )


def _range(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least}…{most}"


def _is_shape(shape: object) -> bool:
    return isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
