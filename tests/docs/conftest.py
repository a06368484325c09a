"""The pages, and what a reader finds in them: blocks of commands, rows of tables."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import mlpublish

DOCS = Path(mlpublish.__file__).parent / "docs"


@pytest.fixture(scope="session")
def page() -> Callable[[str], str]:
    """``page("ios")``: a page's text."""
    return lambda name: (DOCS / f"{name}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def blocks(page: Callable[[str], str]) -> Callable[[str, str], list[str]]:
    """``blocks("ios", "sh")``: what stands in a page's fences of this kind, in order."""
    return lambda name, kind: re.findall(rf"^```{kind}\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def needs() -> Callable[[str, str], None]:
    """``needs("keytool", "default-jre-headless")``: skip where a Debian package is missing; in CI that is a failure."""

    def look(program: str, package: str) -> None:
        if shutil.which(program) is None:
            missing = f"needs {program} (Debian: apt install {package})"
            pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)

    return look
