"""Functions and layers of torch that coremltools converts, each with the inputs that it is tried on."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Function(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, *given):
        return self.run(*given)


class Recurrent(nn.Module):
    """A recurrent layer: its outputs, and its states after the last step."""

    def __init__(self, inside):
        super().__init__()
        self.inside = inside

    def forward(self, x, *states):
        out, state = self.inside(x, *((states,) if len(states) > 1 else states))
        return (out, *state) if isinstance(state, tuple) else (out, state)


class Attention(nn.Module):
    def __init__(self, **settings):
        super().__init__()
        self.inside = nn.MultiheadAttention(8, 2, batch_first=True, **settings)

    def forward(self, q, k, v, mask, pad):
        return self.inside(q, k, v, attn_mask=mask, key_padding_mask=pad > 2)


class Written(nn.Module):
    """Writes into a copy of its input."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def forward(self, x, value):
        x = x * 1.0
        x[self.where(x)] = value
        return x


def network(made):
    net = (made if isinstance(made, nn.Module) else Function(made)).eval()
    for each in net.parameters():
        nn.init.normal_(each, 0.1, 0.5)
        each.requires_grad_(False)
    return net


def drawn(shape):
    """Numbers that float16 holds, none twice in a row; ``("int", high, *shape)`` for whole ones."""
    if shape[0] == "int":
        return torch.randint(0, shape[1], shape[2:], dtype=torch.int32)
    return torch.randn(*shape).half().float()


def flat(found):
    return [found] if isinstance(found, torch.Tensor) else [part for each in found for part in flat(each)]


def einsum(equation, *shapes):
    return (lambda *given: torch.einsum(equation, *given), *shapes)


def resized(**settings):
    return (lambda x: F.interpolate(x, **settings), (1, 2, 8, 10))


def looked_up(mode, padding, align):
    settings = {"mode": mode, "padding_mode": padding, "align_corners": align}
    return (lambda x, grid: F.grid_sample(x, grid, **settings), (2, 3, 5, 6), (2, 4, 7, 2))


PLACES = torch.tensor([[0, 2], [1, 3], [4, 0]])
IMAGE = (1, 3, 9, 8)

FUNCTIONS = {
    "activations": (
        lambda x: (F.elu(x, 0.7), F.gelu(x), F.gelu(x, approximate="tanh"), F.silu(x), F.mish(x), F.hardswish(x), F.selu(x)),
        (2, 3, 9),
    ),
    "activations of a range": (
        lambda x: (F.hardsigmoid(x), F.hardtanh(x, -0.4, 0.7), F.relu6(x), F.leaky_relu(x, 0.2), F.softsign(x), F.softplus(x)),
        (2, 3, 9),
    ),
    "softmaxes": (lambda x: (x.softmax(-2), F.log_softmax(x, 1), F.glu(x, 1), F.threshold(x, 0.1, -2.0)), (2, 4, 5)),
    "prelu": (nn.PReLU(3), IMAGE),
    "comparisons": (lambda a, b: (a > b, (a > b) & (a > 0), ~(a > b), torch.where(a > b, a, b)), (3, 9), (3, 9)),
    "masked_fill": (lambda a, b: (a.masked_fill(b > 0, -1e4), a.clamp(min=0.1)), (3, 9), (3, 9)),
    "whole division": (lambda a, b: ((a - 25) // (b + 1), (a - 25) % (b + 1)), ("int", 50, 3, 9), ("int", 6, 3, 9)),
    "nan_to_num of numbers": (lambda x: torch.nan_to_num(x, nan=3.0, posinf=7.0), (3, 8)),
    "nan_to_num": (lambda x: torch.nan_to_num(torch.sqrt(x), nan=3.0), (3, 8)),
    "baddbmm": (lambda a, b, c: torch.baddbmm(a, b, c, beta=0.5, alpha=2.0), (3, 4, 6), (3, 4, 5), (3, 5, 6)),
    "einsum of a product": einsum("bhid,bhjd->bhij", (2, 3, 4, 5), (2, 3, 6, 5)),
    "einsum with a turn": einsum("bhwc,hkc->bhwk", (2, 3, 4, 5), (3, 6, 5)),
    "einsum of three": einsum("abc,abd,d->abc", (2, 3, 4), (2, 3, 5), (5,)),
    "einsum of one": einsum("bij->bj", (2, 3, 4)),
    "conv2d, same": (nn.Conv2d(3, 4, (3, 4), padding="same", dilation=2), IMAGE),
    "conv2d, reflected": (nn.Conv2d(3, 6, 3, padding=2, padding_mode="reflect", groups=3), IMAGE),
    "conv3d": (nn.Conv3d(2, 3, (2, 3, 3), padding=1, stride=(1, 2, 1)), (1, 2, 5, 6, 7)),
    "conv1d": (nn.Conv1d(4, 6, 3, dilation=2, groups=2), (2, 4, 13)),
    "conv_transpose2d": (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (1, 4, 5, 4)),
    "conv_transpose3d": (nn.ConvTranspose3d(2, 3, 3, stride=2, padding=1), (1, 2, 3, 4, 3)),
    "weights from outside": (lambda x, w: F.conv2d(x, w, padding=1), (1, 3, 6, 6), (4, 3, 3, 3)),
    "max_pool2d": (lambda x: (F.max_pool2d(x, 3, 2, 1), F.max_pool2d(x, (2, 3), 2, ceil_mode=True)), (2, 3, 9, 8)),
    "avg_pool2d": (
        lambda x: (F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)),
        (2, 3, 10, 8),
    ),
    "adaptive pools": (lambda x: (F.adaptive_avg_pool2d(x, (4, 5)), F.adaptive_max_pool2d(x, (3, 4))), (2, 3, 9, 8)),
    "layer and group norm": (nn.Sequential(nn.LayerNorm((8, 10)), nn.GroupNorm(2, 4)), (2, 4, 8, 10)),
    "instance and batch norm": (nn.Sequential(nn.InstanceNorm2d(3, affine=True), nn.BatchNorm2d(3)), IMAGE),
    "local response norm": (nn.LocalResponseNorm(2, alpha=0.1, beta=0.5, k=2.0), (2, 5, 6, 7)),
    "norms": (lambda x: (torch.norm(x, dim=1), x.norm(p=3, dim=2, keepdim=True), F.normalize(x, dim=1)), (2, 3, 4)),
    "sums": (lambda x: (x.cumsum(1), x.logsumexp((0, 2)), x.mean((0, 1)), x.std(1), (x > 0).sum(1)), (2, 3, 4)),
    "topk": (lambda x: (*x.topk(3), *x.topk(2, dim=1, largest=False)), (2, 5, 6)),
    "sort": (lambda x: (*x.sort(dim=1), x.argsort(-1, descending=True), x.argmax(1)), (2, 5, 6)),
    "one_hot": (lambda x: (F.one_hot(x.long(), 7), (x > 3).all(1), x.max(1).values), ("int", 7, 3, 4)),
    "triangles": (lambda x: (x.tril(), x.triu(1), x.tril(-2), x.roll((1, -1), (0, 2)), x.flip([0, 2])), (2, 4, 5)),
    "repeats": (lambda x: (x.repeat(2, 1, 3), x.repeat_interleave(2, dim=1), x.expand(3, 2, 3, 4)), (2, 3, 4)),
    "splits": (lambda x: (*x.chunk(3, 1), *x.split([1, 4], 1), torch.stack(x.unbind(2), 0)), (2, 5, 3)),
    "fold and unfold": (
        lambda x: (F.unfold(x, 3, padding=1, stride=2), F.fold(F.unfold(x, 2, stride=2), (8, 6), 2, stride=2)),
        (2, 3, 8, 6),
    ),
    "pixels": (lambda x: (F.pixel_shuffle(x, 2), F.pixel_unshuffle(x, 2)), (1, 8, 4, 6)),
    "pads": (
        lambda x: (F.pad(x, (1, 2, 0, 3), value=1.5), F.pad(x, (1, 2, 3, 1), mode="reflect"), F.pad(x, (2, 1), "replicate")),
        (2, 5, 6),
    ),
    "bilinear": resized(scale_factor=1.5, mode="bilinear"),
    "bilinear to a size": resized(size=(5, 13), mode="bilinear"),
    "bilinear, corners aligned": resized(size=(13, 4), mode="bilinear", align_corners=True),
    "nearest": resized(scale_factor=2),
    "nearest to a size": resized(size=(13, 5)),
    "area": resized(size=(4, 5), mode="area"),
    **{
        f"grid_sample, {mode}, {padding}, {align}": looked_up(mode, padding, align)
        for mode, padding, align in (
            ("bilinear", "zeros", False),
            ("bilinear", "border", True),
            ("bilinear", "reflection", True),
            ("nearest", "reflection", False),
            ("nearest", "zeros", True),
        )
    },
    "index": (lambda x, i: (x[:, i], x[i, :, i], x[..., ::2, None], x[-1, 1:]), (5, 5, 6), ("int", 5, 3)),
    "index of truth": (lambda x: x[x > 0], (3, 4)),
    "no index at all": (lambda x: (x[x > 99], torch.nonzero(x > 99)), (3, 4)),
    "gather": (lambda x, i: x.gather(-1, i.long()), (3, 5), ("int", 5, 3, 4)),
    "scatter": (lambda x, s: (x.scatter(1, PLACES, s), x.scatter_add(1, PLACES, s)), (3, 5), (3, 2)),
    "index_put": (lambda x, v: torch.index_put(x, (torch.tensor([0, 0, 2]),), v, accumulate=True), (3, 4), (3, 4)),
    "a written slice": (Written(lambda x: (slice(1, None), slice(None, None, 2))), (3, 4), (2, 2)),
    "written where it is true": (Written(lambda x: x > 0), (3, 4), (1,)),
    "written nowhere": (Written(lambda x: x > 99), (3, 4), (1,)),
    "embedding": (nn.Sequential(nn.Embedding(11, 6), nn.LayerNorm(6)), ("int", 11, 2, 4)),
    "lstm": (Recurrent(nn.LSTM(4, 5, 2, bidirectional=True, batch_first=True)), (3, 3, 4)),
    "lstm from states": (Recurrent(nn.LSTM(4, 5)), (6, 3, 4), (1, 3, 5), (1, 3, 5)),
    "gru": (Recurrent(nn.GRU(4, 5, 2, bidirectional=True)), (6, 3, 4)),
    "gru from a state": (Recurrent(nn.GRU(4, 5, bias=False)), (6, 3, 4), (1, 3, 5)),
    "rnn": (Recurrent(nn.RNN(4, 5, 2, nonlinearity="relu")), (6, 3, 4)),
    "attention": (
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m, scale=0.3),
        (2, 3, 6, 8), (2, 3, 5, 8), (2, 3, 5, 4), (6, 5),
    ),
    "causal attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), *[(2, 3, 6, 8)] * 3),
    "multi-head attention": (Attention(), (2, 5, 8), (2, 6, 8), (2, 6, 8), (5, 6), ("int", 4, 2, 6)),
    "an encoder": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True), (2, 5, 8)),
    "fft": (lambda x: torch.fft.fft(x).real, (3, 8)),
    "stft": (lambda x: torch.abs(torch.stft(x, 16, hop_length=4, window=torch.hann_window(16), return_complex=True)), (2, 64)),
}  # fmt: skip
