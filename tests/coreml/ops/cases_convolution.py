from __future__ import annotations

import numpy as np

from tests.coreml.ops import reference_convolution as reference
from tests.coreml.ops.case import Case
from tests.coreml.ops.numbers import Numbers, i

N = Numbers(41)
SINCE_16 = (16, 17, 18, 26)
CLOSE = {"rtol": 1e-5, "atol": 2e-6}


def conv(note, x, weight, *, opsets=(), bias=True, **more):
    given = {"x": N.f(*x), "weight": N.f(*weight), **more}
    if bias:
        given["bias"] = N.f(weight[0])
    if "groups" in given:
        given["groups"] = np.int32(given["groups"])
    return Case(op="conv", given=given, want=reference.conv, opsets=opsets, note=note, **CLOSE)


def back(note, x, weight, *, bias=True, **more):
    given = {"x": N.f(*x), "weight": N.f(*weight), **more}
    if bias:
        given["bias"] = N.f(weight[1] * more.get("groups", 1))
    if "groups" in given:
        given["groups"] = np.int32(given["groups"])
    return Case(op="conv_transpose", given=given, want=reference.conv_transpose, note=note, **CLOSE)


def quantized(note, **more):
    x, weight = N.f(1, 4, 5, 4), N.below(256, 6, 4, 3, 2).astype(np.uint8)
    given = {"x": x, "weight": weight, "quantization_type": "linear", "pad_type": "valid", **more}
    return Case(op="conv_quantized", given=given, want=reference.conv_quantized, note=note, rtol=1e-5, atol=1e-3)


SCALES = {"quant_scale": N.positive(6) / 100, "quant_bias": N.f(6)}
CASES = [
    conv("defaults", (1, 2, 5), (3, 2, 3), bias=False),
    conv("1d", (2, 3, 9), (4, 3, 3), strides=i(2), pad_type="custom", pad=i(1, 2), dilations=i(2)),
    conv("2d", (2, 3, 6, 5), (4, 3, 3, 2), strides=i(2, 1), pad_type="custom", pad=i(1, 0, 2, 1), dilations=i(1, 2)),
    conv("3d", (1, 2, 4, 3, 5), (2, 2, 2, 3, 2), strides=i(2, 1, 3), pad_type="custom", pad=i(0, 1, 1, 1, 2, 0)),
    conv("3d dilated", (1, 2, 5, 3, 5), (2, 2, 2, 1, 3), dilations=i(3, 1, 2), pad_type="valid"),
    conv("stride beyond the kernel", (1, 2, 11, 8), (3, 2, 2, 1), strides=i(5, 3), pad_type="valid"),
    conv("the kernel is the input", (2, 3, 4, 3), (5, 3, 4, 3), pad_type="valid"),
    conv("pad is not read with valid", (1, 2, 5), (3, 2, 3), pad_type="valid", pad=i(2, 2)),
    conv("custom without pad", (1, 2, 5), (3, 2, 3), pad_type="custom"),
    conv("pointwise", (2, 5, 4, 3), (6, 5, 1, 1), pad_type="valid"),
    conv("pointwise by steps", (2, 6, 5, 4), (4, 6, 1, 1), strides=i(2, 3), pad_type="valid"),
    conv("pointwise padded, in groups", (2, 6, 3), (4, 3, 1), groups=2, pad_type="custom", pad=i(1, 2)),
    conv("groups", (2, 6, 5, 4), (4, 3, 3, 2), groups=2, pad_type="custom", pad=i(1, 1, 0, 1)),
    conv("groups 3d", (2, 6, 3, 3, 2), (6, 2, 2, 2, 2), groups=3, pad_type="valid"),
    conv("depthwise", (2, 4, 5, 6), (4, 1, 3, 3), groups=4, pad_type="same"),
    conv("depthwise, two each", (1, 3, 7, 5), (6, 1, 3, 2), groups=3, strides=i(2, 1), dilations=i(2, 3), pad_type="valid"),
    conv("depthwise 1d", (2, 4, 9), (4, 1, 4), groups=4, strides=i(3), pad_type="custom", pad=i(0, 3)),
    conv("depthwise 3d", (1, 3, 4, 3, 3), (3, 1, 2, 2, 3), groups=3, pad_type="same"),
    conv("one channel", (2, 1, 5, 5), (3, 1, 3, 3), pad_type="custom", pad=i(1, 1, 1, 1)),
    *[
        conv(f"{pad_type} {size} by {step}", (1, 2, size), (2, 2, kernel), strides=i(step), pad_type=pad_type, opsets=opsets)
        for pad_type, opsets in (("same", ()), ("same_lower", SINCE_16))
        for size, kernel, step in ((6, 4, 1), (7, 3, 2), (8, 2, 3), (5, 1, 2), (6, 5, 2))
    ],
    conv("same 2d, dilated", (1, 2, 6, 7), (2, 2, 2, 3), dilations=i(3, 2), pad_type="same"),
    conv("same_lower 3d", (1, 1, 4, 5, 3), (2, 1, 2, 4, 3), pad_type="same_lower", opsets=SINCE_16),
    quantized("per channel", **SCALES, bias=N.below(9, 6).astype(np.uint8)),
    quantized("one scale", quant_scale=np.float32(0.02), quant_bias=np.float32(-1.5)),
    quantized("by steps", **SCALES, strides=i(2, 1), nbits=np.int32(8), dilations=i(1, 2)),
    back("defaults", (1, 2, 4), (2, 3, 3), bias=False),
    back("1d", (2, 3, 5), (3, 2, 4), strides=i(3), pad_type="custom", pad=i(1, 2), dilations=i(2)),
    back("2d", (2, 3, 3, 4), (3, 2, 3, 2), strides=i(2, 3), pad_type="custom", pad=i(1, 0, 0, 2), dilations=i(1, 2)),
    back("3d", (1, 2, 2, 3, 2), (2, 3, 2, 1, 3), strides=i(2, 1, 2), pad_type="valid"),
    back("stride beyond the kernel", (1, 2, 3, 3), (2, 2, 1, 2), strides=i(3, 4), pad_type="valid"),
    back("groups", (2, 4, 3, 3), (4, 3, 2, 3), groups=2, strides=i(2, 1), pad_type="custom", pad=i(1, 1, 0, 1)),
    back("depthwise", (2, 4, 3, 3), (4, 1, 3, 3), groups=4, strides=i(2, 2)),
    *[
        back(f"same {size}, kernel {kernel} by {step}", (1, 2, size), (2, 2, kernel), strides=i(step), pad_type="same")
        for size, kernel, step in ((4, 3, 1), (4, 4, 2), (3, 2, 2), (3, 5, 2), (3, 1, 3), (3, 4, 1))
    ],
    back("same to a size", (1, 2, 4, 3), (2, 3, 3, 3), strides=i(2, 2), pad_type="same", output_shape=i(1, 3, 7, 6)),
    back("valid to a size", (1, 2, 3), (2, 2, 3), strides=i(3), pad_type="valid", output_shape=i(1, 2, 11)),
    back("custom to a size", (1, 2, 4), (2, 2, 3), strides=i(2), pad_type="custom", pad=i(1, 1), output_shape=i(1, 2, 8)),
]
