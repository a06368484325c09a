"""The networks that are measured: written here with untrained weights, in the sizes of the well-known ones they follow.

How long an answer takes does not depend on what the weights are; so nothing is downloaded. Normalisations
get uneven statistics, because a converter may drop fresh ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Residual(nn.Module):
    """Two 3 × 3 convolutions around a shortcut."""

    def __init__(self, taken: int, given: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(taken, given, 3, stride, 1, bias=False), nn.BatchNorm2d(given), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(given, given, 3, 1, 1, bias=False), nn.BatchNorm2d(given))
        same = stride == 1 and taken == given
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(taken, given, 1, stride, bias=False), nn.BatchNorm2d(given))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


def resnet18(classes: int = 1000) -> nn.Module:
    """11.7 million parameters, for images of 224 × 224."""
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    blocks = [block for taken, given, stride in widths for block in (Residual(taken, given, stride), Residual(given, given, 1))]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


class Squeeze(nn.Module):
    """A gate per channel, worked out from the channels' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(8, channels // 4 // 8 * 8)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, inner, 1), nn.ReLU(), nn.Conv2d(inner, channels, 1), nn.Hardsigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = x * self.gate(x)
        return gated


class Inverted(nn.Module):
    """Widen, filter each channel by itself, narrow; around a shortcut where the shapes allow one."""

    def __init__(self, taken: int, kernel: int, wide: int, given: int, squeezed: bool, hard: bool, stride: int) -> None:
        super().__init__()
        act: type[nn.Module] = nn.Hardswish if hard else nn.ReLU
        widen = [nn.Conv2d(taken, wide, 1, bias=False), nn.BatchNorm2d(wide), act()] if wide != taken else []
        self.body = nn.Sequential(
            *widen,
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            act(),
            Squeeze(wide) if squeezed else nn.Identity(),
            nn.Conv2d(wide, given, 1, bias=False),
            nn.BatchNorm2d(given),
        )
        self.short = stride == 1 and taken == given

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out if self.short else out


# Taken, kernel, wide, given, squeezed, hard, stride: the small network of the MobileNetV3 paper (its table 2)
_SMALL = (
    (16, 3, 16, 16, True, False, 2), (16, 3, 72, 24, False, False, 2), (24, 3, 88, 24, False, False, 1),
    (24, 5, 96, 40, True, True, 2), (40, 5, 240, 40, True, True, 1), (40, 5, 240, 40, True, True, 1),
    (40, 5, 120, 48, True, True, 1), (48, 5, 144, 48, True, True, 1), (48, 5, 288, 96, True, True, 2),
    (96, 5, 576, 96, True, True, 1), (96, 5, 576, 96, True, True, 1),
)  # fmt: skip


def mobilenet_v3(classes: int = 1000) -> nn.Module:
    """2.5 million parameters, for images of 224 × 224."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish(),
        *(Inverted(*row) for row in _SMALL),
        nn.Conv2d(96, 576, 1, bias=False), nn.BatchNorm2d(576), nn.Hardswish(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(576, 1024), nn.Hardswish(), nn.Linear(1024, classes),
    )  # fmt: skip


class Block(nn.Module):
    """Attention and a network per token, each behind a normalisation (or before it, as BERT has it)."""

    def __init__(self, width: int, heads: int, before: bool) -> None:
        super().__init__()
        self.heads, self.before = heads, before
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def attend(self, x: Tensor) -> Tensor:
        rows, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(rows, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows, tokens, width))
        return mixed

    def forward(self, x: Tensor) -> Tensor:
        if self.before:
            x = x + self.attend(self.norm1(x))
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x + self.attend(x))
        out: Tensor = self.norm2(x + self.mlp(x))
        return out


class Vision(nn.Module):
    """Patches of an image as tokens, with one more in front that answers."""

    def __init__(self, size: int, patch: int, width: int, depth: int, heads: int, classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width) * 0.02)
        self.blocks = nn.Sequential(*(Block(width, heads, before=True) for _ in range(depth)))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, classes))

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.cat([self.first, self.patches(x).flatten(2).transpose(1, 2)], dim=1) + self.place
        scores: Tensor = self.head(self.blocks(tokens)[:, 0])
        return scores


def vit_tiny(classes: int = 1000) -> nn.Module:
    """5.7 million parameters, for images of 224 × 224."""
    return Vision(224, 16, 192, 12, 3, classes)


class Text(nn.Module):
    """Token ids to one vector; the first token answers."""

    def __init__(self, words: int, tokens: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.words, self.place = nn.Embedding(words, width), nn.Parameter(torch.randn(1, tokens, width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.Sequential(*(Block(width, heads, before=False) for _ in range(depth)))
        self.pool = nn.Sequential(nn.Linear(width, width), nn.Tanh())

    def forward(self, ids: Tensor) -> Tensor:
        answer: Tensor = self.pool(self.blocks(self.norm(self.words(ids) + self.place))[:, 0])
        return answer


def bert_tiny() -> nn.Module:
    """4.4 million parameters, for 128 token ids."""
    return Text(30_522, 128, 128, 2, 2)


def images(rows: int) -> Tensor:
    return torch.randn(rows, 3, 224, 224)


def texts(rows: int) -> Tensor:
    return torch.randint(0, 30_522, (rows, 128))


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], Callable[[int], Tensor]]] = MappingProxyType(
    {
        "resnet18": (resnet18, images),
        "mobilenet_v3": (mobilenet_v3, images),
        "vit_tiny": (vit_tiny, images),
        "bert_tiny": (bert_tiny, texts),
    }
)
"""Name -> how it is made, and how its inputs are."""


def made(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A network with the same numbers each time, ready to answer."""
    torch.manual_seed(seed)
    network = make()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.6, 1.4)
            nn.init.uniform_(part.weight, 0.7, 1.3)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    return network.eval()
