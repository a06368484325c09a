"""What the benchmarks' tests share."""

from __future__ import annotations

from tests.loaded import imported_libraries_are_no_garbage as imported_libraries_are_no_garbage
