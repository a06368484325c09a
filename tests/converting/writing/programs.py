"""A graph written as a program, saved, and run from its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlpublish.converting.graph.answer import Answer, Classified, Number, Predicted
from mlpublish.converting.graph.node import Array, Column, Node, walked
from mlpublish.converting.quiet import coremltools
from mlpublish.converting.writing.program import build
from mlpublish.coreml.evaluate import load
from tests.converting.graphs import values

BACKENDS = ("numpy", "torch")


def leaves_of(*ends: Node) -> tuple[Node, ...]:
    return tuple(node for node in walked(*ends) if isinstance(node, Array | Column))


def saved(folder: Path, answer: Answer, *, alone: bool = True, target: str = "iOS16", leaves: tuple[Node, ...] = ()) -> Path:
    program = build(answer, leaves=leaves or leaves_of(*answer.ends), alone=alone, target=target)
    path = folder / "model.mlpackage"
    with coremltools() as ct:
        weights = None if program.weights is None else str(program.weights)
        ct.models.MLModel(program.spec, weights_dir=weights, skip_model_load=True).save(str(path))
    return path


def asked(path: Path, leaves: tuple[Node, ...], rows: Any, backend: str = "numpy") -> dict[str, np.ndarray]:
    """What a saved program says to rows: one array, or column -> numbers."""
    if isinstance(rows, Mapping):
        inputs = {leaf.feature: np.asarray(rows[leaf.name], np.float32)[:, None] for leaf in leaves if isinstance(leaf, Column)}
    else:
        inputs = {"input": np.asarray(rows, np.float32)}
    return load(path, backend=backend).predict_rows(inputs)


def gap(folder: Path, node: Node, rows: Any, *, backend: str = "numpy", target: str = "iOS16") -> float:
    """The largest difference between a saved program and its graph in doubles, beside the larger of 1 and the number."""
    answer = Predicted(numbers=(Number(name="prediction", node=node),))
    return between(
        asked(saved(folder, answer, target=target), leaves_of(node), rows, backend)["prediction"], values(node, as_read(rows))
    )


def between(got: np.ndarray, wanted: np.ndarray) -> float:
    got = np.asarray(got, dtype=np.float64).reshape(wanted.shape)
    assert (np.isnan(got) == np.isnan(wanted)).all(), (got, wanted)
    same = (got == wanted) | np.isnan(wanted)
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0.0, np.abs(got - wanted) / np.maximum(1, np.abs(wanted))).max())


def as_read(rows: Any) -> Any:
    """Rows as a program reads them, rounded to float32."""
    if isinstance(rows, Mapping):
        return {name: np.asarray(column, np.float32).astype(np.float64) for name, column in rows.items()}
    return np.asarray(rows, np.float32).astype(np.float64)


def classified(folder: Path, node: Node, classes: Any, rows: Any, *, backend: str = "numpy") -> dict[str, np.ndarray]:
    answer = Classified(classes=classes, scores=node, probabilities=node)
    return asked(saved(folder, answer), leaves_of(node), rows, backend)
