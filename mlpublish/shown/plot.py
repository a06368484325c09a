"""A plot around the diagonal as one SVG element: both axes have one scale, so the diagonal is where the two sides agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from mlpublish.shown.blocks import Plot
from mlpublish.shown.words import cut, plain

_WIDTH, _HEIGHT = 310, 274
_LEFT, _TOP, _SIDE = 70, 26, 212  # the square of the points
_POINT, _MARK = "#2f80ed", "#e5534b"  # both stand out on white and on black
_MOST, _LEAST = 1e300, 1e-290  # beyond, a range is not a number any more
_TICKS = 5  # about


@dataclass(frozen=True, slots=True)
class _Scale:
    """One axis, good for both: where it begins and ends, and its ticks."""

    low: float
    high: float
    step: float

    @classmethod
    def over(cls, values: Sequence[float]) -> _Scale:
        """The scale from tick to tick that holds all values, in steps of 1, 2 or 5 times a power of ten."""
        low, high = min(values, default=0.0), max(values, default=1.0)
        size = max(abs(low), abs(high))
        if high - low <= max(size * 1e-9, _LEAST):  # all the same, as far as ticks can tell
            around = size / 2 if size > _LEAST else 0.5
            low, high = low - around, high + around
        raw = (high - low) / _TICKS
        power = 10.0 ** math.floor(math.log10(raw))
        step = next((each * power for each in (1, 2, 5) if each * power >= raw), 10 * power)
        noise = 1e-9  # of a step: a probability of -1e-17 is none below zero
        return cls(math.floor(low / step + noise) * step, math.ceil(high / step - noise) * step, step)

    def ticks(self) -> list[float]:
        count = round((self.high - self.low) / self.step)
        return [self.low + (self.high - self.low) * place / count for place in range(count + 1)]

    def at(self, value: float) -> float:
        """0 to 1 along the axis."""
        return (value - self.low) / (self.high - self.low)

    def told(self, value: float) -> str:
        """A tick's number, with as many digits as its step has."""
        value = 0.0 if abs(value) < self.step / 2 else value
        largest, digits = max(abs(self.low), abs(self.high)), math.floor(math.log10(self.step))
        if self.step >= 1e-4 and largest < 1e6:
            return f"{value:.{max(-digits, 0)}f}"
        return f"{value:.{max(math.floor(math.log10(largest)) - digits, 0)}e}" if value else "0"


def svg(plot: Plot) -> str:
    """The element; it takes its text's colour from what stands around it."""
    scale = _Scale.over([value for pair in zip(plot.x, plot.y, strict=True) if _drawable(*pair) for value in pair])
    parts = "".join((*_axes(plot, scale), *_points(plot, scale)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" style="color:inherit;max-width:100%;height:auto" '
        'font-family="system-ui,sans-serif" font-size="11" fill="currentColor">'
        f"<title>{_text(plot.title, 500)}</title><desc>{_text(plot.description, 2000)}</desc>{parts}</svg>"
    )


def _axes(plot: Plot, scale: _Scale) -> Iterator[str]:
    right, bottom = _LEFT + _SIDE, _TOP + _SIDE
    yield f'<text x="{_LEFT}" y="15" font-weight="600">{_text(plot.title, 36)}</text>'
    for tick in scale.ticks():
        x, y, told = _x(scale, tick), _y(scale, tick), _text(scale.told(tick), 20)
        yield _line(x, _TOP, x, bottom, 'stroke-opacity=".15"') + _line(_LEFT, y, right, y, 'stroke-opacity=".15"')
        yield f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{told}</text>'
    shown = scale.ticks()[:: 1 if max(len(scale.told(tick)) for tick in scale.ticks()) <= 5 else 2]
    for tick in shown:
        yield f'<text x="{_x(scale, tick):.1f}" y="{bottom + 14}" text-anchor="middle">{_text(scale.told(tick), 20)}</text>'
    yield _line(_LEFT, bottom, right, _TOP, 'stroke-opacity=".6" stroke-dasharray="4 3"')
    yield f'<text x="{_LEFT + _SIDE / 2:.0f}" y="{bottom + 30}" text-anchor="middle">{_text(plot.x_label, 40)}</text>'
    middle = _TOP + _SIDE // 2
    yield f'<text transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">{_text(plot.y_label, 40)}</text>'


def _points(plot: Plot, scale: _Scale) -> Iterator[str]:
    pairs = list(zip(plot.x, plot.y, strict=True))
    for place, pair in enumerate(pairs):
        if _drawable(*pair) and place != plot.marked:
            yield _circle(scale, *pair, 2.5, f'fill="{_POINT}" fill-opacity=".6"')
    if plot.marked is not None and _drawable(*pairs[plot.marked]):
        yield from _marked(scale, *pairs[plot.marked], plot.marked_label)
    if left := sum(not _drawable(*pair) for pair in pairs):
        yield f'<text x="{_LEFT + 6}" y="{_TOP + 14}">{left} not finite, not drawn</text>'


def _marked(scale: _Scale, x: float, y: float, label: str) -> Iterator[str]:
    yield _circle(scale, x, y, 4.5, f'fill="none" stroke="{_MARK}" stroke-width="2"')
    before = scale.at(x) > 0.5  # written where there is room
    place = _x(scale, x) + (-9 if before else 9)
    height = min(max(_y(scale, y) + 4, _TOP + 12), _TOP + _SIDE - 4)
    yield f'<text x="{place:.1f}" y="{height:.1f}" text-anchor="{"end" if before else "start"}">{_text(label, 24)}</text>'


def _circle(scale: _Scale, x: float, y: float, radius: float, style: str) -> str:
    return f'<circle cx="{_x(scale, x):.1f}" cy="{_y(scale, y):.1f}" r="{radius}" {style}/>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" {style}/>'


def _x(scale: _Scale, value: float) -> float:
    return _LEFT + _SIDE * scale.at(value)


def _y(scale: _Scale, value: float) -> float:
    return _TOP + _SIDE * (1 - scale.at(value))


def _drawable(x: float, y: float) -> bool:
    return abs(x) < _MOST and abs(y) < _MOST  # a NaN is not below anything


def _text(text: str, most: int) -> str:
    return escape(cut(plain(text), most))
