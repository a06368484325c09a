"""The plot is SVG that any reader takes, with honest axes: every finite point stands where its numbers say."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.shown import Plot
from mlpublish.shown.plot import _Scale, svg

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>]]>&amp;\n\x00\u202eabc"
anything = st.floats(allow_nan=True, allow_infinity=True)


def plot(x: tuple[float, ...], y: tuple[float, ...], marked: int | None = None, name: str = "p") -> Plot:
    return Plot(title=name, description=name, x_label=name, y_label=name, x=x, y=y, marked=marked, marked_label=name)


def circles(drawn: ET.Element) -> list[tuple[float, float]]:
    return [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in drawn.iter(f"{SVG}circle")]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(anything, anything), max_size=30), st.data())
def test_any_numbers_are_drawn_or_told_to_be_left_out(pairs: list[tuple[float, float]], data: st.DataObject) -> None:
    marked = data.draw(st.none() | st.integers(0, len(pairs) - 1)) if pairs else None
    drawn = ET.fromstring(svg(plot(tuple(x for x, _ in pairs), tuple(y for _, y in pairs), marked)))
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    found = circles(drawn)
    assert all(0 <= x <= width and 0 <= y <= height for x, y in found)
    told = "".join(drawn.itertext())
    left = len(pairs) - len(found)
    assert (f"{left} not finite, not drawn" in told) is (left > 0)
    assert left == sum(not (abs(x) < 1e300 and abs(y) < 1e300) for x, y in pairs)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e299, 1e299), min_size=1, max_size=20))
def test_ticks_are_few_round_apart_and_around_every_value(values: list[float]) -> None:
    scale = _Scale.over(values)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 12
    assert len({scale.told(tick) for tick in ticks}) == len(ticks)
    assert all(-1e-6 <= scale.at(value) <= 1 + 1e-6 for value in values)
    assert any(math.isclose(scale.step / 10 ** math.floor(math.log10(scale.step) + 1e-9), each) for each in (1, 2, 5))


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-1e-17, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.0, 3e6, ["0", "1e+06", "2e+06", "3e+06"]),
        (-40.0, 90.0, ["-50", "0", "50", "100"]),
    ],
)
def test_a_tick_is_told_with_the_digits_of_its_step(low: float, high: float, told: list[str]) -> None:
    scale = _Scale.over([low, high])
    assert [scale.told(tick) for tick in scale.ticks()] == told


def test_both_axes_are_one_scale_so_equal_numbers_lie_on_the_diagonal() -> None:
    drawn = ET.fromstring(svg(plot((0.0, 3.0, 10.0, 7.0), (0.0, 3.0, 10.0, 5.0))))
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = circles(drawn)
    assert (x2 - x1) / (x3 - x1) == pytest.approx((y1 - y2) / (y1 - y3), abs=0.01) == pytest.approx(0.3, abs=0.01)
    assert (y1 - y4) < (x4 - x1)  # less than wanted: below the diagonal


def test_it_has_a_title_and_a_description_and_no_colour_of_a_theme() -> None:
    text = svg(plot((1.0,), (1.0,), 0, name="Parity of prediction"))
    drawn = ET.fromstring(text)
    assert drawn.attrib["role"] == "img"
    assert (drawn[0].tag, drawn[0].text, drawn[1].tag) == (f"{SVG}title", "Parity of prediction", f"{SVG}desc")
    for colour in ("#000", "#fff", "black", "white", "<style", "<script", "href", "url("):
        assert colour not in text


def test_hostile_names_stay_text() -> None:
    drawn = ET.fromstring(svg(plot((1.0, 2.0), (1.0, 2.5), 1, name=HOSTILE)))
    assert {each.tag.removeprefix(SVG) for each in drawn.iter()} == {"svg", "title", "desc", "text", "line", "circle"}
    assert drawn[0].text == r"<script>alert(1)</script>]]>&amp;\n\x00\u202eabc"
