"""Documents are read strictly, blaming a field, and written in one way only."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpublish.errors import FormatError, NewerFormat
from mlpublish.formats import wire
from mlpublish.formats.wire import Reader, decimal, dump, is_relative_path


def reader(**members: object) -> Reader:
    return Reader(members, "doc.json")


def refused(data: bytes) -> FormatError:
    with pytest.raises(FormatError) as caught:
        Reader.parse(data, what="doc.json")
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"3",
        b"null",
        b"{",
        b'{"a": 1} x',
        b'{"a": 1, "a": 1}',
        b'{"in": {"a": 1, "a": 2}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 01}',
        b"{'a': 1}",
        b'{"a": "\xff"}',
        rb'{"a": "\ud800"}',
        rb'{"\udc00": 1}',
        '{"a": 1}'.encode("utf-16"),
        "\ufeff{}".encode(),
        b"[" * 100_000,
        b'{"a": ' * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_strict_utf8_json_object_is_refused(data: bytes) -> None:
    error = refused(data)
    assert error.field == "doc.json"
    assert "doc.json" in error.problem


def test_a_document_larger_than_the_bound_is_refused_before_it_is_parsed() -> None:
    assert str(wire.MAX_DOCUMENT) in refused(b" " * (wire.MAX_DOCUMENT + 1)).problem


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("text", 1),
        ("text", None),
        ("whole_number", -1),
        ("whole_number", True),
        ("whole_number", 1.0),
        ("whole_number", "1"),
        ("whole_number", 2**63),
        ("truth", 1),
        ("decimal", 0.5),
        ("decimal", "nan"),
        ("decimal", "inf"),
        ("decimal", "1e999"),
        ("decimal", "1_0"),
        ("decimal", " 1"),
        ("decimal", "one"),
        ("digest", "a" * 63),
        ("digest", "A" * 64),
        ("relative_path", "../a"),
        ("inner", []),
        ("texts", "abc"),
        ("texts", ["a", 1]),
        ("whole_numbers", [1, True]),
        ("whole_numbers", [-1]),
        ("text_map", {"a": 1}),
        ("number_map", {"a": True}),
        ("number_map", {"a": -1}),
    ],
)
def test_a_wrong_member_is_blamed_by_its_place(method: str, value: object) -> None:
    document = Reader({"files": [{"ok": {}}, {"it": value}]}, "doc.json")
    *_, second = document.each("files")
    with pytest.raises(FormatError) as caught:
        getattr(second, method)("it")
    assert caught.value.field == "files[1].it"
    assert "files[1].it" in caught.value.problem


def test_a_missing_member_is_blamed_and_the_rest_of_the_path_is_kept() -> None:
    with pytest.raises(FormatError) as caught:
        reader(a={"b": {}}).inner("a").inner("b").text("c")
    assert caught.value.field == "a.b.c"
    assert "nothing" in caught.value.problem


def test_a_long_value_is_cut_in_the_error() -> None:
    with pytest.raises(FormatError) as caught:
        reader(a=["x" * 10_000]).text("a")
    assert len(caught.value.problem) < 200


def test_a_list_with_a_stranger_inside_is_blamed_as_a_list() -> None:
    with pytest.raises(FormatError, match=r"entry 1 is none"):
        list(reader(a=[{}, 3]).each("a"))


def test_optional_takes_null_and_absence_for_nothing() -> None:
    assert reader(a=None).optional("a", reader(a=None).text) is None
    assert reader().optional("a", reader().text) is None
    assert reader(a="x").optional("a", reader(a="x").text) == "x"


def test_a_newer_format_is_refused_whole_and_asks_for_an_upgrade() -> None:
    with pytest.raises(NewerFormat) as caught:
        reader(format=3).version("format", known=2)
    assert "Upgrade" in caught.value.remedy
    assert [reader(format=n).version("format", known=2) for n in (1, 2)] == [1, 2]


@pytest.mark.parametrize("value", [0, "1", None, True])
def test_a_format_version_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(FormatError):
        reader(format=value).version("format", known=2)


@pytest.mark.parametrize("path", ["a", "models/digits.mlmodel", "a b/c", "a/b.c-d_e@f+g=h,(i)[j]", "x" * 255, "a/" * 31 + "a"])
def test_plain_relative_paths_are_taken(path: str) -> None:
    assert is_relative_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "./a",
        ".hidden",
        "a/.git",
        "a.",
        "a ",
        " a",
        "a\\b",
        "C:a",
        "a\0b",
        "a\nb",
        "a\n",
        "\u00e9",
        "a\u202eb",
        "~",
        "x" * 256,
        "a/" * 32 + "a",
    ],
)
def test_paths_that_some_system_reads_otherwise_are_not_taken(path: str) -> None:
    assert not is_relative_path(path)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_what_is_written_is_read_back_and_written_the_same(document: dict[str, object]) -> None:
    written = dump(document)
    read = Reader.parse(written, what="doc.json").values
    assert read == document
    assert dump(read) == written
    assert written.endswith(b"\n")


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_members_does_not_matter(document: dict[str, int]) -> None:
    assert dump(document) == dump(dict(reversed(document.items())))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_decimal_string_reads_back_as_the_same_float(value: float) -> None:
    assert reader(a=decimal(value)).decimal("a") == value


def test_no_float_that_is_no_number_is_ever_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump({"a": float("nan")})


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_one_clear_refusal(data: bytes) -> None:
    try:
        values = Reader.parse(data, what="doc.json").values
    except FormatError:
        return
    assert json.loads(data.decode()) == values
