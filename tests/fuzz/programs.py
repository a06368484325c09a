"""ML Programs to alter: each operation alone, and what programs have beside operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.coreml.building import save
from tests.coreml.ops.every import all_cases
from tests.coreml.ops.saved import NOT_ALONE, build

_RANDOM = np.random.default_rng(9)
_FACTORS = _RANDOM.normal(size=(8, 16)).astype(np.float32)
_KERNEL = _RANDOM.normal(size=(4, 2, 3, 3)).astype(np.float32)


def operations() -> dict[str, Callable[[Path], Path]]:
    """MIL operation -> its first case as a package, in the newest operation set that the case speaks of."""
    first = {case.op: case for case in reversed(all_cases()) if case.spoken_of() and case.op not in NOT_ALONE}
    return {f"op {case.op}": partial(_alone, case) for case in first.values()}


def _alone(case: Any, folder: Path) -> Path:
    path, _ = build(case, case.spoken_of()[-1], folder)
    return path


def _dense(input: Any) -> Any:
    from coremltools.converters.mil import Builder as mb

    return mb.softmax(x=mb.linear(x=input, weight=_FACTORS, bias=np.zeros(8, np.float32)), name="out")


def _convolved(input: Any) -> Any:
    from coremltools.converters.mil import Builder as mb

    x = mb.relu(x=mb.conv(x=input, weight=_KERNEL, pad_type="same"))
    return mb.reshape(x=mb.reduce_mean(x=x, axes=[2, 3]), shape=(1, 4), name="out")


def _branching(input: Any) -> Any:
    from coremltools.converters.mil import Builder as mb

    positive = mb.greater(x=mb.reduce_sum(x=input), y=np.float32(0))
    return mb.cond(
        pred=positive,
        _true_fn=lambda: mb.add(x=input, y=np.float32(1)),
        _false_fn=lambda: mb.mul(x=input, y=np.float32(2)),
        name="out",
    )


def _looping(input: Any) -> Any:
    from coremltools.converters.mil import Builder as mb

    last = mb.while_loop(
        _cond=lambda value: mb.less(x=mb.reduce_sum(x=value), y=np.float32(40)),
        _body=lambda value: (mb.add(x=value, y=np.float32(1)),),
        loop_vars=(input,),
    )
    return mb.identity(x=last, name="out")


def _listing(input: Any) -> Any:
    from coremltools.converters.mil import Builder as mb

    found = mb.make_list(init_length=2, dynamic_length=True, elem_shape=(1, 4))
    found = mb.list_write(ls=found, index=0, value=input)
    return mb.list_gather(ls=found, indices=np.asarray([0, 0], np.int32), name="out")


def _program(body: Any, folder: Path, *, shape: tuple[int, ...] = (1, 16), **settings: Any) -> Path:
    return save(folder / "model.mlpackage", body, input=shape, **settings)


def _compressed(way: str, folder: Path) -> Path:
    import coremltools as ct
    import coremltools.optimize.coreml as cto

    model = ct.models.MLModel(str(_program(_dense, folder, opset=16 if way.endswith("16") else 18)), skip_model_load=True)
    quantized = partial(cto.OpLinearQuantizerConfig, weight_threshold=0)
    palette = partial(cto.OpPalettizerConfig, weight_threshold=0, mode="uniform")
    blocks = quantized(dtype="int4", granularity="per_block", block_size=4)
    groups = palette(nbits=2, granularity="per_grouped_channel", group_size=2)
    vectors = cto.OpPalettizerConfig(weight_threshold=0, nbits=2, cluster_dim=2)
    pruned = cto.OpThresholdPrunerConfig(weight_threshold=0, threshold=0.5, minimum_sparsity_percentile=0.1)
    steps: Mapping[str, list[tuple[Any, Any]]] = {
        "int8 16": [(cto.linear_quantize_weights, quantized())],
        "palette 16": [(cto.palettize_weights, palette(nbits=4))],
        "pruned 16": [(cto.prune_weights, pruned)],
        "int4 blocks": [(cto.linear_quantize_weights, blocks)],
        "palettes of groups": [(cto.palettize_weights, groups)],
        "palette of vectors": [(cto.palettize_weights, vectors)],
        "pruned": [(cto.prune_weights, pruned)],
        "pruned and palette": [(cto.prune_weights, pruned), (cto.palettize_weights, palette(nbits=2))],
        "pruned and int8": [(cto.prune_weights, pruned), (cto.linear_quantize_weights, quantized())],
        "palette and int8": [
            (cto.palettize_weights, palette(nbits=4)),
            (cto.linear_quantize_weights, quantized(granularity="per_tensor")),
        ],
    }
    for place, (step, chosen) in enumerate(steps[way]):
        model = step(model, cto.OptimizationConfig(chosen), **({"joint_compression": True} if place else {}))
    path = folder / "compressed.mlpackage"
    model.save(str(path))
    return path


def _several(folder: Path) -> Path:
    import coremltools as ct

    descriptor = ct.utils.MultiFunctionDescriptor()
    for name, precision in (("one", "FLOAT32"), ("two", "FLOAT16")):
        (folder / name).mkdir()
        path = _program(_dense, folder / name, precision=precision, opset=18)
        descriptor.add_function(str(path), src_function_name="main", target_function_name=name)
    descriptor.default_function_name = "two"
    ct.utils.save_multifunction(descriptor, str(folder / "several.mlpackage"))
    return folder / "several.mlpackage"


def _stateful(folder: Path) -> Path:
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    inputs = [mb.TensorSpec((1, 4), dtype=types.fp16), mb.StateTensorSpec((1, 4), dtype=types.fp16)]

    @mb.program(input_specs=inputs, opset_version=ct.target.iOS18)
    def program(x: Any, memory: Any) -> Any:
        added = mb.add(x=x, y=mb.read_state(input=memory))
        return mb.identity(x=mb.coreml_update_state(state=memory, value=added), name="out")

    made = ct.convert(program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18, skip_model_load=True)
    made.save(str(folder / "model.mlpackage"))
    return folder / "model.mlpackage"


def _converted(folder: Path, module: Any, shape: tuple[int, ...], **settings: Any) -> Path:
    import coremltools as ct
    import torch

    traced = torch.jit.trace(module.eval(), torch.rand(*shape))
    made = ct.convert(traced, minimum_deployment_target=ct.target.iOS16, skip_model_load=True, **settings)
    made.save(str(folder / "model.mlpackage"))
    return folder / "model.mlpackage"


def _flexible(kind: str, folder: Path) -> Path:
    import coremltools as ct
    import torch

    shape = {
        "range": ct.Shape((1, 2, ct.RangeDim(3, 50, default=8))),
        "enumerated": ct.EnumeratedShapes(shapes=[(1, 2, 5), (1, 2, 9)], default=(1, 2, 5)),
    }[kind]
    return _converted(folder, torch.nn.Conv1d(2, 3, 3), (1, 2, 5), inputs=[ct.TensorType(name="input", shape=shape)])


def _picture(layout: str, folder: Path) -> Path:
    import coremltools as ct
    import torch

    channels, space = 1 if layout.startswith("GRAY") else 3, getattr(ct.colorlayout, layout)
    taken = ct.ImageType(name="image", shape=(1, channels, 6, 5), scale=1 / 255, color_layout=space)
    module = torch.nn.Conv2d(channels, channels, 3, padding=1)
    outputs = [ct.ImageType(name="out", color_layout=space)]
    return _converted(folder, module, (1, channels, 6, 5), inputs=[taken], outputs=outputs)


def _recurrent(folder: Path) -> Path:
    import coremltools as ct
    import torch

    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(3)
            self.layer = torch.nn.LSTM(3, 4, bidirectional=True, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.layer(x)[0]

    return _converted(folder, Last(), (1, 5, 3), inputs=[ct.TensorType(name="input", shape=(1, 5, 3))])


def _classifying(labels: list[Any], folder: Path) -> Path:
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb

    made = ct.convert(
        mb.program(input_specs=[mb.TensorSpec(shape=(1, 16))], opset_version=ct.target.iOS16)(_dense),
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS16,
        classifier_config=ct.ClassifierConfig(labels),
        skip_model_load=True,
    )
    made.save(str(folder / "model.mlpackage"))
    return folder / "model.mlpackage"


SPECIAL: Mapping[str, Callable[[Path], Path]] = {
    "program of one matrix": partial(_program, _dense),
    "program of one matrix in float16": partial(_program, _dense, precision="FLOAT16"),
    "program of one matrix, iOS15": partial(_program, _dense, opset=15),
    "program of one convolution": partial(_program, _convolved, shape=(1, 2, 5, 5), precision="FLOAT16"),
    "program with a branch": partial(_program, _branching, shape=(1, 4)),
    "program with a loop": partial(_program, _looping, shape=(1, 4)),
    "program with a list": partial(_program, _listing, shape=(1, 4)),
    "program of several functions": _several,
    "program with a state": _stateful,
    "program of a recurrent layer": _recurrent,
    "program with a range of shapes": partial(_flexible, "range"),
    "program with listed shapes": partial(_flexible, "enumerated"),
    "program of pictures": partial(_picture, "BGR"),
    "program of grey pictures": partial(_picture, "GRAYSCALE_FLOAT16"),
    "program that names texts": partial(_classifying, list("abcdefgh")),
    "program that names numbers": partial(_classifying, list(range(8))),
    **{
        f"compressed, {way}": partial(_compressed, way)
        for way in (
            "int8 16",
            "palette 16",
            "pruned 16",
            "int4 blocks",
            "palettes of groups",
            "palette of vectors",
            "pruned",
            "pruned and palette",
            "pruned and int8",
            "palette and int8",
        )
    },
}
