"""What a stateful model remembers between two predictions, in the caller's hands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.mil_ops.tensor import room
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Feature


class State(Mapping[str, NDArray[np.generic]]):
    """State -> its array; neither the mapping nor an array can be changed.

    Args:
        values: copied.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, NDArray[np.generic]]) -> None:
        self._values = MappingProxyType({name: _frozen(value) for name, value in values.items()})

    @classmethod
    def zeros(cls, features: Iterable[Feature]) -> State:
        """A state before the first prediction: Core ML begins with zeros (Core ML guide, ``MLState``)."""
        return cls({each.name: np.zeros(room(*each.shape), each.dtype) for each in features})

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"State({', '.join(f'{name}: {value.dtype}{list(value.shape)}' for name, value in self.items())})"


def checked(features: tuple[Feature, ...], given: object) -> State:
    """A state as the model wants it.

    Raises:
        ConversionError: one is missing or unknown, has another shape, or holds no numbers; or they are no mapping.
    """
    wanted = {each.name: each for each in features}
    if not isinstance(given, Mapping):
        told = "none" if given is None else f"in a {type(given).__name__}, not in a mapping of names"
        raise _unfit(f"The model's states are {', '.join(wanted) or 'none'}; given are {told}.")
    if wanted.keys() != given.keys():
        raise _unfit(f"The model's states are {', '.join(wanted) or 'none'}; given are {', '.join(sorted(given)) or 'none'}.")
    for name, feature in wanted.items():
        value = np.asarray(given[name])
        if value.shape != feature.shape or value.dtype.kind not in "fiub":
            raise _unfit(f"The state {name!r} is {value.dtype} {value.shape}, the model keeps {feature.dtype} {feature.shape}.")
    return given if isinstance(given, State) else State(given)


def _frozen(value: NDArray[np.generic]) -> NDArray[np.generic]:
    copy = np.array(value)
    copy.flags.writeable = False
    return copy


def _unfit(problem: str) -> ConversionError:
    return ConversionError(problem, remedy="Give the model's initial_state(), or what it answered last.", field="state")
