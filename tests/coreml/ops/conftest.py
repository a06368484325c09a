"""The two backends that run operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import pytest

from mlpublish.coreml.mil_ops import OPS
from mlpublish.coreml.mil_ops.tensor import Handler


@pytest.fixture(scope="session")
def backends() -> Callable[[str], Mapping[str, Handler]]:
    """A backend's handlers: torch's, and numpy's for the rest."""

    def named(backend: str) -> Mapping[str, Handler]:
        if backend == "numpy":
            return OPS
        if find_spec("torch") is None:
            pytest.skip("needs torch: pip install 'mlpublish[torch]'")
        from mlpublish.coreml.mil_torch.every import OPS as BY_TORCH

        return {**OPS, **BY_TORCH}

    return named
