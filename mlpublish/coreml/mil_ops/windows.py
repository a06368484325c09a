"""Where the windows of a convolution or a pool lie. Source: coremltools' MIL operation reference, ``conv`` and ``pool``.

The reference describes ``same`` twice: by the number of windows, ceil(size / stride), and by a padding of half a kernel.
They disagree where a stride is not 1; the number of windows is what programs declare, so the padding follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from mlpublish.coreml.effort import spend
from mlpublish.coreml.mil_ops.tensor import Tensor, ints, room

MAX_WORK = 1 << 40
"""Multiplications of one operation: some hundred times a large vision model's, a minute of two cores."""

SLOW = 32
"""How many multiplications of a matrix product take the time of one that is made element by element."""

CHUNK = 1 << 21
"""Elements that are unrolled at a time (8 MiB of float32): windows overlap, all of them may be a thousand times the input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows on each spatial axis.

    Args:
        kernel: positions inside a window.
        step: from one window to the next.
        spread: from one position inside a window to the next (dilation).
        pads: how many elements are put before and behind.
        beyond: how far ceil mode's last window reaches over the padded end.
        counts: how many windows there are.
    """

    kernel: tuple[int, ...]
    step: tuple[int, ...]
    spread: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    beyond: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def positions(self) -> int:
        """In one window, over all axes."""
        return math.prod(self.kernel)

    def at(self, position: Sequence[int]) -> tuple[slice, ...]:
        """The elements that stand at one position inside of every window."""
        return tuple(
            slice(where * gap, where * gap + (count - 1) * step + 1, step)
            for where, gap, count, step in zip(position, self.spread, self.counts, self.step, strict=True)
        )


def listed(values: Tensor | None) -> tuple[int, ...] | None:
    """A parameter of several numbers, as a key."""
    return None if values is None else tuple(ints(values))


@lru_cache(maxsize=4096)  # a model asks for the same windows in every run
def windows_over(
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    *,
    strides: tuple[int, ...] | None,
    pad_type: str,
    pad: tuple[int, ...] | None,
    dilations: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
) -> Windows:
    """Place windows over spatial axes.

    Args:
        sizes: of the axes.
        kernel: positions on each.
        strides, dilations: one per axis; none means 1.
        pad_type: ``valid``, ``custom``, ``same`` (an odd one goes behind) or ``same_lower`` (an odd one goes before).
        pad: before and behind, axis by axis; read with ``custom`` alone.
        ceil_mode: whether a last window may reach over the end.

    Raises:
        ValueError: the parameters do not fit each other, or no window fits.
    """
    axes = len(sizes)
    if not 1 <= axes <= 3 or len(kernel) != axes or min(kernel) < 1:
        raise ValueError(f"a window of the sizes {kernel} does not lie on {axes} spatial axes; there are one to three")
    step, spread = each_axis(strides, axes, "strides"), each_axis(dilations, axes, "dilations")
    reach = [(positions - 1) * gap + 1 for positions, gap in zip(kernel, spread, strict=True)]
    pads = _pads(pad_type.lower(), pad, sizes, reach, step)
    counts, beyond = [], []
    for size, (before, after), wide, by in zip(sizes, pads, reach, step, strict=True):
        count, over = _placed(size, before, after, wide, by, ceil_mode)
        counts.append(count)
        beyond.append(over)
    return Windows(kernel=kernel, step=step, spread=spread, pads=pads, beyond=tuple(beyond), counts=tuple(counts))


def _placed(size: int, before: int, after: int, reach: int, step: int, ceil_mode: bool) -> tuple[int, int]:
    """How many windows there are on an axis, and how far the last reaches over the padded end."""
    room_left = size + before + after - reach
    if not ceil_mode:
        if room_left < 0:
            raise ValueError(f"a window over {reach} does not fit into {size} + {before} + {after}")
        return room_left // step + 1, 0
    if before != after:
        raise ValueError("with ceil_mode an axis is padded alike on both sides")
    count = -(-room_left // step) + 1
    if count < 1:
        raise ValueError(f"a window over {reach} does not fit into {size} + {before} + {after}")
    if before and (count - 1) * step >= size + before:
        count -= 1
    if (count - 1) * step >= size + before:
        raise ValueError("with ceil_mode the last window would hold nothing; no document says what it gives")
    return count, max(0, (count - 1) * step - room_left)


def each_axis(values: tuple[int, ...] | None, axes: int, what: str) -> tuple[int, ...]:
    """One positive number per spatial axis; none given means 1.

    Raises:
        ValueError: they are others.
    """
    found = (1,) * axes if values is None else values
    if len(found) != axes or min(found) < 1:
        raise ValueError(f"{what} are {found}, not {axes} positive numbers")
    return found


def _pads(
    pad_type: str, pad: tuple[int, ...] | None, sizes: Sequence[int], reach: Sequence[int], step: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    if pad_type not in ("same", "same_lower"):
        return sides(pad_type, pad, len(sizes))
    return tuple(_same(*axis, lower=pad_type == "same_lower") for axis in zip(sizes, reach, step, strict=True))


def sides(pad_type: str, pad: tuple[int, ...] | None, axes: int) -> tuple[tuple[int, int], ...]:
    """The padding before and behind each axis, where the program says it itself: ``valid`` or ``custom``.

    Raises:
        ValueError: it says something else.
    """
    if pad_type == "valid" or (pad_type == "custom" and pad is None):
        return ((0, 0),) * axes
    if pad_type != "custom" or pad is None:
        raise ValueError(f"there is no padding {pad_type}")
    if len(pad) != 2 * axes or min(pad) < 0:
        raise ValueError(f"a padding of {pad} is not two sides of {axes} axes")
    return tuple(zip(pad[::2], pad[1::2], strict=True))


def _same(size: int, reach: int, step: int, *, lower: bool) -> tuple[int, int]:
    total = max(0, (-(-size // step) - 1) * step + reach - size)
    less, more = total // 2, total - total // 2
    return (more, less) if lower else (less, more)


def padded_size(shape: tuple[int, ...], windows: Windows) -> int:
    """Elements of the input with its padding.

    Raises:
        ValueError: they are too many.
    """
    wide = [size + sum(pad) + over for size, pad, over in zip(shape[2:], windows.pads, windows.beyond, strict=True)]
    return math.prod(room(*shape[:2], *wide))


def padded(x: Tensor, windows: Windows, fill: float = 0.0) -> Tensor:
    """A tensor (n, channels, …) with the padding around it; the tensor itself where there is none.

    Raises:
        ValueError: it would be too large.
    """
    behind = [after + over for (_, after), over in zip(windows.pads, windows.beyond, strict=True)]
    before = [first for first, _ in windows.pads]
    if not any(before) and not any(behind):
        return x
    sizes = x.shape[2:]
    wide = [size + first + last for size, first, last in zip(sizes, before, behind, strict=True)]
    out = np.full(room(*x.shape[:2], *wide), fill, x.dtype)
    inside = tuple(slice(first, first + size) for first, size in zip(before, sizes, strict=True))
    out[(slice(None), slice(None), *inside)] = x
    return out


def check_bias(bias: Tensor | None, channels: int) -> None:
    """Refuse a bias that is not one number per channel.

    Raises:
        ValueError: it is not.
    """
    if bias is not None and bias.shape != (channels,):
        raise ValueError(f"a bias {bias.shape} is not one number for each of {channels} channels")


def bounded(work: int, *, each: int = 1) -> None:
    """Refuse what nobody would wait for.

    Args:
        work: how many multiplications, or things that take as long as ``each`` of them.

    Raises:
        ValueError: there are more than ``MAX_WORK``, or than the run has left.
    """
    spend(work * each)
    if work * each > MAX_WORK:
        raise ValueError(f"{work} multiplications are not made: at most {MAX_WORK // each} are")


def blocks(sizes: Sequence[int], limit: int) -> Iterator[tuple[slice, ...]]:
    """Cut a grid into blocks of at most ``limit`` points (but at least one), rows kept whole as far as they go."""
    lengths = [1] * len(sizes)
    left = max(1, limit)
    for axis in reversed(range(len(sizes))):
        lengths[axis] = min(sizes[axis], left)
        left //= max(1, lengths[axis])
        if lengths[axis] < sizes[axis]:
            break
    axes = [range(0, size, max(1, length)) for size, length in zip(sizes, lengths, strict=True)]
    for starts in product(*axes):
        yield tuple(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))
