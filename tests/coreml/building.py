"""Programs that coremltools itself writes, of any inputs and any operation set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def save(path: Path, body: Callable[..., Any], *, opset: int = 17, precision: str = "FLOAT32", **inputs: Any) -> Path:
    """Write a function, in the MIL builder's words, as a package.

    Args:
        inputs: name -> shape, or (shape, MIL type such as ``int32``).
    """
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    target = getattr(ct.target, f"iOS{opset}")
    told = [each if each and isinstance(each[-1], str) else (each, "fp32") for each in inputs.values()]
    specs = [mb.TensorSpec(shape=shape, dtype=getattr(types, kind)) for shape, kind in told]
    namespace: dict[str, Any] = {"body": body}
    exec(f"def made({', '.join(inputs)}): return body({', '.join(inputs)})", namespace)  # names are parameters
    converted = ct.convert(
        mb.program(input_specs=specs, opset_version=target)(namespace["made"]),
        convert_to="mlprogram",
        minimum_deployment_target=target,
        compute_precision=getattr(ct.precision, precision),
        skip_model_load=True,
    )
    converted.save(str(path))
    return path


def floats(*values: float) -> np.ndarray:
    """A vector of float32."""
    return np.asarray(values, np.float32)
