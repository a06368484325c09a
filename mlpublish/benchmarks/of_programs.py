"""ML Programs beside torch in eager mode, one input at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn

from mlpublish.benchmarks.networks import NETWORKS, made
from mlpublish.benchmarks.speed import Speed
from mlpublish.benchmarks.timing import medians
from mlpublish.converting.from_torch import TorchSource
from mlpublish.converting.source import Precision
from mlpublish.coreml import evaluate

PRECISIONS: tuple[Precision, ...] = ("float32", "float16")
_RUNS: tuple[tuple[Precision, str], ...] = (("float32", "exact"), ("float16", "exact"), ("float16", "device"))


def works(bar: float) -> dict[str, Callable[[Path, int], Iterator[Speed]]]:
    """Name -> what measures it, given a folder to write into and the rounds."""
    return {name: partial(_measured, name, bar) for name in NETWORKS}


def _measured(name: str, bar: float, folder: Path, rounds: int) -> Iterator[Speed]:
    make, inputs = NETWORKS[name]
    network, samples = made(make), inputs(1)
    source = TorchSource(network)
    taken = source.inputs(samples)

    def ask_torch() -> None:
        with torch.no_grad():
            network(samples)

    paths = {
        precision: source.write(folder, f"{name}_{precision}", samples=samples, precision=precision, target="iOS17")
        for precision in PRECISIONS
    }
    for precision, mode in _RUNS:
        model = evaluate.load(paths[precision], mode=mode, backend="torch")
        theirs, ours = medians(ask_torch, lambda model=model: model.predict(taken), rounds=rounds)  # type: ignore[misc]
        yield Speed(name=f"{name}, {precision} file, {mode}", source=theirs, ours=ours, bar=bar)


def large(folder: Path, precision: Precision) -> Path:
    """A package of about 100 MB."""
    width = 2048 if precision == "float32" else 2896
    network = made(lambda: nn.Sequential(*(nn.Sequential(nn.Linear(width, width), nn.ReLU()) for _ in range(6))))
    source, samples = TorchSource(network), torch.zeros(1, width)
    return source.write(folder, f"large_{precision}", samples=samples, precision=precision, target="iOS17")
