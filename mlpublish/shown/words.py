"""Values as people read them."""

from __future__ import annotations


def size(count: int) -> str:
    """Bytes as people read them, in powers of a thousand."""
    if count < 1000:
        return "1 byte" if count == 1 else f"{count} bytes"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def plain(text: object) -> str:
    """Text in one line that shows all that is in it: line ends, invisible letters and marks that turn the direction of what
    follows are escaped as Python does.
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


def cut(text: str, most: int) -> str:
    """The beginning of a text, marked where it is not all of it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def fact(exc: Exception) -> str:
    """What an error says, in its first line and without a full stop; its class where it says nothing."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return cut(lines[0].rstrip(".:") if lines else type(exc).__name__, 300)
