"""Programs are converted often here, and coremltools collects all garbage twice for each."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def _imported_libraries_are_no_garbage() -> Iterator[None]:
    """What is loaded already is not looked through again by every collection."""
    import coremltools  # noqa: F401
    import scipy.special  # noqa: F401
    import torch  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
