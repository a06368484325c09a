"""neuralNetwork specifications to alter: small ones with every layer that is evaluated, and image inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlpublish.coreml.package import read
from tests.coreml.network.building import builder, numbers

Adding = Callable[[Any], None]


def _convolution(b: Any, *, transposed: bool = False, groups: int = 1, dilation: int = 1) -> None:
    weights = numbers(2, 2, 2 // groups, 4) if not transposed else numbers(2, 2, 4 // groups, 2)
    b.add_convolution(
        name="c",
        kernel_channels=2 // groups,
        output_channels=4,
        height=2,
        width=2,
        stride_height=1,
        stride_width=1,
        border_mode="valid",
        groups=groups,
        W=weights,
        b=numbers(4),
        has_bias=True,
        is_deconv=transposed,
        dilation_factors=[dilation, dilation],
        input_name="x",
        output_name="y",
    )


def _pooling(b: Any, kind: str) -> None:
    b.add_pooling("p", 2, 2, 2, 2, kind, "VALID", "x", "y")


def _dense(b: Any) -> None:
    b.add_inner_product("d", numbers(3, 8), numbers(3), 8, 3, True, "x", "h")
    b.add_softmax("s", "h", "y")


def _normalised(b: Any) -> None:
    b.add_batchnorm("b", 2, numbers(2), numbers(2), numbers(2), np.abs(numbers(2)), input_name="x", output_name="h")
    b.add_lrn("l", "h", "i", 1e-4, 0.75, 3)
    b.add_mvn("m", "i", "y")


def _activated(b: Any) -> None:
    names = ("RELU", "SIGMOID", "TANH", "SOFTPLUS", "SOFTSIGN", "ELU", "LEAKYRELU", "LINEAR", "SIGMOID_HARD", "SCALED_TANH")
    before = "x"
    for place, name in enumerate(names):
        after = "y" if place == len(names) - 1 else f"h{place}"
        b.add_activation(f"a{place}", name, before, after, 0.5 if name == "ELU" else [0.5, 0.5])
        before = after


def _joined(b: Any) -> None:
    b.add_split("s", "x", ["p", "q"])
    b.add_elementwise("add", ["p", "q"], "r", "ADD")
    b.add_elementwise("mul", ["r", "q"], "t", "MULTIPLY")
    b.add_elementwise("cat", ["t", "p"], "y", "CONCAT")


def _shaped(b: Any) -> None:
    b.add_permute("p", (0, 1, 3, 2), "x", "a")
    b.add_padding("z", 1, 1, 1, 1, 0.0, "a", "b")
    b.add_crop("c", 1, 0, 1, 0, 0, ["b"], "d")
    b.add_upsample("u", 2, 2, "d", "e")
    b.add_flatten("f", 0, "e", "y")


def _reshaped(b: Any) -> None:
    b.add_reshape("r", "x", "y", (2, 4, 1), 0)


def _reduced(b: Any) -> None:
    b.add_reduce("r", "x", "y", "CHW", "avg")


def _scaled(b: Any) -> None:
    b.add_scale("s", numbers(2), numbers(2), True, "x", "h", shape_scale=[2], shape_bias=[2])
    b.add_bias("b", numbers(2), "h", "i", shape_bias=[2])
    b.add_load_constant("l", "k", numbers(2), shape=[2, 1, 1])
    b.add_elementwise("add", ["i", "k"], "y", "ADD")


def _embedded(b: Any) -> None:
    b.add_embedding("e", numbers(3, 5), numbers(3), 5, 3, True, "x", "y")


def _gates(hidden: int, taken: int, count: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    return [numbers(hidden, taken)] * count, [numbers(hidden, hidden)] * count, [numbers(hidden)] * count


def _recurrent(b: Any, kind: str) -> None:
    if kind == "simple":
        w, r, v = _gates(2, 3, 1)
        b.add_simple_rnn("r", r[0], w[0], v[0], 2, 3, "TANH", ["x", "h"], ["y", "ho"])
    elif kind == "gru":
        w, r, v = _gates(2, 3, 3)
        b.add_gru("r", r, w, v, 2, 3, ["x", "h"], ["y", "ho"], output_all=True)
    elif kind == "lstm":
        w, r, v = _gates(2, 3, 4)
        b.add_unilstm("r", r, w, v, 2, 3, ["x", "h", "c"], ["y", "ho", "co"], output_all=True)
    else:
        w, r, v = _gates(2, 3, 4)
        names = ["x", "h", "c", "hb", "cb"]
        b.add_bidirlstm("r", r, w, v, r, w, v, 2, 3, names, ["y", "ho", "co", "hbo", "cbo"], output_all=True)


def _made(
    add: Adding,
    folder: Path,
    *,
    shape: Sequence[int] = (2, 4, 4),
    more: Sequence[str] = (),
    exact: bool = True,
    mode: Any = None,
) -> Path:
    made = builder({"x": shape} | dict.fromkeys(more, (2,)), exact=exact, mode=mode)
    add(made)
    if mode == "classifier":
        made.set_class_labels(["a", "b", "c"], predicted_feature_name="label", prediction_blob="y")
    path = folder / "model.mlmodel"
    path.write_bytes(made.spec.SerializeToString(deterministic=True))
    return path


def _pictured(folder: Path) -> Path:
    path = _made(_convolution, folder, exact=False)
    spec = read(path)
    image = spec.description.input[0].type.imageType
    image.height, image.width, image.colorSpace = 4, 4, 20
    layer = spec.neuralNetwork.layers[0].convolution
    layer.kernelChannels = 3
    del layer.weights.floatValue[:]
    layer.weights.floatValue.extend(numbers(48).tolist())
    scale = spec.neuralNetwork.preprocessing.add(featureName="x").scaler
    scale.channelScale, scale.redBias = 1 / 255, 0.5
    path.write_bytes(spec.SerializeToString(deterministic=True))
    return path


def _quantised(folder: Path) -> Path:
    path = _made(_dense, folder, shape=(8,), exact=False)
    spec = read(path)
    weights = spec.neuralNetwork.layers[0].innerProduct.weights
    count = len(weights.floatValue)
    del weights.floatValue[:]
    weights.rawValue = bytes(range(count))
    weights.quantization.numberOfBits = 8
    weights.quantization.linearQuantization.scale.append(0.1)
    weights.quantization.linearQuantization.bias.append(-1.0)
    path.write_bytes(spec.SerializeToString(deterministic=True))
    return path


_OLD = {"exact": False}
NETWORKS: Mapping[str, Callable[[Path], Path]] = {
    "network convolution": partial(_made, _convolution, **_OLD),
    "network grouped convolution": partial(_made, partial(_convolution, groups=2), **_OLD),
    "network dilated convolution": partial(_made, partial(_convolution, dilation=2), **_OLD),
    "network transposed convolution": partial(_made, partial(_convolution, transposed=True), **_OLD),
    "network max pooling": partial(_made, partial(_pooling, kind="MAX")),
    "network average pooling": partial(_made, partial(_pooling, kind="AVERAGE"), **_OLD),
    "network dense": partial(_made, _dense, shape=(8,), **_OLD),
    "network classifier": partial(_made, _dense, shape=(8,), **_OLD, mode="classifier"),
    "network regressor": partial(_made, _dense, shape=(8,), **_OLD, mode="regressor"),
    "network normalised": partial(_made, _normalised),
    "network activated": partial(_made, _activated),
    "network joined": partial(_made, _joined, **_OLD),
    "network shaped": partial(_made, _shaped, **_OLD),
    "network reshaped": partial(_made, _reshaped, shape=(2, 2, 2), **_OLD),
    "network reduced": partial(_made, _reduced, **_OLD),
    "network scaled": partial(_made, _scaled, **_OLD),
    "network embedded": partial(_made, _embedded, shape=(1, 1, 1, 1)),
    "network simple recurrent": partial(_made, partial(_recurrent, kind="simple"), shape=(3,), more=("h",), **_OLD),
    "network gru": partial(_made, partial(_recurrent, kind="gru"), shape=(3,), more=("h",), **_OLD),
    "network lstm": partial(_made, partial(_recurrent, kind="lstm"), shape=(3,), more=("h", "c"), **_OLD),
    "network lstm, both ways": partial(
        _made, partial(_recurrent, kind="both"), shape=(3,), more=("h", "c", "hb", "cb"), **_OLD
    ),
    "network of pictures": _pictured,
    "network of quantised weights": _quantised,
}
