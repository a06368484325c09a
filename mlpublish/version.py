"""The version of this mlpublish, told in one place."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("mlpublish")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0+unknown"
