"""The judge of a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.converting.beside_coremltools.theirs import Judge


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(tmp_path)
