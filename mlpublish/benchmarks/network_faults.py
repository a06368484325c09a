"""Faults that a converter, or an edit of a network's file, could leave: each seeded at a first, a middle and a last place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlpublish.benchmarks.fault import FACTOR, SCALED, Fault, spread

_PASSING = (
    nn.ReLU, nn.Tanh, nn.SiLU, nn.GELU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Hardswish, nn.Hardsigmoid,
    nn.BatchNorm2d, nn.LayerNorm,
)  # fmt: skip
"""Layers whose result has the shape of what they take: they can be missing without anybody noticing by the shape."""


def network_faults(network: nn.Module, *, is_classifier: bool) -> Iterator[Fault]:
    """The faults that this network can have."""
    layers = dict(network.named_modules())
    buffers = {name: each for name, each in network.named_buffers() if each.is_floating_point()}
    tensors = dict(network.named_parameters()) | buffers
    for name in spread([name for name, part in layers.items() if isinstance(part, _PASSING)]):
        yield Fault("dropped layer", name, partial(_replaced, name, lambda _: nn.Identity()))
    for name in spread([name for name, each in tensors.items() if each.ndim > 1 and len(each) > 1]):
        yield Fault("swapped weights", name, partial(_edited, name, _swap))
    for name in spread([name for name, each in tensors.items() if each.ndim > 1 and each.shape[0] == each.shape[1]]):
        yield Fault("transposed matrix", name, partial(_edited, name, _transposed))
    for name in spread(list(tensors)):
        yield Fault(SCALED, name, partial(_edited, name, _scaled))
    for name in spread([name for name, part in layers.items() if _is_padded(part)]):
        yield Fault("wrong padding", name, partial(_replaced, name, Shifted))
    if is_classifier:
        yield Fault("off-by-one class", "output", lambda whole: nn.Sequential(whole, Rolled()))


class Shifted(nn.Module):
    """A convolution whose padding stands on one side: what a reader of ``same`` padding may get wrong."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        rows, columns = inner.padding
        self.sides = (2 * columns, 0, 2 * rows, 0)
        inner.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(F.pad(x, self.sides))
        return out


class Rolled(nn.Module):
    """Scores that stand one class further."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, -1:], x[:, :-1]], dim=1)


def _is_padded(part: nn.Module) -> bool:
    return isinstance(part, nn.Conv2d) and 0 not in part.padding


def _swap(weights: Tensor) -> Tensor:
    """The first two rows (output channels) in each other's place."""
    return torch.cat([weights[1:2], weights[:1], weights[2:]])


def _transposed(weights: Tensor) -> Tensor:
    return weights.transpose(0, 1)


def _scaled(weights: Tensor) -> Tensor:
    return weights * FACTOR


def _edited(name: str, edit: Callable[[Tensor], Tensor], network: nn.Module) -> nn.Module:
    owner, _, leaf = name.rpartition(".")
    held = getattr(network.get_submodule(owner), leaf)
    with torch.no_grad():
        held.copy_(edit(held).clone())
    return network


def _replaced(name: str, make: Callable[[nn.Module], nn.Module], network: nn.Module) -> nn.Module:
    owner, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(owner), leaf, make(network.get_submodule(name)))
    return network
