"""Files that lie: every one ends in one error that names the layer, before anything large is made."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from mlpublish.coreml.evaluate import load
from mlpublish.errors import ConversionError, FormatError
from tests.coreml.network.building import builder, numbers, save

HUGE = 1 << 40


def _made(kind, fill, inputs=None, outputs=("y",), exact=True, consumed=None):
    inputs = inputs or {"x": (1, 2, 4, 4)}
    made = builder(inputs, outputs, exact=exact)
    layer = made._add_generic_layer("odd", list(inputs) if consumed is None else consumed, list(outputs))
    held = getattr(layer, kind)
    held.SetInParent()
    fill(held)
    return made


def _convolution(held, **fields):
    held.outputChannels, held.kernelChannels, held.nGroups = 3, 2, 1
    held.kernelSize.extend([2, 2])
    held.valid.SetInParent()
    held.weights.floatValue.extend([1.0] * 24)
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(held, name)[:] = value
        else:
            setattr(held, name, value)


def _borders(held, *amounts):
    for before, after in amounts:
        held.add(startEdgeSize=before, endEdgeSize=after)


def _padded(held, *amounts):
    held.constant.value = 0
    _borders(held.paddingAmounts.borderAmounts, *amounts)


def _pooling(held, **fields):
    held.valid.SetInParent()
    for name, value in fields.items():
        getattr(held, name)[:] = value


def _recurrent(held, inputs=3, outputs=4):
    held.inputVectorSize, held.outputVectorSize = inputs, outputs
    held.activation.tanh.SetInParent()
    held.weightMatrix.floatValue.extend([1.0] * 12)
    held.recursionMatrix.floatValue.extend([1.0] * 16)


ODD = {
    "a huge kernel": lambda: _made("convolution", lambda h: _convolution(h, kernelSize=[HUGE, HUGE])),
    "many outputs": lambda: _made("convolution", lambda h: _convolution(h, outputChannels=HUGE)),
    "groups that do not divide": lambda: _made("convolution", lambda h: _convolution(h, nGroups=7)),
    "a stride of 0": lambda: _made("convolution", lambda h: _convolution(h, stride=[0, 1])),
    "three strides": lambda: _made("convolution", lambda h: _convolution(h, stride=[1, 1, 1])),
    "a huge dilation": lambda: _made("convolution", lambda h: _convolution(h, dilationFactor=[HUGE, 1])),
    "huge borders": lambda: _made(
        "convolution", lambda h: (_convolution(h), _borders(h.valid.paddingAmounts.borderAmounts, (HUGE, 0), (0, HUGE)))
    ),
    "one border": lambda: _made(
        "convolution", lambda h: (_convolution(h), _borders(h.valid.paddingAmounts.borderAmounts, (1, 1)))
    ),
    "weights as a blob of another rank": lambda: _made("convolution", _convolution, inputs={"x": (1, 2, 4, 4), "w": (3, 2)}),
    "a huge output shape": lambda: _made(
        "convolution",
        lambda h: (_convolution(h, isDeconvolution=True, outputShape=[HUGE, HUGE]), h.weights.floatValue.extend([])),
    ),
    "a huge stride of a transposed one": lambda: _made(
        "convolution", lambda h: _convolution(h, isDeconvolution=True, stride=[1 << 20, 1 << 20])
    ),
    "a rank that is too low": lambda: _made("convolution", _convolution, inputs={"x": (2, 4)}),
    "a huge window": lambda: _made("pooling", lambda h: _pooling(h, kernelSize=[HUGE, 1])),
    "a pool that nobody knows": lambda: _made("pooling", lambda h: (_pooling(h, kernelSize=[1, 1]), setattr(h, "type", 9))),
    "a huge complete padding": lambda: _made("pooling", lambda h: h.includeLastPixel.paddingAmounts.extend([HUGE, HUGE])),
    "a window over huge padding": lambda: _made(
        "pooling",
        lambda h: (
            _pooling(h, kernelSize=[1 << 22, 1]),
            _borders(h.valid.paddingAmounts.borderAmounts, (1 << 22, 1 << 22), (0, 0)),
        ),
    ),
    "a huge upsample": lambda: _made("upsample", lambda h: h.scalingFactor.extend([HUGE, HUGE])),
    "an infinite upsample": lambda: _made(
        "upsample",
        lambda h: (h.fractionalScalingFactor.extend([np.inf, 1]), setattr(h, "mode", 1), setattr(h, "linearUpsampleMode", 1)),
    ),
    "an upsample by no number": lambda: _made(
        "upsample",
        lambda h: (h.fractionalScalingFactor.extend([np.nan, 1]), setattr(h, "mode", 1), setattr(h, "linearUpsampleMode", 1)),
    ),
    "a huge resize": lambda: _made("resizeBilinear", lambda h: h.targetSize.extend([HUGE, 1])),
    "huge crops": lambda: _made(
        "cropResize",
        lambda h: h.targetSize.extend([1 << 13, 1 << 13]),
        inputs={"x": (1, 2, 2, 4, 4), "b": (9, 1, 4, 1, 1)},
    ),
    "huge padding": lambda: _made("padding", lambda h: _padded(h, (HUGE, 0), (0, HUGE))),
    "nothing to reflect": lambda: _made(
        "padding", lambda h: (h.reflection.SetInParent(), _borders(h.paddingAmounts.borderAmounts, (4, 0), (0, 0)))
    ),
    "padding without a kind": lambda: _made("padding", lambda h: _borders(h.paddingAmounts.borderAmounts, (4, 0), (0, 0))),
    "a crop of more than there is": lambda: _made("crop", lambda h: _borders(h.cropAmounts.borderAmounts, (3, 3), (0, 0))),
    "a reshape to nothing": lambda: _made("reshape", lambda h: h.targetShape.extend([0, 1, 1]), {"x": (1, 1, 2, 4, 4)}),
    "a reshape to more": lambda: _made("reshape", lambda h: h.targetShape.extend([64, 1, 1]), {"x": (1, 1, 2, 4, 4)}),
    "two unknown sizes": lambda: _made("reshapeStatic", lambda h: h.targetShape.extend([-1, -1])),
    "a size of -2": lambda: _made("reshapeStatic", lambda h: h.targetShape.extend([-2, -16])),
    "a shape from a blob": lambda: _made("fillDynamic", lambda h: None, {"x": (3,)}),
    "many repeats": lambda: _made("tile", lambda h: h.reps.extend([HUGE, 1, 1, 1])),
    "many repeats of a sequence": lambda: _made(
        "sequenceRepeat", lambda h: setattr(h, "nRepetitions", HUGE), {"x": (1, 1, 2, 4, 4)}
    ),
    "a huge fill": lambda: _made("fillStatic", lambda h: h.targetShape.extend([HUGE, HUGE]), consumed=[]),
    "a range without end": lambda: _made(
        "rangeStatic", lambda h: (setattr(h, "endValue", 3e38), setattr(h, "stepSizeValue", 1e-30)), consumed=[]
    ),
    "a range without a step": lambda: _made("rangeStatic", lambda h: setattr(h, "endValue", 3), consumed=[]),
    "a huge constant": lambda: _made("loadConstantND", lambda h: h.shape.extend([HUGE, HUGE]), consumed=[]),
    "a broadcast to much": lambda: _made("broadcastToStatic", lambda h: h.targetShape.extend([HUGE, 1, 2, 4, 4])),
    "a broadcast that does not fit": lambda: _made("broadcastToStatic", lambda h: h.targetShape.extend([3, 3])),
    "huge constant padding": lambda: _made("constantPad", lambda h: h.padAmounts.extend([0, HUGE] * 4)),
    "a wide one hot": lambda: _made("oneHot", lambda h: setattr(h, "oneHotVectorSize", HUGE)),
    "an axis that is not there": lambda: _made("softmaxND", lambda h: setattr(h, "axis", 4)),
    "an axis twice": lambda: _made("transpose", lambda h: h.axes.extend([0, 1, 1, 2])),
    "an axis of a huge number": lambda: _made("transpose", lambda h: h.axes.extend([HUGE, 1, 1, 2])),
    "a huge number of parts": lambda: _made("split", lambda h: setattr(h, "nOutputs", HUGE)),
    "parts that do not add up": lambda: _made("splitND", lambda h: h.splitSizes.extend([1, HUGE]), outputs=("y", "z")),
    "strides of 0": lambda: _made(
        "sliceStatic", lambda h: (h.beginIds.extend([0] * 4), h.endIds.extend([1] * 4), h.strides.extend([0] * 4))
    ),
    "a slice of too few axes": lambda: _made(
        "sliceStatic", lambda h: (h.beginIds.extend([0]), h.endIds.extend([1]), h.strides.extend([1]))
    ),
    "huge blocks": lambda: _made("reorganizeData", lambda h: setattr(h, "blockSize", HUGE)),
    "the first of too few": lambda: _made("topK", lambda h: setattr(h, "K", HUGE), outputs=("y", "z")),
    "a huge table": lambda: _made(
        "embeddingND", lambda h: (setattr(h, "vocabSize", HUGE), setattr(h, "embeddingSize", HUGE)), {"x": (2, 1)}
    ),
    "an inner product of other channels": lambda: _made(
        "innerProduct",
        lambda h: (setattr(h, "inputChannels", 3), setattr(h, "outputChannels", 1), h.weights.floatValue.extend([1.0] * 3)),
    ),
    "too many channels": lambda: _made("batchnorm", lambda h: setattr(h, "channels", HUGE)),
    "a huge norm": lambda: _made("layerNormalization", lambda h: h.normalizedShape.extend([HUGE, HUGE])),
    "no window": lambda: _made("lrn", lambda h: setattr(h, "localSize", 0)),
    "a scale of two dimensions": lambda: _made(
        "scale", lambda h: (h.shapeScale.extend([1, 2]), h.scale.floatValue.extend([1, 2]))
    ),
    "a recurrence of other vectors": lambda: _made("simpleRecurrent", _recurrent, {"x": (2, 1, 5, 1, 1)}),
    "a recurrence of images": lambda: _made("simpleRecurrent", _recurrent, {"x": (2, 1, 3, 2, 1)}),
    "a huge recurrence": lambda: _made("simpleRecurrent", lambda h: _recurrent(h, HUGE, HUGE), {"x": (2, 1, 3, 1, 1)}),
    "a state of another size": lambda: _made(
        "simpleRecurrent", _recurrent, {"x": (2, 1, 3, 1, 1), "h": (1, 1, 5, 1, 1)}, ("y", "z")
    ),
    "an unknown activation": lambda: _made("activation", lambda h: None),
    "a gru without activations": lambda: _made("gru", lambda h: None, {"x": (2, 1, 3, 1, 1)}),
    "an lstm without weights": lambda: _made("biDirectionalLSTM", lambda h: None, {"x": (2, 1, 3, 1, 1)}),
    "sums of other shapes": lambda: _made("add", lambda h: None, {"x": (1, 2, 4, 4), "z": (3,)}),
    "products of other shapes": lambda: _made("batchedMatmul", lambda h: None, {"x": (2, 3), "z": (2, 3)}),
    "a huge sum": lambda: _made("addBroadcastable", lambda h: None, {"x": (1, 20000), "z": (20000, 1)}),
}


@pytest.mark.parametrize("what", ODD)
def test_a_file_that_lies_is_one_clear_error(tmp_path, what):
    made = ODD[what]()
    shapes = {each.name: tuple(each.type.multiArrayType.shape) for each in made.spec.description.input}
    given = {
        name: numbers(*shape) * 1e9 if what == "a shape from a blob" else numbers(*shape) for name, shape in shapes.items()
    }
    path = save(made, tmp_path / "m.mlmodel")
    tracemalloc.start()
    try:
        with pytest.raises((ConversionError, FormatError), match="layer 'odd'"):
            load(path).predict(given)
        assert tracemalloc.get_traced_memory()[1] < 1 << 30
    finally:
        tracemalloc.stop()
