"""The nodes of trees in protobuf's wire format, all at once: a forest of millions of nodes is written in seconds.

Node by node through protobuf's Python takes ten times as long, and so it would take half a minute where a forest has grown on
many rows. The bytes are the same: a number goes in as few bytes as hold it, and a field that is 0 is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.graph.machines import LEAF, Mode, Tree
from mlpublish.converting.graph.node import Doubles, Flags, Places
from mlpublish.coreml.schema import schema

_TOGETHER = 1 << 16  # nodes at once

_VARINT, _DOUBLE, _MESSAGE = 0, 1, 2  # wire types
_NODES = 1  # of TreeEnsembleParameters
_TREE, _NODE, _BEHAVIOUR, _FEATURE, _NUMBER, _YES, _NO, _MISSING, _VALUES = 1, 2, 3, 10, 11, 12, 13, 14, 20  # of TreeNode
_RESULT, _VALUE = 1, 2  # of EvaluationInfo

BEHAVIOURS: Mapping[Mode, str] = {
    Mode.LESS_OR_EQUAL: "BranchOnValueLessThanEqual",
    Mode.LESS: "BranchOnValueLessThan",
    Mode.GREATER_OR_EQUAL: "BranchOnValueGreaterThanEqual",
    Mode.GREATER: "BranchOnValueGreaterThan",
    Mode.EQUAL: "BranchOnValueEqual",
    Mode.NOT_EQUAL: "BranchOnValueNotEqual",
}
"""What Core ML calls each way of asking."""


def packed(trees: Sequence[Tree]) -> Iterator[bytes]:
    """The nodes of a ``TreeEnsembleParameters``, in parts, as its own parser reads them."""
    some: list[tuple[int, Tree]] = []
    count = 0
    for number, tree in enumerate(trees):
        some.append((number, tree))
        count += len(tree.feature)
        if count >= _TOGETHER:
            yield _packed(some)
            some, count = [], 0
    if some:
        yield _packed(some)


def _packed(trees: Sequence[tuple[int, Tree]]) -> bytes:
    sizes = [len(tree.feature) for _, tree in trees]
    feature = _all(trees, "feature")
    is_leaf = feature == LEAF
    held = _leaves(trees, sizes)
    fields = [
        _whole(_TREE, np.repeat([number for number, _ in trees], sizes)),
        _whole(_NODE, np.concatenate([np.arange(size) for size in sizes])),
        _whole(_BEHAVIOUR, np.where(is_leaf, _behaviour("LeafNode"), _modes(trees))),
        _whole(_FEATURE, np.where(is_leaf, 0, feature)),
        _number(_NUMBER, np.where(is_leaf, 0.0, _all(trees, "threshold"))),
        _whole(_YES, np.where(is_leaf, 0, _all(trees, "yes"))),
        _whole(_NO, np.where(is_leaf, 0, _all(trees, "no"))),
        _whole(_MISSING, np.where(is_leaf, 0, _all(trees, "missing_goes_yes"))),
    ]
    own = _Bytes.beside(fields)
    behind = np.bincount(held.node, weights=held.message.counts, minlength=len(feature)).astype(np.int64)
    heads = _Bytes.beside([_length(_NODES, own.counts + behind), own])
    ends = np.cumsum(heads.counts + behind)
    found = np.empty(int(ends[-1]), dtype=np.uint8)
    heads.put(found, ends - heads.counts - behind)
    before = np.cumsum(held.message.counts) - held.message.counts  # in all messages
    first = np.cumsum(behind) - behind
    held.message.put(found, (ends - behind)[held.node] + before - first[held.node])
    return found.tobytes()


@dataclass(frozen=True, slots=True)
class _Bytes:
    """Rows of bytes, some of which are left out.

    Args:
        held, kept: (rows, most bytes of a row).
    """

    held: NDArray[np.uint8]
    kept: Flags

    @classmethod
    def beside(cls, parts: Sequence[_Bytes]) -> _Bytes:
        return cls(np.hstack([part.held for part in parts]), np.hstack([part.kept for part in parts]))

    @property
    def counts(self) -> Places:
        """How many bytes a row has."""
        found: Places = self.kept.sum(axis=1)
        return found

    def put(self, into: NDArray[np.uint8], starts: Places) -> None:
        """Write each row from its place on."""
        counts = self.counts
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        into[np.repeat(starts, counts) + within] = self.held[self.kept]


@dataclass(frozen=True, slots=True)
class _Leaves:
    """What leaves add: a message each, and the node that it belongs to."""

    node: Places
    message: _Bytes


def _leaves(trees: Sequence[tuple[int, Tree]], sizes: Sequence[int]) -> _Leaves:
    nodes, results, values = [], [], []
    for start, (_, tree) in zip(np.cumsum([0, *sizes]).tolist(), trees, strict=False):
        leaves = np.flatnonzero(tree.feature == LEAF)
        row, column = np.nonzero(_adding(tree.values[leaves]))
        nodes.append(start + leaves[row])
        results.append(np.asarray(tree.adds_to, dtype=np.int64)[column])
        values.append(tree.values[leaves[row], column])
    inside = _Bytes.beside([_whole(_RESULT, np.concatenate(results)), _number(_VALUE, np.concatenate(values))])
    return _Leaves(np.concatenate(nodes), _Bytes.beside([_length(_VALUES, inside.counts), inside]))


def _adding(values: Doubles) -> Flags:
    """Which numbers of leaves are written: those that add something, and in a leaf that adds nothing the first."""
    found: Flags = values != 0
    found[:, 0] |= ~found.any(axis=1)
    return found


def _all(trees: Sequence[tuple[int, Tree]], name: str) -> NDArray[np.generic]:
    return np.concatenate([getattr(tree, name) for _, tree in trees])


def _modes(trees: Sequence[tuple[int, Tree]]) -> Places:
    number = {mode: _behaviour(name) for mode, name in BEHAVIOURS.items()}
    return np.fromiter((number[mode] for _, tree in trees for mode in tree.mode), dtype=np.int64)


def _behaviour(name: str) -> int:
    return int(schema("TreeEnsemble").TreeEnsembleParameters.TreeNode.TreeNodeBehavior.Value(name))


def _whole(field: int, values: NDArray[np.generic]) -> _Bytes:
    return _tagged(field, _VARINT, _varint(values), values != 0)


def _number(field: int, values: NDArray[np.generic]) -> _Bytes:
    numbers = np.ascontiguousarray(values, dtype="<f8")
    held = numbers.view(np.uint8).reshape(-1, 8)
    kept = numbers.view(np.int64) != 0  # minus 0 is written
    return _tagged(field, _DOUBLE, _Bytes(held, np.ones(held.shape, dtype=np.bool_)), kept)


def _length(field: int, counts: Places) -> _Bytes:
    return _tagged(field, _MESSAGE, _varint(counts), np.ones(len(counts), dtype=np.bool_))


def _tagged(field: int, wire: int, value: _Bytes, kept: Flags) -> _Bytes:
    tag = _varint(np.full(len(kept), field << 3 | wire))
    both = _Bytes.beside([tag, value])
    return _Bytes(both.held, both.kept & kept[:, np.newaxis])


def _varint(values: NDArray[np.generic]) -> _Bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    numbers = np.asarray(values, dtype=np.int64)
    width = max(1, -(-int(numbers.max(initial=0)).bit_length() // 7))
    rest = numbers[:, np.newaxis] >> (7 * np.arange(width))
    more = rest >> 7 > 0
    kept = rest > 0
    kept[:, 0] = True
    return _Bytes((rest & 0x7F | more << 7).astype(np.uint8), kept)
