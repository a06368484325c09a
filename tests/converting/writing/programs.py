"""Graphs written as a program, saved, and run from their file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mlpublish.converting.graph.answer import Answer, Number, Predicted
from mlpublish.converting.graph.node import Array, Column, Node, walked
from mlpublish.converting.quiet import coremltools
from mlpublish.converting.writing.program import build
from mlpublish.coreml.evaluate import load
from tests.converting.graphs import values

BACKENDS = ("numpy", "torch")

Rows = np.ndarray | Mapping[str, np.ndarray]


def saved(
    folder: Path, answer: Answer, *, alone: bool = True, target: str = "iOS16", leaves: tuple[Node, ...] | None = None
) -> Path:
    program = build(answer, leaves=_leaves(*answer.ends) if leaves is None else leaves, alone=alone, target=target)
    path = folder / "model.mlpackage"
    with coremltools() as ct:
        weights = None if program.weights is None else str(program.weights)
        ct.models.MLModel(program.spec, weights_dir=weights, skip_model_load=True).save(str(path))
    return path


def asked(path: Path, rows: Rows, *, backend: str = "numpy") -> dict[str, np.ndarray]:
    """What a saved program says to the one array, or to feature -> numbers."""
    if isinstance(rows, Mapping):
        inputs = {feature: np.asarray(column, np.float32)[:, np.newaxis] for feature, column in rows.items()}
    else:
        inputs = {"input": np.asarray(rows, np.float32)}
    return load(path, backend=backend).predict_rows(inputs)


def differences(
    folder: Path, nodes: Mapping[str, Node], rows: Rows, *, backend: str = "numpy", target: str = "iOS16"
) -> dict[str, float]:
    """How far one program for all nodes is from each node in doubles, beside the larger of 1 and the number."""
    names = {name: f"output_{place}" for place, name in enumerate(nodes)}
    answer = Predicted(numbers=tuple(Number(name=names[name], node=node) for name, node in nodes.items()))
    got = asked(saved(folder, answer, target=target), rows, backend=backend)
    return {name: difference(got[names[name]], values(node, as_read(rows))) for name, node in nodes.items()}


def difference(got: np.ndarray, wanted: np.ndarray) -> float:
    assert got.shape == wanted.shape
    assert (np.isnan(got) == np.isnan(wanted)).all(), (got, wanted)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(got.astype(np.float64) - wanted) / np.maximum(1, np.abs(wanted))
    return float(np.where((got == wanted) | np.isnan(wanted), 0.0, gaps).max())


def as_read(rows: Rows) -> Rows:
    """Rows as a program reads them, rounded to float32."""
    if isinstance(rows, Mapping):
        return {feature: np.asarray(column, np.float32).astype(np.float64) for feature, column in rows.items()}
    return np.asarray(rows, np.float32).astype(np.float64)


def _leaves(*ends: Node) -> tuple[Node, ...]:
    return tuple(node for node in walked(*ends) if isinstance(node, Array | Column))
