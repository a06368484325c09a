"""Small networks that mostly move and pick numbers, in plain torch: a text encoder, a text decoder, windows of an image."""

from __future__ import annotations

import torch
from torch import nn

WORDS, LENGTH, WIDTH, HEADS = 97, 12, 32, 4


class Attention(nn.Module):
    """Queries, keys and values from one projection, by heads."""

    def __init__(self, width: int = WIDTH, heads: int = HEADS) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.both, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, bias):
        n, length, width = x.shape
        parts = self.both(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts[0], parts[1], parts[2]
        weights = torch.softmax(query @ key.transpose(-2, -1) * self.scale + bias, dim=-1)
        return self.out((weights @ value).transpose(1, 2).reshape(n, length, width))


class Block(nn.Module):
    """Attention and two dense layers, each beside what it is given."""

    def __init__(self, width: int = WIDTH, heads: int = HEADS) -> None:
        super().__init__()
        self.first, self.second, self.attention = nn.LayerNorm(width), nn.LayerNorm(width), Attention(width, heads)
        self.dense = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x, bias):
        x = x + self.attention(self.first(x), bias)
        return x + self.dense(self.second(x))


class Encoder(nn.Module):
    """BERT's shape: words, places and kinds; padding masked; the first word stands for all."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places, self.kinds = nn.Embedding(WORDS, WIDTH), nn.Embedding(LENGTH, WIDTH), nn.Embedding(2, WIDTH)
        self.block = Block()
        self.pool = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("order", torch.arange(LENGTH).unsqueeze(0))

    def forward(self, ids, mask):
        bias = (1.0 - mask[:, None, None, :].float()) * -1e4
        x = self.words(ids) + self.places(self.order[:, : ids.shape[1]]) + self.kinds(torch.zeros_like(ids))
        return torch.tanh(self.pool(self.block(x, bias)[:, 0]))

    @staticmethod
    def inputs():
        mask = torch.ones(2, LENGTH, dtype=torch.int32)
        mask[1, 7:] = 0
        return {"ids": torch.randint(0, WORDS, (2, LENGTH), dtype=torch.int32), "mask": mask}


class Decoder(nn.Module):
    """GPT's shape: no word sees a later one, and the words' own table scores the next."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Parameter(torch.randn(1, LENGTH, WIDTH) * 0.1)
        self.block, self.last = Block(), nn.LayerNorm(WIDTH)
        self.register_buffer("later", torch.triu(torch.full((LENGTH, LENGTH), -1e4), diagonal=1))

    def forward(self, ids):
        length = ids.shape[1]
        x = self.words(ids) + self.places[:, :length]
        x = self.block(x, self.later[:length, :length])
        return self.last(x[:, -3:]) @ self.words.weight.t()

    @staticmethod
    def inputs():
        return {"ids": torch.randint(0, WORDS, (1, LENGTH), dtype=torch.int32)}


class Windows(nn.Module):
    """Swin's shape: attention in shifted windows, a table of relative places, patches merged from every second pixel."""

    side, window, width = 8, 4, 16

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, self.width, 2, stride=2)
        self.block, self.merge = Block(self.width, 2), nn.Linear(4 * self.width, 2 * self.width, bias=False)
        self.norm = nn.LayerNorm(4 * self.width)
        self.table = nn.Parameter(torch.randn((2 * self.window - 1) ** 2, 2) * 0.3)
        at = torch.stack(torch.meshgrid(torch.arange(self.window), torch.arange(self.window), indexing="ij")).flatten(1)
        between = (at[:, :, None] - at[:, None, :] + self.window - 1).permute(1, 2, 0)
        self.register_buffer("pairs", between[..., 0] * (2 * self.window - 1) + between[..., 1])

    def forward(self, image):
        w, side = self.window, self.side
        x = torch.roll(self.patches(image).permute(0, 2, 3, 1), (-2, -2), (1, 2))
        n, _, _, c = x.shape
        x = x.view(n, side // w, w, side // w, w, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, w * w, c)
        bias = self.table[self.pairs.view(-1)].view(w * w, w * w, -1).permute(2, 0, 1).unsqueeze(0)
        x = self.block(x, bias)
        x = x.view(n, side // w, side // w, w, w, c).permute(0, 1, 3, 2, 4, 5).reshape(n, side, side, c)
        x = torch.roll(x, (2, 2), (1, 2))
        quarters = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.merge(self.norm(torch.cat(quarters, dim=-1))).flatten(1, 2)

    @staticmethod
    def inputs():
        return {"image": torch.randn(1, 3, 16, 16)}


class Pixels(nn.Module):
    """An image made smaller and deeper and larger again; turned, padded, picked and put together."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.Conv2d(12, 12, 1)
        self.register_buffer("pick", torch.tensor([2, 0, 1, 1]))

    def forward(self, image):
        x = nn.functional.pad(image, (1, 1, 2, 0), mode="reflect")
        x = nn.functional.pixel_unshuffle(x, 2)
        x = nn.functional.pixel_shuffle(self.deep(x), 2)[:, :, 2:, 1:-1]
        x = torch.stack([x.flip(-1), x.repeat(1, 1, 1, 1)], dim=1).flatten(1, 2)
        x = torch.cat([part * (k + 1) for k, part in enumerate(x.chunk(3, dim=1))], dim=1)
        best, places = x.index_select(1, self.pick).flatten(2).topk(5, dim=-1)
        return best + torch.gather(x[:, :4].flatten(2), 2, places) + nn.functional.pad(best, (1, 0))[..., :-1]

    @staticmethod
    def inputs():
        return {"image": torch.randn(1, 3, 8, 6)}
