"""Write a linear model as an ML Program (``.mlpackage``) with coremltools' MIL builder: softmax, or several results."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlpublish.converting.linear import LinearModel
from mlpublish.converting.quiet import coremltools
from mlpublish.converting.source import INPUT, LABEL, PREDICTION, PROBABILITIES
from mlpublish.coreml.schema import Message

_BUILT_PROBABILITIES = f"{LABEL}_probs"  # coremltools names them after the label


def write(model: LinearModel, path: Path, *, target: str) -> Path:
    """Write a model in float32.

    Args:
        target: the deployment target, such as ``iOS16``.
    """
    with coremltools() as ct:
        program = _program(model, getattr(ct.target, target))
        built = ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=getattr(ct.target, target),
            compute_precision=ct.precision.FLOAT32,
            classifier_config=ct.ClassifierConfig(list(model.classes), LABEL) if model.classes else None,
            skip_model_load=True,
        )
        spec = built.get_spec()
        ct.utils.rename_feature(spec, _BUILT_PROBABILITIES, PROBABILITIES, rename_inputs=False)
        ct.models.MLModel(spec, weights_dir=built.weights_dir, skip_model_load=True).save(str(path))
    return path


def _program(model: LinearModel, opset: object) -> Message:
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import Function, Program

    names = model.columns or (INPUT,)
    width = 1 if model.columns else model.features
    with Function({name: mb.placeholder(shape=(1, width)) for name in names}, opset_version=opset) as function:
        parts = [function.inputs[name] for name in names]
        x = parts[0] if len(parts) == 1 else mb.concat(values=parts, axis=1)
        for scaling in model.scalings:
            x = mb.sub(x=x, y=-scaling.shift.astype(np.float32))
            x = mb.mul(x=x, y=scaling.scale.astype(np.float32))
        weights, offset = model.weights.astype(np.float32), model.offset.astype(np.float32)
        if model.classes:
            x = mb.softmax(x=mb.linear(x=x, weight=weights, bias=offset), axis=-1)
        else:
            x = mb.linear(x=x, weight=weights, bias=offset, name=PREDICTION)
        function.set_outputs([x])
    program = Program()
    program.add_function("main", function)
    return program
