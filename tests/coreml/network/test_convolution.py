from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.coreml.network.building import ROWS, check, numbers


def _padded(x, pads):
    (top, bottom), (left, right) = pads
    channels, height, width = x.shape
    out = np.zeros((channels, top + height + bottom, left + width + right))
    out[:, top : top + height, left : left + width] = x
    return out


def convolved(x, weights, bias, stride, dilation, pads, groups):
    """The sum over the kernel, place by place; weights (out, in / groups, kernel height, kernel width)."""
    x = _padded(x, pads)
    outputs, inside, high, wide = weights.shape
    rows = (x.shape[1] - (high - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (x.shape[2] - (wide - 1) * dilation[1] - 1) // stride[1] + 1
    y = np.zeros((outputs, rows, columns))
    for o, r, c in itertools.product(range(outputs), range(rows), range(columns)):
        first = o // (outputs // groups) * inside
        for i, h, w in itertools.product(range(inside), range(high), range(wide)):
            at = x[first + i, r * stride[0] + h * dilation[0], c * stride[1] + w * dilation[1]]
            y[o, r, c] += at * weights[o, i, h, w]
        y[o, r, c] += 0 if bias is None else bias[o]
    return y


def transposed(x, weights, bias, stride, groups):
    """Each pixel lays its kernel down; weights (in, out / groups, kernel height, kernel width)."""
    channels, height, width = x.shape
    _, per_group, high, wide = weights.shape
    y = np.zeros((per_group * groups, (height - 1) * stride[0] + high, (width - 1) * stride[1] + wide))
    for i, r, c in itertools.product(range(channels), range(height), range(width)):
        first = i // (channels // groups) * per_group
        for o, h, w in itertools.product(range(per_group), range(high), range(wide)):
            y[first + o, r * stride[0] + h, c * stride[1] + w] += x[i, r, c] * weights[i, o, h, w]
    return y if bias is None else y + bias[:, None, None]


def same(size, kernel, step, *, top_left):
    total = max(0, (-(-size // step) - 1) * step + kernel - size)
    less, more = total // 2, total - total // 2
    return (more, less) if top_left else (less, more)


CONVOLUTIONS = [
    {},
    {"stride": (2, 1)},
    {"dilation": (2, 3)},
    {"groups": 2},
    {"groups": 4, "bias": False},
    {"pads": ((1, 2), (0, 3))},
    {"border": "same", "stride": (2, 3)},
    {"border": "same", "stride": (2, 3), "top_left": True},
    {"border": "same", "kernel": (2, 4)},
    {"border": "same", "kernel": (2, 4), "top_left": True},
    {"border": "same", "dilation": (2, 2), "kernel": (2, 3)},
    {"kernel": (1, 1)},
    {"kernel": (1, 1), "pads": ((1, 0), (0, 1)), "stride": (2, 2)},
]


def _layer(
    made, weights, bias, *, stride, kernel, border, pads, groups, deconv=False, dilation=(1, 1), top_left=False, shape=None
):
    out = weights.shape[1] * groups if deconv else len(weights)
    made.add_convolution(
        name="conv",
        kernel_channels=weights.shape[0] if deconv else weights.shape[1],
        output_channels=out,
        height=kernel[0],
        width=kernel[1],
        stride_height=stride[0],
        stride_width=stride[1],
        border_mode=border,
        groups=groups,
        W=np.transpose(weights, (2, 3, 0, 1) if deconv else (2, 3, 1, 0)),
        b=bias,
        has_bias=bias is not None,
        is_deconv=deconv,
        output_shape=shape,
        input_name="x",
        output_name="y",
        dilation_factors=list(dilation),
        padding_top=pads[0][0],
        padding_bottom=pads[0][1],
        padding_left=pads[1][0],
        padding_right=pads[1][1],
        same_padding_asymmetry_mode="TOP_LEFT_HEAVY" if top_left else "BOTTOM_RIGHT_HEAVY",
    )


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("exact", [True, False])
def test_a_convolution_sums_over_its_kernel(tmp_path, case, exact):
    how = {
        "stride": (1, 1),
        "dilation": (1, 1),
        "groups": 1,
        "pads": ((0, 0), (0, 0)),
        "border": "valid",
        "kernel": (3, 2),
    } | case
    bias = numbers(6, seed=2) if how.pop("bias", True) else None
    groups = how["groups"] if how["groups"] != 4 else 2
    how["groups"] = groups
    weights = numbers(6, 4 // groups, *how["kernel"], seed=1)
    x = numbers(ROWS, 4, 7, 8) if not exact else numbers(ROWS, 2, 4, 7, 8)

    def want(x):
        pads = how["pads"]
        if how["border"] == "same":
            reach = [(k - 1) * d + 1 for k, d in zip(how["kernel"], how["dilation"], strict=True)]
            pads = [same(n, k, s, top_left=how.get("top_left")) for n, k, s in zip((7, 8), reach, how["stride"], strict=True)]
        images = x.reshape(-1, 4, 7, 8)
        made = [convolved(image, weights, bias, how["stride"], how["dilation"], pads, groups) for image in images]
        return np.stack(made).reshape(*x.shape[:-3], *made[0].shape)

    check(tmp_path, lambda made: _layer(made, weights, bias, **how), want, exact=exact, rtol=1e-4, x=x)


DECONVOLUTIONS = [
    {},
    {"stride": (2, 3)},
    {"groups": 2, "stride": (2, 2)},
    {"pads": ((1, 0), (0, 1)), "stride": (2, 2)},
    {"dilation": (2, 2)},
    {"border": "same", "stride": (2, 1)},
    {"border": "same", "stride": (4, 4)},
]


@pytest.mark.parametrize("case", DECONVOLUTIONS, ids=str)
def test_a_transposed_convolution_lays_its_kernel_down(tmp_path, case):
    how = {"stride": (1, 1), "groups": 1, "pads": ((0, 0), (0, 0)), "border": "valid", "kernel": (3, 2)} | case
    weights, bias = numbers(4, 6 // how["groups"], *how["kernel"], seed=1), numbers(6, seed=2)

    def want(x):
        full = transposed(x[0], weights, None, how["stride"], how["groups"])
        (top, bottom), (left, right) = how["pads"]
        out = full[:, top : full.shape[1] - bottom, left : full.shape[2] - right]
        if how["border"] == "same":
            high, wide = 3 * how["stride"][0], 5 * how["stride"][1]
            start = [max(0, n - m) // 2 for n, m in zip(full.shape[1:], (high, wide), strict=True)]
            out = np.zeros((6, high, wide))
            part = full[:, start[0] : start[0] + high, start[1] : start[1] + wide]
            out[:, : part.shape[1], : part.shape[2]] = part
        return (out + bias[:, None, None])[None]

    check(tmp_path, lambda made: _layer(made, weights, bias, deconv=True, **how), want, rtol=1e-4, x=numbers(ROWS, 1, 4, 3, 5))


def test_an_output_shape_cuts_a_transposed_convolution_as_same_padding_does(tmp_path):
    weights = numbers(2, 3, 3, 3, seed=1)

    def want(x):
        full = transposed(x[0], weights, None, (2, 2), 1)  # 7 × 9
        return full[None, :, 0:6, 1:8]

    how = {"stride": (2, 2), "groups": 1, "pads": ((0, 0), (0, 0)), "border": "valid", "kernel": (3, 3), "shape": (6, 7)}
    check(tmp_path, lambda made: _layer(made, weights, None, deconv=True, **how), want, rtol=1e-4, x=numbers(ROWS, 1, 2, 3, 4))


def test_an_output_shape_that_the_padding_gives_leaves_the_padding_its_say(tmp_path):
    weights = numbers(2, 3, 3, 3, seed=1)
    how = {"stride": (2, 2), "groups": 1, "pads": ((1, 0), (1, 0)), "border": "valid", "kernel": (3, 3), "shape": (6, 8)}
    check(
        tmp_path,
        lambda made: _layer(made, weights, None, deconv=True, **how),
        lambda x: transposed(x[0], weights, None, (2, 2), 1)[None, :, 1:, 1:],
        rtol=1e-4,
        x=numbers(ROWS, 1, 2, 3, 4),
    )


def test_weights_may_come_as_a_blob(tmp_path):
    weights = numbers(3, 2, 2, 2, seed=1)

    def add(made):
        made.add_load_constant_nd("w", "w", constant_value=weights, shape=weights.shape)
        made.add_convolution("conv", 2, 3, 2, 2, 1, 1, "valid", 1, None, None, False, input_name=["x", "w"], output_name="y")

    nothing = ((0, 0), (0, 0))
    check(
        tmp_path, add, lambda x: convolved(x[0], weights, None, (1, 1), (1, 1), nothing, 1)[None], x=numbers(ROWS, 1, 2, 4, 4)
    )


def test_weights_that_the_caller_gives_may_differ_from_row_to_row(tmp_path):
    def add(made):
        made.add_convolution("conv", 2, 3, 2, 2, 1, 1, "valid", 1, None, None, False, input_name=["x", "w"], output_name="y")

    check(
        tmp_path,
        add,
        lambda x, w: convolved(x[0], w, None, (1, 1), (1, 1), ((0, 0), (0, 0)), 1)[None],
        x=numbers(ROWS, 1, 2, 4, 4),
        w=numbers(ROWS, 3, 2, 2, 2, seed=3),
    )


@pytest.mark.parametrize("padding", ["valid", "same", "custom"])
def test_a_convolution_over_three_axes(tmp_path, padding):
    weights, bias = numbers(4, 1, 2, 3, 2, seed=1), numbers(4, seed=2)
    stride, dilation = (2, 1, 2), (1, 1, 2)
    sides = {"valid": [(0, 0)] * 3, "custom": [(1, 0), (2, 1), (0, 3)]}.get(padding) or [
        same(n, (k - 1) * d + 1, s, top_left=False) for n, k, d, s in zip((4, 5, 6), (2, 3, 2), dilation, stride, strict=True)
    ]

    def add(made):
        names = ("front", "back", "top", "bottom", "left", "right")
        amounts = dict(zip([f"padding_{name}" for name in names], itertools.chain(*sides), strict=True))
        made.add_convolution3d(
            "conv", 2, 4, 2, 3, 2, weights, bias, True, groups=2, stride_depth=2, stride_height=1, stride_width=2,
            dilation_width=2, padding_mode=padding, input_name="x", output_name="y",
            **(amounts if padding == "custom" else {}),
        )  # fmt: skip

    def want(x):
        wide = np.pad(x[0], [(0, 0), *sides])
        sizes = [(n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(wide.shape[1:], (2, 3, 2), dilation, stride, strict=True)]
        y = np.zeros((1, 4, *sizes))
        for o, *at in np.ndindex(4, *sizes):
            for place in np.ndindex(2, 3, 2):
                spot = tuple(a * s + p * d for a, s, p, d in zip(at, stride, place, dilation, strict=True))
                y[(0, o, *at)] += wide[(o // 2, *spot)] * weights[(o, 0, *place)]
        return y + bias[:, None, None, None]

    check(tmp_path, add, want, rtol=1e-4, x=numbers(ROWS, 1, 2, 4, 5, 6))


def test_a_transposed_convolution_over_three_axes(tmp_path):
    weights = numbers(3, 2, 2, 2, 3, seed=1)  # (out / groups, in, …)

    def add(made):
        made.add_convolution3d(
            "conv", 2, 3, 2, 2, 3, weights, None, False, stride_depth=1, stride_height=2, stride_width=3,
            padding_mode="valid", is_deconv=True, input_name="x", output_name="y",
        )  # fmt: skip

    def want(x):
        y = np.zeros((1, 3, 3 + 1, 4, 6))
        for i, d, h, w in np.ndindex(2, 3, 2, 2):
            y[0, :, d : d + 2, h * 2 : h * 2 + 2, w * 3 : w * 3 + 3] += x[0, i, d, h, w] * weights[:, i]
        return y

    check(tmp_path, add, want, rtol=1e-4, x=numbers(ROWS, 1, 2, 3, 2, 2))
