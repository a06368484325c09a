"""Less garbage to look through, for rooms of tests that convert often: coremltools collects all of it twice a program."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from importlib.util import find_spec

import pytest


@pytest.fixture(scope="session", autouse=True)
def imported_libraries_are_no_garbage() -> Iterator[None]:
    """What is loaded already is not looked through again by every collection."""
    import coremltools  # noqa: F401
    import sklearn.ensemble  # noqa: F401

    if find_spec("torch"):
        import torch  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
