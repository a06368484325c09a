"""Run a tree ensemble of a Core ML specification (``treeEnsembleClassifier``, ``treeEnsembleRegressor``).

Source of the rules: Core ML Format Reference (``TreeEnsembleParameters``). Every tree is walked from its one root: a node
compares a feature with its number and goes to its true or false child, a missing value (NaN) to the true child only where
the node says so; the leaf that is reached adds its sparse values to ``basePredictionValue``. Features are counted through
the inputs, in the order of the description. Values are compared as doubles, in which float32 inputs are exact.

What the reference leaves open, and is read here as coremltools' converters use it: one result with two labels speaks for
the second label; of equal probabilities the first label wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.schema import Message

KINDS = ("treeEnsembleClassifier", "treeEnsembleRegressor")

_Doubles = NDArray[np.float64]
_Places = NDArray[np.int64]
_Flags = NDArray[np.bool_]

_ENTRIES = 1 << 21  # leaf values that are added up at once; bounds the memory

# Row: the node's behaviour, in the schema's order (<=, <, >=, >, ==, !=). Column: the feature is less, equal, greater.
_GOES_TRUE = np.asarray([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 1, 0], [1, 0, 1]], dtype=bool)
_LEAF = len(_GOES_TRUE)
_NONE, _SOFTMAX, _LOGISTIC, _SOFTMAX_AGAINST_ZERO = range(4)  # TreeEnsemblePostEvaluationTransform


def unsupported(stage: Message) -> list[str]:
    """What an ensemble asks for that is not evaluated here."""
    kind = stage.WhichOneof("Type")
    held = getattr(stage, kind)
    found = [f"{kind} with transform {held.postEvaluationTransform}"] if held.postEvaluationTransform > 3 else []
    if kind == "treeEnsembleRegressor" and held.postEvaluationTransform in (_SOFTMAX, _SOFTMAX_AGAINST_ZERO):
        found.append("treeEnsembleRegressor with a softmax")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nodes:
    """All nodes of all trees as columns; leaves lead to themselves.

    Args:
        feature, number, behaviour: the question.
        children: (nodes, 2), where false and true lead.
        missing: where a missing value leads: 0 or 1.
        starts: where a node's values begin in ``results`` and ``values``; one more than nodes.
        results, values: what leaves add, and to which result.
        roots: the trees' first nodes.
    """

    feature: _Places
    number: _Doubles
    behaviour: _Places
    children: _Places
    missing: _Places
    starts: _Places
    results: _Places
    values: _Doubles
    roots: _Places


class Ensemble:
    """An ensemble, read once, ready to run.

    Args:
        stage: a ``Model`` message of one of ``KINDS``.

    Raises:
        ValueError, KeyError: its nodes are no trees.
    """

    def __init__(self, stage: Message) -> None:
        held = getattr(stage, stage.WhichOneof("Type"))
        self._description = stage.description
        self._is_classifier = stage.WhichOneof("Type") == "treeEnsembleClassifier"
        self._labels = labels_of(held) if self._is_classifier else ()
        self._transform = int(held.postEvaluationTransform)
        self._base = np.asarray(list(held.treeEnsemble.basePredictionValue), dtype=np.float64)
        if len(self._base) != held.treeEnsemble.numPredictionDimensions:
            raise ValueError(f"{len(self._base)} base values for {held.treeEnsemble.numPredictionDimensions} results")
        self._nodes = _read(held.treeEnsemble)
        if self._nodes.results.size and self._nodes.results.max() >= len(self._base):
            raise ValueError(f"a leaf adds to result {self._nodes.results.max()} of {len(self._base)}")

    def run(self, known: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Compute the outputs for all rows of the inputs: feature -> (rows, …)."""
        rows = np.concatenate([_flat(known[each.name]) for each in self._description.input], axis=1)
        asked = self._nodes.feature.max(initial=-1)
        if asked >= rows.shape[1]:
            raise ValueError(f"a node asks feature {asked} of {rows.shape[1]}")
        answers = self._transformed(np.concatenate([self._sums(part) for part in self._parts(rows)]))
        if not self._is_classifier:
            name = self._description.output[0].name
            return {name: answers[:, 0] if answers.shape[1] == 1 else answers}
        return self._chosen(answers)

    def _chosen(self, answers: _Doubles) -> dict[str, NDArray[np.generic]]:
        if answers.shape[1] == 1:  # two classes; the one result speaks for the second
            answers = np.column_stack([1 - answers, answers])
        if answers.shape[1] != len(self._labels):
            raise ValueError(f"{len(self._labels)} labels for {answers.shape[1]} probabilities")
        return {
            self._description.predictedFeatureName: np.asarray(self._labels)[np.argmax(answers, axis=1)],
            self._description.predictedProbabilitiesName: answers,
        }

    def _parts(self, rows: _Doubles) -> Iterator[_Doubles]:
        most = int(np.diff(self._nodes.starts).max(initial=1))
        size = max(1, _ENTRIES // max(1, len(self._nodes.roots) * most))
        yield from (rows[start : start + size] for start in range(0, len(rows), size))

    def _sums(self, rows: _Doubles) -> _Doubles:
        """(rows, features) -> (rows, results)."""
        leaves = self._leaves(rows)
        starts, counts = self._nodes.starts[leaves], np.diff(self._nodes.starts)[leaves]
        ends = np.cumsum(counts)
        entries = np.arange(counts.sum()) + np.repeat(starts.ravel() - (ends - counts.ravel()), counts.ravel())
        row = np.repeat(np.arange(len(rows)), counts.sum(axis=1))
        width = len(self._base)
        cells = row * width + self._nodes.results[entries]
        added = np.bincount(cells, weights=self._nodes.values[entries], minlength=len(rows) * width)
        return self._base + added.reshape(len(rows), width)

    def _leaves(self, rows: _Doubles) -> _Places:
        """(rows, features) -> the leaf that each row reaches in each tree, (rows, trees)."""
        nodes = self._nodes
        at = np.tile(nodes.roots, (len(rows), 1))
        row, tree = np.nonzero(nodes.behaviour[at] != _LEAF)
        while row.size:
            here = at[row, tree]
            feature, number = rows[row, nodes.feature[here]], nodes.number[here]
            order = 1 + (feature > number).astype(np.int64) - (feature < number)
            true = np.where(np.isnan(feature), nodes.missing[here], _GOES_TRUE[nodes.behaviour[here], order])
            at[row, tree] = nodes.children[here, true]
            going = nodes.behaviour[at[row, tree]] != _LEAF
            row, tree = row[going], tree[going]
        return at

    def _transformed(self, sums: _Doubles) -> _Doubles:
        if self._transform == _LOGISTIC:
            with np.errstate(over="ignore"):  # exp(800) is inf and the quotient 0, as it should be
                return 1 / (1 + np.exp(-sums))
        if self._transform == _NONE:
            return sums
        if self._transform == _SOFTMAX_AGAINST_ZERO:  # the first class is the reference
            sums = np.column_stack([np.zeros(len(sums)), sums])
        raised = np.exp(sums - sums.max(axis=1, keepdims=True))
        softmax: _Doubles = raised / raised.sum(axis=1, keepdims=True)
        return softmax


def labels_of(classifier: Message) -> tuple[int | str, ...]:
    """A classifier's labels, in the order of its probabilities."""
    if classifier.WhichOneof("ClassLabels") == "stringClassLabels":
        return tuple(str(each) for each in classifier.stringClassLabels.vector)
    return tuple(int(each) for each in classifier.int64ClassLabels.vector)


def _flat(values: NDArray[np.generic]) -> _Doubles:
    return values.astype(np.float64).reshape(len(values), -1)


def _read(parameters: Message) -> _Nodes:
    nodes = list(parameters.nodes)
    behaviour = _column(nodes, "nodeBehavior")
    leaf = behaviour == _LEAF
    if (behaviour > _LEAF).any():
        raise ValueError(f"a node has the behaviour {behaviour.max()}, which is none")
    children = _children(nodes)
    added = [list(node.evaluationInfo) if last else [] for node, last in zip(nodes, leaf, strict=True)]
    flat = [each for some in added for each in some]
    return _Nodes(
        feature=np.where(leaf, 0, _column(nodes, "branchFeatureIndex")),
        number=np.asarray([node.branchFeatureValue for node in nodes], dtype=np.float64),
        behaviour=behaviour,
        children=children,
        missing=_column(nodes, "missingValueTracksTrueChild"),
        starts=np.cumsum([0, *(len(some) for some in added)], dtype=np.int64),
        results=_column(flat, "evaluationIndex"),
        values=np.asarray([each.evaluationValue for each in flat], dtype=np.float64),
        roots=_roots(_column(nodes, "treeId"), children, leaf),
    )


def _column(messages: list[Message], field: str) -> _Places:
    return np.asarray([getattr(each, field) for each in messages], dtype=np.int64)


def _children(nodes: list[Message]) -> _Places:
    """Where false and true lead, (nodes, 2); a leaf leads to itself."""
    place = {(node.treeId, node.nodeId): at for at, node in enumerate(nodes)}
    if len(place) != len(nodes):
        raise ValueError("two nodes of a tree have one id")
    pairs = [
        (at, at)
        if node.nodeBehavior == _LEAF
        else (place[node.treeId, node.falseChildNodeId], place[node.treeId, node.trueChildNodeId])
        for at, node in enumerate(nodes)
    ]
    return np.asarray(pairs, dtype=np.int64).reshape(-1, 2)


def _roots(trees: _Places, children: _Places, leaf: _Flags) -> _Places:
    """The one node of each tree that is no node's child; every other is the child of one, so no walk goes in circles."""
    parents = np.bincount(children[~leaf].ravel(), minlength=len(leaf))
    roots = np.flatnonzero(parents == 0)
    if (parents > 1).any() or sorted(trees[roots]) != sorted(set(trees.tolist())):
        raise ValueError("the nodes are no trees with one root each")
    return roots
