"""Ten small networks for the study of faults, trained for a moment on scikit-learn's digits (8 × 8, values from 0 to 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlpublish.benchmarks.networks import Block, Inverted, Residual

_STEPS, _BATCH = 400, 64


class Image(nn.Module):
    """A flat digit as an image of one channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, 1, 8, 8)


class Rows(nn.Module):
    """A digit read row by row by a recurrent layer; the last state answers."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.read, self.head = kind(8, 24, batch_first=True), nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.read(x.reshape(-1, 8, 8))[0][:, -1])
        return scores


class Patches(nn.Module):
    """Sixteen patches as tokens, whose mean answers."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 24, 2, 2)
        self.place = nn.Parameter(torch.randn(1, 16, 24) * 0.1)
        self.blocks = nn.Sequential(*(Block(24, 2, before=True) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(24), nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x.reshape(-1, 1, 8, 8)).flatten(2).transpose(1, 2) + self.place
        scores: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return scores


class Tokens(nn.Module):
    """Every pixel as one of 17 words."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.place = nn.Embedding(17, 16), nn.Parameter(torch.randn(1, 64, 16) * 0.1)
        self.block, self.head = Block(16, 2, before=False), nn.Linear(16, 10)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.head(self.block(self.words(ids) + self.place).mean(1))
        return scores


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 10))


def _normalised() -> nn.Module:
    hidden = (part for _ in range(3) for part in (nn.Linear(32, 32), nn.LayerNorm(32), nn.GELU()))
    return nn.Sequential(nn.Linear(64, 32), nn.SiLU(), *hidden, nn.Linear(32, 10))


def _convolutions() -> nn.Module:
    first = [nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(Image(), *first, *second, nn.Flatten(), nn.Linear(64, 10))


def _residual() -> nn.Module:
    return nn.Sequential(
        Image(), Residual(1, 12, 1), Residual(12, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)
    )


def _mobile() -> nn.Module:
    stem = [nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish()]
    blocks = [Inverted(8, 3, 24, 8, True, True, 1), Inverted(8, 5, 32, 16, True, True, 2)]
    return nn.Sequential(Image(), *stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def _restoring() -> nn.Module:
    """A digit through a narrow place and back: it answers with 64 numbers, not with scores."""
    down = [nn.Conv2d(1, 8, 3, 2, 1), nn.ELU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ELU()]
    up = [nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.LeakyReLU(0.1), nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Sigmoid()]
    return nn.Sequential(Image(), *down, *up, nn.Flatten())


SMALL_NETWORKS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {
        "mlp": _mlp,
        "normalised": _normalised,
        "convolutions": _convolutions,
        "residual": _residual,
        "mobile": _mobile,
        "patches": Patches,
        "tokens": Tokens,
        "lstm": lambda: Rows(nn.LSTM),
        "gru": lambda: Rows(nn.GRU),
        "restoring": _restoring,
    }
)
"""Name -> an untrained network."""


def digits(name: str) -> tuple[Tensor, Tensor]:
    """Inputs and wanted answers, as the network of this name takes them."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    if name == "tokens":
        return torch.from_numpy(pixels.astype(np.int64)), torch.from_numpy(labels)
    values = torch.from_numpy((pixels / 16).astype(np.float32))
    return values, values if name == "restoring" else torch.from_numpy(labels)


def trained(name: str) -> tuple[nn.Module, NDArray[np.generic]]:
    """A trained network and 64 rows that it has not seen."""
    torch.manual_seed(5)
    network, (inputs, wanted) = SMALL_NETWORKS[name](), digits(name)
    loss = nn.MSELoss() if name == "restoring" else nn.CrossEntropyLoss()
    steps = torch.optim.Adam(network.parameters(), lr=4e-3)
    for _ in range(_STEPS):
        some = torch.randint(0, len(inputs) - 64, (_BATCH,))
        steps.zero_grad()
        loss(network(inputs[some]), wanted[some]).backward()
        steps.step()
    return network.eval().requires_grad_(False), inputs[-64:].numpy()


@contextmanager
def one_thread() -> Iterator[None]:
    """For such small networks a second thread costs more than it brings, most of all on a machine that does other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
