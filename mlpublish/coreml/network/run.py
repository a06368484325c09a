"""Run a network of a classic specification: ``neuralNetwork``, ``neuralNetworkClassifier``, ``neuralNetworkRegressor``.

Source of the rules: Core ML Format Reference, NeuralNetwork.proto. In float32, in numpy alone, many rows at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mlpublish.coreml.classic.stage import Rows, Run, labels_of
from mlpublish.coreml.effort import TooMuch, allowed
from mlpublish.coreml.network.graph import Graph
from mlpublish.coreml.network.interface import answer, entrances
from mlpublish.coreml.network.layers import unsupported as unsupported_layers
from mlpublish.coreml.schema import Message

KINDS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")

_AT_ONCE = 1 << 20  # numbers of the inputs that run through the network together
_MOST_ROWS = 256


def unsupported(stage: Message) -> list[str]:
    """What a network asks for that is not evaluated here: layers, and settings of layers."""
    return sorted(unsupported_layers(iter(_network(stage).layers)))


def opened(stage: Message) -> Run:
    """Read a network for which ``unsupported`` is empty.

    Raises:
        ValueError: it does not hold together; the layer is named.
    """
    return _Network(stage).run


def classes(stage: Message) -> tuple[int | str, ...]:
    """The labels in the order of the probabilities; empty where the network is no classifier."""
    return labels_of(stage.neuralNetworkClassifier) if stage.WhichOneof("Type") == "neuralNetworkClassifier" else ()


def _network(stage: Message) -> Message:
    return getattr(stage, stage.WhichOneof("Type"))


class _Network:
    """A network, read once."""

    def __init__(self, stage: Message) -> None:
        network = _network(stage)
        self._description = stage.description
        self._inputs = entrances(stage.description, network)
        self._graph = Graph(network.layers, dict.fromkeys(each.name for each in self._inputs))
        self._old = not network.arrayInputShapeMapping
        self._classes = classes(stage)
        self._probabilities = str(getattr(network, "labelProbabilityLayerName", "")) or self._graph.last
        self._outputs = {
            each.name: self._blob_of(each.name) for each in stage.description.output if not self._is_label(each.name)
        }
        missing = [name for name in self._outputs.values() if name not in self._graph.names]
        if missing:
            raise ValueError(f"no layer makes the output {missing[0]!r}")

    def _is_label(self, name: str) -> bool:
        return bool(self._classes) and name == self._description.predictedFeatureName

    def _blob_of(self, name: str) -> str:
        """The blob of an output: a classifier's probabilities and a regressor's value may have another name than theirs."""
        if self._classes and name == self._description.predictedProbabilitiesName:
            return self._probabilities
        if name not in self._graph.names and name == self._description.predictedFeatureName:
            return self._graph.last
        return name

    def run(self, rows: Rows) -> Rows:
        """Compute every output for all rows, so many at once as are good for the memory."""
        names = [each.name for each in self._inputs if each.name in rows]
        counts = {len(rows[name]) for name in names}
        if len(counts) != 1:
            raise ValueError(f"the inputs have {sorted(counts)} rows")
        (count,) = counts
        per_row = sum(rows[name].size for name in names) // max(1, count)
        step = max(1, min(_MOST_ROWS, _AT_ONCE // max(1, per_row)))
        with np.errstate(all="ignore"):  # what overflows is inf, as on a phone
            parts = [
                part
                for start in range(0, count, step)
                for part in self._parts({name: rows[name][start : start + step] for name in names}, min(step, count - start))
            ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _parts(self, rows: Rows, count: int) -> Iterator[Rows]:
        """All rows together; where that is refused, because rows differ or need too much room, in halves."""
        try:
            with allowed(count):
                found = self._together(rows, count)
        except ValueError as exc:
            if count == 1 or isinstance(exc, TooMuch):
                raise
        else:
            yield found
            return
        half = count // 2
        yield from self._parts({name: values[:half] for name, values in rows.items()}, half)
        yield from self._parts({name: values[half:] for name, values in rows.items()}, count - half)

    def _together(self, rows: Rows, count: int) -> Rows:
        blobs = {each.name: each.blob(rows) for each in self._inputs}
        wanted = frozenset(self._outputs.values()) | ({self._probabilities} if self._classes else set())
        self._graph.run(blobs, keep=wanted)
        found: Rows = {}
        for output in self._description.output:
            if self._is_label(output.name):
                found[output.name] = np.asarray(self._classes)[np.argmax(self._shares(blobs, count), axis=1)]
            elif self._classes and output.name == self._description.predictedProbabilitiesName:
                found[output.name] = self._shares(blobs, count)
            else:
                found[output.name] = answer(blobs[self._outputs[output.name]], output, count, old=self._old)
        return found

    def _shares(self, blobs: dict[str, NDArray[np.generic]], count: int) -> NDArray[np.generic]:
        """The probabilities as the network made them: (rows, classes)."""
        blob = blobs[self._probabilities]
        shares = np.broadcast_to(blob, (count, *blob.shape[1:])).reshape(count, -1)
        if shares.shape[1] != len(self._classes):
            raise ValueError(f"{len(self._classes)} labels for {shares.shape[1]} probabilities")
        return shares
