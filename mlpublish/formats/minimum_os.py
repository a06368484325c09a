"""Which operating system first loads which Core ML specification version.

Source: Core ML Format Reference, ``Model.specificationVersion``, and the deployment targets of coremltools 9.0.
"""

from __future__ import annotations

_ROWS: tuple[tuple[int, str, str, str, str, str], ...] = (
    # specification, iOS and iPadOS, macOS, watchOS, tvOS, visionOS
    (1, "11.0", "10.13", "4.0", "11.0", "1.0"),
    (2, "11.2", "10.13.2", "4.2", "11.2", "1.0"),
    (3, "12.0", "10.14", "5.0", "12.0", "1.0"),
    (4, "13.0", "10.15", "6.0", "13.0", "1.0"),
    (5, "14.0", "11.0", "7.0", "14.0", "1.0"),
    (6, "15.0", "12.0", "8.0", "15.0", "1.0"),
    (7, "16.0", "13.0", "9.0", "16.0", "1.0"),
    (8, "17.0", "14.0", "10.0", "17.0", "1.0"),
    (9, "18.0", "15.0", "11.0", "18.0", "2.0"),
    (10, "26.0", "26.0", "26.0", "26.0", "26.0"),
)
PLATFORMS = ("ios", "ipados", "macos", "watchos", "tvos", "visionos", "android")
_COLUMN = {"ios": 1, "ipados": 1, "macos": 2, "watchos": 3, "tvos": 4, "visionos": 5}


def minimum_os(specification: int, platform: str) -> str:
    """The lowest version of a platform's system that loads a model, as dotted integers.

    Args:
        specification: the model's specification version; 0 for a bundle without a Core ML model.
        platform: one of ``PLATFORMS``; Android loads no Core ML, so nothing is asked of it.
    """
    if specification == 0 or platform not in _COLUMN:
        return "0"
    known = [row for row in _ROWS if row[0] <= specification]
    return str(known[-1][_COLUMN[platform]])
