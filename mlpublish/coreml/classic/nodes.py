"""Read the nodes of a tree ensemble (TreeEnsemble.proto, ``TreeEnsembleParameters.TreeNode``) as columns, all trees at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.classic.stage import Doubles, Flags, Places, doubles
from mlpublish.coreml.schema import Message

LESS_OR_EQUAL, LESS, GREATER_OR_EQUAL, GREATER, EQUAL, NOT_EQUAL, LEAF = range(7)  # TreeNodeBehavior


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What leaves add: the entries of node n are ``starts[n]`` up to ``starts[n + 1]``.

    Args:
        results, values: to which result an entry adds how much.
    """

    starts: Places
    results: Places
    values: Doubles

    @classmethod
    def of(cls, nodes: list[Message], leaf: Flags) -> Values:
        added = [node.evaluationInfo if last else () for node, last in zip(nodes, leaf.tolist(), strict=True)]
        return cls(
            starts=np.cumsum([0, *(len(some) for some in added)], dtype=np.int64),
            results=np.asarray([each.evaluationIndex for some in added for each in some], dtype=np.int64),
            values=doubles((each.evaluationValue for some in added for each in some), "a leaf"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """All nodes of all trees; the children of a leaf are the leaf.

    Args:
        feature, number, behaviour: the question.
        yes, no: where the answer leads.
        missing: whether a missing value leads to ``yes``.
        roots: the trees' first nodes.
        depths: how many questions a tree asks at most.
    """

    feature: Places
    number: Doubles
    behaviour: Places
    yes: Places
    no: Places
    missing: Flags
    values: Values
    roots: Places
    depths: Places

    @classmethod
    def of(cls, parameters: Message) -> Nodes:
        """Read them.

        Raises:
            ValueError: they are no trees, or a number is none.
        """
        nodes = list(parameters.nodes)
        behaviour = _column(nodes, "nodeBehavior")
        leaf = behaviour == LEAF
        if not np.isin(behaviour, range(LEAF + 1)).all():
            raise ValueError(f"a node has the behaviour {behaviour.max()}, which is none")
        trees, (yes, no) = _children(nodes, leaf)
        roots, depths = _roots(trees, yes, no, leaf)
        return cls(
            feature=np.where(leaf, 0, _column(nodes, "branchFeatureIndex")),
            number=doubles(
                (0.0 if last else node.branchFeatureValue for node, last in zip(nodes, leaf, strict=True)), "a node"
            ),
            behaviour=behaviour,
            yes=yes,
            no=no,
            missing=_column(nodes, "missingValueTracksTrueChild").astype(np.bool_),
            values=Values.of(nodes, leaf),
            roots=roots,
            depths=depths,
        )


def _column(messages: list[Message], field: str) -> Places:
    return np.asarray([getattr(each, field) for each in messages], dtype=np.int64)


def _children(nodes: list[Message], leaf: Flags) -> tuple[Places, tuple[Places, Places]]:
    """The tree of each node, counted from 0, and the places of the nodes that its ids of children name."""
    _, tree = np.unique(_ids(nodes, "treeId"), return_inverse=True)
    ids = np.concatenate([_ids(nodes, field) for field in ("nodeId", "trueChildNodeId", "falseChildNodeId")])
    known, number = np.unique(ids, return_inverse=True)
    keys = (tree * len(known) + number.reshape(3, -1)).reshape(3, -1)
    order = np.argsort(keys[0], kind="stable")
    if (np.diff(keys[0][order]) == 0).any():
        raise ValueError("two nodes of a tree have one id")
    places = order[np.minimum(np.searchsorted(keys[0], keys[1:], sorter=order), len(nodes) - 1)] if nodes else keys[1:]
    if (keys[0][places] != keys[1:])[:, ~leaf].any():
        raise ValueError("a node leads to a node that is not there")
    itself = np.arange(len(nodes))
    return tree, (np.where(leaf, itself, places[0]), np.where(leaf, itself, places[1]))


def _ids(nodes: list[Message], field: str) -> NDArray[np.uint64]:
    return np.asarray([getattr(each, field) for each in nodes], dtype=np.uint64)


def _roots(tree: Places, yes: Places, no: Places, leaf: Flags) -> tuple[Places, Places]:
    """The one node of each tree that is no node's child, and how deep the tree goes below it."""
    branches = np.flatnonzero(~leaf)
    parents = np.bincount(np.concatenate([yes[branches], no[branches]]), minlength=len(leaf))
    roots = np.flatnonzero(parents == 0)
    if (parents > 1).any() or not np.array_equal(np.sort(tree[roots]), np.unique(tree)):
        raise ValueError("the nodes are no trees with one root each")
    above = np.arange(len(leaf))
    above[yes[branches]], above[no[branches]] = branches, branches
    steps = (parents > 0).astype(np.int64)
    for _ in range(len(leaf).bit_length() + 1):  # each time twice as far up
        steps, above = steps + steps[above], above[above]
    if (parents[above] > 0).any():
        raise ValueError("the nodes are no trees with one root each: some lead in a circle")
    depths = np.zeros(len(leaf), dtype=np.int64)
    np.maximum.at(depths, above, steps)
    return roots, depths[roots]
