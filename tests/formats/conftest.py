"""What tests of formats share: a disk that takes no large files, and that no thread outlives what started it."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("mlpublish-lane")] == []


@pytest.fixture
def files_of_at_most() -> Callable[[int], AbstractContextManager[None]]:
    """A block in which no file of this process grows beyond so many bytes, as on a disk that is full."""

    @contextmanager
    def limited(length: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (length, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
