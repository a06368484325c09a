"""Payloads: what is written is read, what is wrong is named, and the JSON Schema says the same as the reader."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mlpublish.errors import FormatError
from mlpublish.formats import payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    name: str
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    model: Inner
    rollout: float
    others: tuple[Inner, ...] = ()
    note: str | None = None
    trusted: bool = False


inner = st.builds(Inner, name=st.text(), size=st.integers())
outer = st.builds(
    Outer,
    model=inner,
    rollout=st.floats(allow_nan=False, allow_infinity=False),
    others=st.lists(inner, max_size=3).map(tuple),
    note=st.none() | st.text(),
    trusted=st.booleans(),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
anything = st.recursive(scalars, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3))


def bent(value: Outer, place: str, other: object) -> object:
    """A good payload with one value replaced."""
    written = payload.write(value)
    inside = written["model"] if place in ("name", "size", "seize") else written
    inside[place] = other
    return written


PLACES = ("model", "rollout", "others", "note", "trusted", "name", "size", "seize")
nearly = st.builds(bent, outer, st.sampled_from(PLACES), anything)


@given(outer)
def test_what_is_written_is_read(value):
    assert payload.read(Outer, json.loads(json.dumps(payload.write(value))), where="step") == value


@given(anything | nearly)
@example({"model": {"name": "a", "size": 2.0}, "rollout": 1})  # whole, as JSON has it
@example({"model": {"name": "a", "size": 2.5}, "rollout": 1})
@example({"model": {"name": "a", "size": True}, "rollout": 1})
def test_the_schema_takes_exactly_what_the_reader_takes(values):
    takes = Draft202012Validator(payload.schema(Outer)).is_valid(values)
    try:
        payload.read(Outer, values, where="step")
    except FormatError:
        assert not takes
    else:
        assert takes


GOOD = {"model": {"name": "digits"}, "rollout": 1}


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"modle": 1}, "step.modle", "Did you mean 'model'?"),
        ({"xyzzy": 1}, "step.xyzzy", "Known are: model, rollout"),
        ({"model": {"name": "a", "seize": 1}}, "step.model.seize", "Did you mean 'size'?"),
        ({"model": {}}, "step.model.name", "lacks the field"),
        ({"model": []}, "step.model", "an object"),
        ({"rollout": "1"}, "step.rollout", "a number"),
        ({"rollout": True}, "step.rollout", "a number"),
        ({"rollout": None}, "step.rollout", "a number"),
        ({"trusted": 1}, "step.trusted", "true or false"),
        ({"others": {"name": "a"}}, "step.others", "a list"),
        ({"others": [{"name": "a"}, {"name": "b", "size": 1.5}]}, "step.others[1].size", "a whole number"),
        ({"note": 7}, "step.note", "a string"),
    ],
)
def test_the_field_to_blame_is_named(change, field, told):
    with pytest.raises(FormatError) as error:
        payload.read(Outer, {**GOOD, **change}, where="step")
    assert error.value.field == field
    assert told in str(error.value)
