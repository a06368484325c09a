"""Libraries without their noise: import warnings about versions and missing macOS libraries, bars, tracer warnings."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType


@contextmanager
def silence() -> Iterator[None]:
    """Nothing is printed or warned inside of the block; errors come out as they are."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def coremltools() -> Iterator[ModuleType]:
    """The library, inside of a block in which it says nothing."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import coremltools as library  # outside of the redirection: what it loads may keep hold of sys.stderr
        with silence():
            yield library
    finally:
        logger.setLevel(level)
