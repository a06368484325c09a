"""The operations of an ML Program (MIL) that a node becomes, in float32, one module per family of nodes.

An emitter takes coremltools' builder, the node and what it reads, each a variable of the shape (1, width), and gives one of the
same kind. What Apple's documents leave open is not relied on: which of equal numbers ``reduce_argmax`` finds, how ``round``
takes a half, how near to 0 ``log(1 + x)`` or ``softplus`` is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mlpublish.converting.graph.node import Node
from mlpublish.converting.writing.operations import algebra, columnwise, coupling, machines, medians, neighbours

EMITTERS: Mapping[type[Node], Callable[..., Any]] = MappingProxyType(
    {
        kind: emitter
        for family in (columnwise, algebra, neighbours, medians, machines, coupling)
        for kind, emitter in family.EMITTERS.items()
    }
)
"""Kind of node -> ``(builder, node, *read variables) -> variable``."""
