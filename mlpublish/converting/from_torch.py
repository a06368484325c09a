"""convert from PyTorch: a module is traced in evaluation mode with a batch of one and converted by coremltools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlpublish.converting.quiet import coremltools
from mlpublish.converting.source import INPUT, PREDICTION, Precision, class_name
from mlpublish.coreml.compare import Answers
from mlpublish.coreml.schema import Message
from mlpublish.errors import ConversionError
from mlpublish.formats.evidence import Provenance
from mlpublish.shown import fact

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


class TorchSource:
    """A module that takes one tensor, with the batch as its first axis, and returns one."""

    precision: Precision = "float16"

    def __init__(self, model: object) -> None:
        import torch

        if not isinstance(model, torch.nn.Module):
            raise ConversionError(
                f"A {class_name(type(model))} is not a torch.nn.Module.", remedy="Give the module itself.", field="model"
            )
        _check_parameters(model)
        self._module: Module = model
        self.provenance = Provenance(
            framework="torch",
            framework_version=torch.__version__,
            source="torch.fx.GraphModule" if isinstance(model, torch.fx.GraphModule) else class_name(type(model)),
            converters={library: version(library) for library in ("mlpublish", "coremltools")},
        )

    def inputs(self, samples: object) -> Mapping[str, NDArray[np.generic]]:
        return {INPUT: _rows(samples)}

    def answers(self, samples: object) -> Answers:
        import torch

        with _evaluating(self._module), torch.no_grad():
            rows = np.stack([_array(self._ask(batch)) for batch in _batches(_rows(samples))])
        return Answers(outputs={PREDICTION: rows}, scores=(PREDICTION,) if rows.ndim == 2 and rows.shape[1] > 1 else ())

    def write(self, folder: Path, name: str, *, samples: object, precision: Precision, target: str) -> Path:
        first = next(_batches(_rows(samples)))
        path = folder / f"{name}.mlpackage"
        with _evaluating(self._module), coremltools() as ct:
            try:
                _convert(ct, self._module, first, precision, target).save(str(path))
            except Exception as exc:  # the converter raises every kind, from KeyError to its own
                raise ConversionError(
                    f"coremltools cannot convert {self.provenance.source}: {fact(exc)}.",
                    remedy="Replace the operation that is named in the module, or register it with coremltools.",
                    field="model",
                ) from exc
        return path

    def _ask(self, batch: Tensor) -> Tensor:
        import torch

        try:
            answer = self._module(batch)
        except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as exc:
            raise ConversionError(
                f"The module does not take a sample of shape {tuple(batch.shape)}, {batch.dtype}: {fact(exc)}.",
                remedy="Give samples whose first axis is the row and whose rows the module takes in a batch of one.",
                field="samples",
            ) from exc
        if not isinstance(answer, torch.Tensor):
            raise ConversionError(
                f"The module returns a {type(answer).__name__}, not one tensor.",
                remedy="Wrap it in a module that returns the tensor the app needs.",
                field="model",
            )
        return answer


def _convert(ct: ModuleType, module: Module, first: Tensor, precision: Precision, target: str) -> Message:
    import torch

    with torch.no_grad():
        traced = torch.jit.trace(module, first, check_trace=False)
        answer = module(first)
    return ct.convert(
        traced,
        inputs=[ct.TensorType(name=INPUT, shape=tuple(first.shape), dtype=_border(first))],
        outputs=[ct.TensorType(name=PREDICTION, dtype=_border(answer))],
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, target),
        compute_precision=ct.precision.FLOAT16 if precision == "float16" else ct.precision.FLOAT32,
        skip_model_load=True,
    )


@contextmanager
def _evaluating(module: Module) -> Iterator[None]:
    """Evaluation mode for the block, and every part's own mode back afterwards.

    A module that came out of ``torch.export`` has no mode to change: it does what it was exported to do.
    """
    import torch

    modes = {} if isinstance(module, torch.fx.GraphModule) else {part: part.training for part in module.modules()}
    try:
        for part in modes:
            part.training = False
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def _check_parameters(module: Module) -> None:
    import torch

    for name, parameter in module.named_parameters():
        if parameter.device.type != "cpu":
            raise ConversionError(f"The parameter {name} is on {parameter.device}.", remedy="Give module.cpu().", field="model")
        if not torch.isfinite(parameter).all():
            raise ConversionError(f"The parameter {name} holds NaN or infinity.", remedy="Train the module again.", field=name)


def _rows(samples: object) -> NDArray[np.generic]:
    """Samples as float32, or int32 if they are whole numbers; a tensor's are taken from it."""
    import torch

    values = samples.detach().cpu().numpy() if isinstance(samples, torch.Tensor) else np.asarray(samples)
    if values.dtype.kind not in "fiub" or values.ndim < 2 or len(values) == 0:
        raise ConversionError(
            f"The samples have the shape {values.shape} and the type {values.dtype}.",
            remedy="Give an array of numbers whose first axis is the row, such as (rows, channels, height, width).",
            field="samples",
        )
    if not np.isfinite(values).all():
        raise ConversionError("The samples hold NaN or infinity.", remedy="Give finite samples.", field="samples")
    return values.astype(np.float32 if values.dtype.kind == "f" else np.int32)


def _batches(rows: NDArray[np.generic]) -> Iterator[Tensor]:
    """Each row as a batch of one, as the device runs it; whole numbers as torch's embeddings take them."""
    import torch

    for place in range(len(rows)):
        batch = torch.from_numpy(rows[place : place + 1])
        yield batch if batch.is_floating_point() else batch.long()


def _array(answer: Tensor) -> NDArray[np.generic]:
    """An answer without its batch axis, in the type that the Core ML file gives it."""
    values: NDArray[np.generic] = answer.detach().numpy().astype(_border(answer))
    return values[0] if values.ndim > 1 and len(values) == 1 else values


def _border(tensor: Tensor) -> type[np.float32] | type[np.int32]:
    return np.float32 if tensor.is_floating_point() else np.int32
