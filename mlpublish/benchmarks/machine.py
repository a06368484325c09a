"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version


def machine(*libraries: str) -> str:
    """Processor, Python and libraries, in one line.

    Args:
        libraries: by the names of their packages, beside mlpublish and numpy.
    """
    found = []
    for library in ("mlpublish", "numpy", *libraries):
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            found.append(f"{library} absent")
    return f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, {', '.join(found)}"
