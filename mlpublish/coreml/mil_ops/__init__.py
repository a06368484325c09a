"""The MIL operations that the evaluator knows, one module per family; numpy alone.

A handler's parameters are the MIL operation's, by name, with its defaults; the operation's other parameters are unknown to
us, and a program that uses one is refused before it runs (``program.unsupported``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mlpublish.coreml.mil_ops import activation, classification, convolution, elementwise, linear, reduction, shape
from mlpublish.coreml.mil_ops.tensor import Handler

_FAMILIES = (elementwise, activation, linear, shape, reduction, convolution, classification)

OPS: Mapping[str, Handler] = MappingProxyType({name: run for family in _FAMILIES for name, run in family.OPS.items()})
"""MIL operation -> what runs it."""

COVERED = frozenset({"validate_indices", "output_dtype", "output_indices_dtype", "sort"})
"""Parameters that no handler needs: the declared type of the result says the same, or numpy always does it."""
