"""From the model's inputs to the first blobs, and from the last blobs to the model's outputs.

Source: NeuralNetwork.proto, ``NeuralNetworkMultiArrayShapeMapping``, ``NeuralNetworkImageShapeMapping``,
``NeuralNetworkClassifier``; FeatureTypes.proto.

What the reference leaves open: an output whose shape the description gives has that shape; of another one the sequence and
the batch are left out where there is one of each and the mapping is the old one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.classic.stage import Rows
from mlpublish.coreml.network.blob import Blob
from mlpublish.coreml.network.preprocessing import Preprocessor, preprocessors
from mlpublish.coreml.schema import Message

_DTYPES: Mapping[int, type[np.generic]] = {65568: np.float32, 65600: np.float64, 131104: np.int32, 65552: np.float16}
_GRAY = (10, 40)  # ImageFeatureType.ColorSpace: 8 and 16 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """One input.

    Args:
        shape: of the description; (channels, height, width) of an image.
        old: whether the mapping is the old one, to (sequence, batch, channels, height, width).
        otherwise: the value of an input that may be left out; none for one that may not.
    """

    name: str
    image: bool
    shape: tuple[int, ...]
    old: bool
    otherwise: float | None
    before: Sequence[Preprocessor]

    def blob(self, rows: Rows) -> Blob:
        """The input's rows as the first layer takes them."""
        if self.name not in rows:
            if self.otherwise is None:
                raise ValueError(f"the input {self.name!r} is missing")
            given: NDArray[Any] = np.full((1, *self.shape), self.otherwise, np.float32)
        else:
            given = np.asarray(rows[self.name], dtype=np.float32)
        mapped = self._image(given) if self.image else self._array(given) if self.old else given
        for run in self.before:
            mapped = run(mapped)
        return mapped if mapped.ndim > 1 else mapped.reshape(-1, 1)

    def _image(self, given: Blob) -> Blob:
        channels = self.shape[0]
        if given.ndim < 4 or given.shape[-3] != channels or math.prod(given.shape[1:-3]) != 1:
            raise ValueError(f"an image of {given.shape[1:]} came for {self.name!r}, which has {channels} channels")
        return given.reshape(len(given), *[1] * (2 if self.old else 1), *given.shape[-3:])

    def _array(self, given: Blob) -> Blob:
        """``RANK5_ARRAY_MAPPING``; the sequence and the batch may stand before a vector or an image."""
        own = given.shape[1:]
        vector = len(self.shape) == 1
        match len(own):
            case 0 | 1:
                return given.reshape(len(given), 1, 1, -1, 1, 1)
            case 2 if own[0] == 1:  # of the stage before, in a pipeline
                return given.reshape(len(given), 1, 1, -1, 1, 1)
            case 3 if vector:
                return given.reshape(*given.shape, 1, 1)
            case 3:
                return given[:, np.newaxis, np.newaxis]
            case 5:
                return given
        raise ValueError(f"an array of {own} came for {self.name!r}; it has 1, 3 or 5 dimensions")


def entrances(description: Message, network: Message) -> list[Entrance]:
    """A network's inputs.

    Raises:
        ValueError: one is of a kind that no network takes.
    """
    only = len(description.input) == 1
    found = []
    for each in description.input:
        kind = each.type.WhichOneof("Type")
        if kind not in ("multiArrayType", "imageType"):
            raise ValueError(f"the input {each.name!r} is neither an array nor an image")
        held = getattr(each.type, kind)
        image = kind == "imageType"
        shape = (1 if held.colorSpace in _GRAY else 3, held.height, held.width) if image else tuple(held.shape)
        entrance = Entrance(
            name=each.name,
            image=image,
            shape=tuple(int(size) for size in shape),
            old=not (network.imageInputShapeMapping if image else network.arrayInputShapeMapping),
            otherwise=_otherwise(held) if each.type.isOptional and not image else None,
            before=preprocessors(
                network.preprocessing, each.name, only=only, **({"colours": held.colorSpace} if image else {})
            ),
        )
        found.append(entrance)
    return found


def _otherwise(array: Message) -> float:
    kind = array.WhichOneof("defaultOptionalValue")
    return float(getattr(array, kind)) if kind else 0.0


def answer(blob: Blob, output: Message, count: int, *, old: bool) -> NDArray[Any]:
    """A blob as an output of the description: (rows, …), a leading 1 of the model's shape included."""
    rows = np.broadcast_to(blob, (count, *blob.shape[1:]))
    kind = output.type.WhichOneof("Type")
    if kind == "imageType":
        return rows.reshape(count, *rows.shape[-3:])
    if kind != "multiArrayType":
        return rows.reshape(count, -1)[:, 0].astype(np.float64)
    held = output.type.multiArrayType
    shape = tuple(int(size) for size in held.shape)
    if math.prod(shape) != math.prod(rows.shape[1:]) or not shape:
        shape = rows.shape[3:] if old and rows.shape[1:3] == (1, 1) else rows.shape[1:]
    dtype = _DTYPES.get(held.dataType, np.float32)
    return rows.reshape(count, *shape).astype(dtype)
