"""Packages with compressed weights answer as their decompressed twins; coremltools compresses and decompresses."""

from __future__ import annotations

import numpy as np
import pytest

from mlpublish.coreml.evaluate import load, unsupported
from mlpublish.coreml.package import describe, read

IMAGE = np.random.default_rng(1).normal(size=(1, 8, 6, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    """A small network of a convolution and a linear layer: ``network(target, precision)`` -> coremltools' model of it."""
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb

    made = {}
    random = np.random.default_rng(2)
    kernel = random.normal(size=(16, 8, 3, 3)).astype(np.float32)
    factors = random.normal(size=(24, 16 * 4 * 4)).astype(np.float32)

    def body(input):
        x = mb.relu(x=mb.conv(x=input, weight=kernel, pad_type="valid"))
        return mb.linear(x=mb.reshape(x=x, shape=(1, 256)), weight=factors, bias=np.zeros(24, np.float32), name="prediction")

    def build(target, precision="FLOAT32"):
        if (target, precision) not in made:
            opset = getattr(ct.target, target)
            program = mb.program(input_specs=[mb.TensorSpec(shape=IMAGE.shape)], opset_version=opset)(body)
            settings = {"minimum_deployment_target": opset, "compute_precision": getattr(ct.precision, precision)}
            made[target, precision] = ct.convert(program, convert_to="mlprogram", skip_model_load=True, **settings)
        return made[target, precision]

    return build


def _quantized(model, **settings):
    import coremltools.optimize.coreml as cto

    joint = settings.pop("joint", False)
    chosen = cto.OpLinearQuantizerConfig(weight_threshold=0, **settings)
    return cto.linear_quantize_weights(model, cto.OptimizationConfig(chosen), joint_compression=joint)


def _palettized(model, **settings):
    import coremltools.optimize.coreml as cto

    joint = settings.pop("joint", False)
    chosen = cto.OpPalettizerConfig(weight_threshold=0, **settings)
    return cto.palettize_weights(model, cto.OptimizationConfig(chosen), joint_compression=joint)


def _pruned(model, **settings):
    import coremltools.optimize.coreml as cto

    joint = settings.pop("joint", False)
    chosen = (cto.OpThresholdPrunerConfig if "threshold" in settings else cto.OpMagnitudePrunerConfig)(
        weight_threshold=0, **settings
    )
    return cto.prune_weights(model, cto.OptimizationConfig(chosen), joint_compression=joint)


def _decompressed(model):
    import coremltools.optimize.coreml as cto

    return cto.decompress_weights(model)


def _levels(weights):
    """A table of four values, and which of them each weight becomes."""
    edges = np.quantile(weights, [0.25, 0.5, 0.75])
    means = np.asarray([-1.5, -0.5, 0.5, 1.5], weights.dtype)
    return means, np.digitize(weights, edges).astype(np.uint8)


AFFINE, LUT, SPARSE, SHIFT = (
    f"constexpr_{each}" for each in ("affine_dequantize", "lut_to_dense", "sparse_to_dense", "blockwise_shift_scale")
)
LUT_SPARSE, SHIFT_SPARSE = "constexpr_lut_to_sparse", "constexpr_sparse_blockwise_shift_scale"
# what is special -> (target, steps, operations that the file then holds)
WAYS = {
    "int8 per channel": ("iOS16", [(_quantized, {})], {AFFINE}),
    "int8 per channel, not symmetric": ("iOS16", [(_quantized, {"mode": "linear"})], {AFFINE}),
    "uint8 per tensor": ("iOS16", [(_quantized, {"dtype": "uint8", "granularity": "per_tensor"})], {AFFINE}),
    "palette of 1 bit": ("iOS16", [(_palettized, {"nbits": 1})], {LUT}),
    "palette of 2 bits, uniform": ("iOS16", [(_palettized, {"mode": "uniform", "nbits": 2})], {LUT}),
    "palette of 4 bits": ("iOS16", [(_palettized, {"nbits": 4})], {LUT}),
    "palette of 6 bits, uniform": ("iOS16", [(_palettized, {"mode": "uniform", "nbits": 6})], {LUT}),
    "palette of 8 bits, uniform": ("iOS16", [(_palettized, {"mode": "uniform", "nbits": 8})], {LUT}),
    "palette made by a function": ("iOS16", [(_palettized, {"mode": "custom", "lut_function": _levels})], {LUT}),
    "palette of the values there are": (
        "iOS16",
        [(_palettized, {"nbits": 4}), (_decompressed, {}), (_palettized, {"mode": "unique"})],
        {LUT},
    ),
    "pruned by magnitude": ("iOS16", [(_pruned, {"target_sparsity": 0.6})], {SPARSE}),
    "pruned by threshold": ("iOS16", [(_pruned, {"threshold": 0.7})], {SPARSE}),
    "int8 per tensor, iOS18": ("iOS18", [(_quantized, {"granularity": "per_tensor"})], {SHIFT}),
    "uint8 per channel, not symmetric, iOS18": ("iOS18", [(_quantized, {"mode": "linear", "dtype": "uint8"})], {SHIFT}),
    "int8 per block": ("iOS18", [(_quantized, {"granularity": "per_block", "block_size": 4})], {SHIFT}),
    "int4 per block": ("iOS18", [(_quantized, {"dtype": "int4", "granularity": "per_block", "block_size": 8})], {SHIFT}),
    "int4 per block, iOS26": ("iOS26", [(_quantized, {"dtype": "int4", "granularity": "per_block", "block_size": 8})], {SHIFT}),
    "uint4 per channel, not symmetric": ("iOS18", [(_quantized, {"dtype": "uint4", "mode": "linear"})], {SHIFT}),
    "palette of 3 bits, iOS18": ("iOS18", [(_palettized, {"nbits": 3})], {LUT}),
    "palettes of grouped channels": (
        "iOS18",
        [(_palettized, {"nbits": 4, "granularity": "per_grouped_channel", "group_size": 4, "mode": "uniform"})],
        {LUT},
    ),
    "palettes of groups of input channels": (
        "iOS18",
        [(_palettized, {"nbits": 2, "granularity": "per_grouped_channel", "group_size": 4, "channel_axis": 1})],
        {LUT},
    ),
    "palette of vectors": ("iOS18", [(_palettized, {"nbits": 4, "cluster_dim": 2})], {LUT}),
    "palettes of vectors of grouped channels": (
        "iOS18",
        [(_palettized, {"nbits": 2, "cluster_dim": 2, "granularity": "per_grouped_channel", "group_size": 8})],
        {LUT},
    ),
    "palette with a scale per channel": (
        "iOS18",
        [(_palettized, {"nbits": 4, "enable_per_channel_scale": True})],
        {LUT, SHIFT},
    ),
    "pruned, iOS18": ("iOS18", [(_pruned, {"target_sparsity": 0.6})], {SPARSE}),
    "pruned, then a palette": (
        "iOS18",
        [(_pruned, {"target_sparsity": 0.6}), (_palettized, {"nbits": 4, "joint": True})],
        {LUT_SPARSE, SPARSE},
    ),
    "pruned, then a palette of grouped channels": (
        "iOS18",
        [
            (_pruned, {"target_sparsity": 0.3}),
            (_palettized, {"nbits": 2, "granularity": "per_grouped_channel", "group_size": 4, "joint": True}),
        ],
        {LUT_SPARSE, SPARSE},
    ),
    "pruned, then int8": (
        "iOS18",
        [(_pruned, {"target_sparsity": 0.6}), (_quantized, {"joint": True})],
        {SHIFT_SPARSE, SPARSE},
    ),
    "pruned, then int4 per block": (
        "iOS18",
        [
            (_pruned, {"target_sparsity": 0.4}),
            (_quantized, {"dtype": "int4", "granularity": "per_block", "block_size": 8, "joint": True}),
        ],
        {SHIFT_SPARSE, SPARSE},
    ),
    "a palette, then its table int8": (
        "iOS18",
        [(_palettized, {"nbits": 4}), (_quantized, {"granularity": "per_tensor", "joint": True})],
        {LUT, SHIFT},
    ),
}


def _kinds(path):
    program = read(path).mlProgram
    return {
        operation.type
        for function in program.functions.values()
        for operation in function.block_specializations[function.opset].operations
        if operation.type.startswith("constexpr_")
    }


@pytest.mark.parametrize("precision", ["FLOAT32", "FLOAT16"])
@pytest.mark.parametrize("way", WAYS)
def test_a_compressed_package_answers_as_its_decompressed_twin(network, tmp_path, way, precision):
    target, steps, wanted = WAYS[way]
    compressed = network(target, precision)
    for step, settings in steps:
        compressed = step(compressed, **settings)
    paths = tmp_path / "compressed.mlpackage", tmp_path / "twin.mlpackage"
    for model, path in zip((compressed, _decompressed(compressed)), paths, strict=True):
        model.save(str(path))
    assert _kinds(paths[0]) == wanted
    assert _kinds(paths[1]) == set()
    assert unsupported(paths[0]) == []
    assert [describe(path).precision for path in paths] == [precision.lower()] * 2
    for mode in ("device", "exact"):
        got, twin = (load(path, mode=mode, backend="numpy").predict({"input": IMAGE})["prediction"] for path in paths)
        np.testing.assert_allclose(got, twin, rtol=1e-6, atol=1e-6)
    assert np.abs(twin).max() > 0.1


def test_functions_of_one_package_share_their_weights(ct, network, tmp_path):
    first = _quantized(network("iOS18"))
    second = _palettized(network("iOS18"), nbits=4)
    descriptor = ct.utils.MultiFunctionDescriptor()
    for name, model in (("first", first), ("second", second), ("again", first)):
        model.save(str(tmp_path / f"{name}.mlpackage"))
        descriptor.add_function(str(tmp_path / f"{name}.mlpackage"), src_function_name="main", target_function_name=name)
    descriptor.default_function_name = "second"
    ct.utils.save_multifunction(descriptor, str(tmp_path / "all.mlpackage"))
    weights = {
        name: (tmp_path / f"{name}.mlpackage/Data/com.apple.CoreML/weights/weight.bin").stat().st_size
        for name in ("first", "second", "all")
    }
    assert weights["all"] < weights["first"] + weights["second"]
    for name in ("first", "second", "again"):
        alone = load(tmp_path / f"{name}.mlpackage", backend="numpy").predict({"input": IMAGE})["prediction"]
        within = load(tmp_path / "all.mlpackage", function=name, backend="numpy").predict({"input": IMAGE})["prediction"]
        np.testing.assert_array_equal(alone, within)
    default = load(tmp_path / "all.mlpackage", backend="numpy").predict({"input": IMAGE})["prediction"]
    np.testing.assert_array_equal(
        default, load(tmp_path / "second.mlpackage", backend="numpy").predict({"input": IMAGE})["prediction"]
    )
