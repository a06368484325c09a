"""Networks that coremltools' own builder writes, and one way to hold them against numpy that reads the reference aloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlpublish.coreml.evaluate import load

ROWS = 3


def builder(
    inputs: dict[str, Sequence[int]], outputs: Sequence[str] = ("y",), *, exact: bool = True, mode: str | None = None
) -> Any:
    """A builder over array inputs.

    Args:
        exact: EXACT_ARRAY_MAPPING, else the old one to rank 5.
        mode: ``classifier`` or ``regressor``.
    """
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    return NeuralNetworkBuilder(
        [(name, datatypes.Array(*shape)) for name, shape in inputs.items()],
        [(name, None) for name in outputs],
        mode=mode,
        disable_rank5_shape_mapping=exact,
        use_float_arraytype=True,
    )


def save(made: Any, path: Path) -> Path:
    path.write_bytes(made.spec.SerializeToString())
    return path


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def check(
    tmp_path: Path,
    add: Callable[[Any], Any],
    want: Callable[..., Any],
    *,
    outputs: Sequence[str] = ("y",),
    exact: bool = True,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    **inputs: np.ndarray,
) -> None:
    """Save a network, run it on all rows at once and on each alone, and hold both against a function of one row.

    Args:
        add: puts layers into the builder.
        want: one row's inputs in the shapes of the reference (with the old mapping: sequence, batch, C, H, W) -> the
            outputs in the reference's shapes.
        inputs: (rows, the shape in the description).
    """
    made = builder({name: values.shape[1:] for name, values in inputs.items()}, outputs, exact=exact)
    add(made)
    model = load(save(made, tmp_path / "model.mlmodel"))
    together = model.predict_rows(inputs)
    count = len(next(iter(inputs.values()), ()))
    for row in range(count):
        alone = model.predict_rows({name: values[row : row + 1] for name, values in inputs.items()})
        given = [values[row] if exact else old(values[row]) for values in inputs.values()]
        wanted = want(*given)
        for name, one in zip(outputs, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
            seen = _seen(np.asarray(one), exact)
            assert together[name][row].shape == seen.shape, f"{name}: {together[name][row].shape}, wanted {seen.shape}"
            np.testing.assert_allclose(together[name][row], seen, rtol=rtol, atol=atol, err_msg=name)
            np.testing.assert_allclose(alone[name][0], seen, rtol=rtol, atol=atol, err_msg=name)


def old(row: np.ndarray) -> np.ndarray:
    """RANK5_ARRAY_MAPPING of a described shape (C) or (C, H, W)."""
    return row.reshape(1, 1, -1, 1, 1) if row.ndim == 1 else row.reshape(1, 1, *row.shape)


def _seen(value: np.ndarray, exact: bool) -> np.ndarray:
    """A result as ``predict_rows`` shows a row of it."""
    if not exact and value.shape[:2] == (1, 1):
        value = value[0, 0]
    return value[0] if value.ndim > 1 and value.shape[0] == 1 else value
