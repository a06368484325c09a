"""Libraries without their noise: import warnings about versions and missing macOS libraries, bars, tracer warnings."""

from __future__ import annotations

import io
import logging
import signal
import threading
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
def signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM come when the block has ended.

    coremltools imports what is optional under a bare ``except``: what they raise in there would be lost, and the work go on.
    """
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in numbers}
    heard = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    for number in heard:
        signal.signal(number, lambda got, _: came.append(got))
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def coremltools() -> Iterator[ModuleType]:
    """The library, inside of a block in which it says nothing."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with signals_held():
                import coremltools as library  # outside of the redirection: what it loads may keep hold of sys.stderr
        with silence():
            yield library
    finally:
        logger.setLevel(level)
