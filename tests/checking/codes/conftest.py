"""What the rows of docs/statuses.md share: a device with a history, and worlds that only a process of its own can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

BIG = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture
def waiting(lab: Lab) -> Lab:
    """Release 1 is in use, and release 2 (2 MiB) waits."""
    lab.release()
    lab.updates_to(1)
    lab.release(BIG)
    return lab
