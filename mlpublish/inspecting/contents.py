"""What is told of a model's inside: its stages with their operations or layers, its numbers, how they are compressed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


def _none() -> Mapping[str, int]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One model of a pipeline, or the model itself.

    Args:
        kind: the specification's type.
        name: what a pipeline, or a program its function, calls it; empty where nothing does.
        facts: what is counted of it, such as ``trees`` or ``operations``.
        counts: operation or layer -> how many, the most frequent first.
    """

    kind: str
    name: str = ""
    facts: Mapping[str, int] = field(default_factory=_none)
    counts: Mapping[str, int] = field(default_factory=_none)

    @property
    def told(self) -> str:
        facts = ", ".join(f"{number:,} {name}" for name, number in self.facts.items())
        counts = ", ".join(f"{name} {number}" for name, number in self.counts.items())
        return f"{facts or 'nothing is counted'}{': ' if counts else ''}{counts}"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "facts": dict(self.facts), "counts": dict(self.counts)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """Weights that one kind of operation unpacks.

    Args:
        kind: the operation, such as ``constexpr_lut_to_dense``, or a network's ``quantized``.
        tensors: how many.
        parameters: how many numbers they are once unpacked.
        stored: bytes that they take as they are stored, tables and scales included.
    """

    kind: str
    tensors: int
    parameters: int
    stored: int

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "tensors": self.tensors, "parameters": self.parameters, "stored": self.stored}


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How many numbers a model holds, and how they are stored.

    Args:
        parameters: numbers in constant float tensors of rank 1 and more, counted unpacked; a tensor that two functions share is
            counted once.
        stored: bytes that they take, tables and scales of compressed ones included.
        by_dtype: type -> bytes, of everything constant.
        compressed: what is compressed, by kind.
    """

    parameters: int = 0
    stored: int = 0
    by_dtype: Mapping[str, int] = field(default_factory=_none)
    compressed: tuple[Compressed, ...] = ()

    @property
    def bits_per_parameter(self) -> float | None:
        return 8 * self.stored / self.parameters if self.parameters else None

    @property
    def compressed_share(self) -> float:
        """Of the parameters, 0 to 1."""
        return sum(each.parameters for each in self.compressed) / self.parameters if self.parameters else 0.0

    def to_dict(self) -> dict[str, Any]:
        bits = self.bits_per_parameter
        return {
            "parameters": self.parameters,
            "stored": self.stored,
            "by_dtype": dict(self.by_dtype),
            "bits_per_parameter": None if bits is None else round(bits, 4),
            "compressed_share": round(self.compressed_share, 6),
            "compressed": [each.to_dict() for each in self.compressed],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The inside of one model."""

    stages: tuple[Stage, ...] = ()
    numbers: Numbers = field(default_factory=Numbers)
    problems: tuple[str, ...] = ()
