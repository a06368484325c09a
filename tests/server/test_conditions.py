from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from mlpublish.server.conditions import Answer, Content, answer_to

FILE = Content(digest="ab" * 32, modified=1_700_000_000, length=1000)
OLD, THEN, LATER = "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 22:13:21 GMT"
WHOLE, UNSATISFIABLE = Answer(status=200, count=1000), Answer(status=416)


def answered(*headers: tuple[str, str], method: str = "GET", content: Content = FILE) -> Answer:
    return answer_to(method, CIMultiDict(headers), content)


def part(offset: int, count: int) -> Answer:
    return Answer(status=206, offset=offset, count=count)


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ("bytes=0-99", part(0, 100)),
        ("bytes=900-", part(900, 100)),
        ("bytes=-10", part(990, 10)),
        ("bytes=-5000", part(0, 1000)),
        ("bytes=999-999", part(999, 1)),
        ("bytes=10-99999999999999999999999", part(10, 990)),
        ("BYTES=0-0", part(0, 1)),
        ("bytes=1000-", UNSATISFIABLE),
        ("bytes=-0", UNSATISFIABLE),
        ("bytes=99999999999999999999999-", UNSATISFIABLE),
        ("bytes=0-1,5-6", WHOLE),
        ("bytes=9-5", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=1-2x", WHOLE),
        ("bytes=+1-2", WHOLE),
        ("bytes=\u0661-\u0662", WHOLE),  # digits, but not ASCII's
        ("bytes=" + "9" * 5000 + "-", WHOLE),
        ("lines=0-1", WHOLE),
        ("", WHOLE),
    ],
)
def test_a_single_range_is_honoured_and_anything_else_is_the_whole_file(wanted: str, answer: Answer) -> None:
    assert answered(("Range", wanted)) == answer


@pytest.mark.parametrize(
    ("condition", "resumes"),
    [
        (FILE.etag, True),
        (FILE.last_modified, True),
        (f"W/{FILE.etag}", False),
        ('"' + "cd" * 32 + '"', False),
        ("ab" * 32, False),
        (OLD, False),
        (LATER, False),
        ("*", False),
    ],
)
def test_a_download_is_resumed_only_where_the_very_same_bytes_go_on(condition: str, resumes: bool) -> None:
    assert answered(("Range", "bytes=500-"), ("If-Range", condition)) == (part(500, 500) if resumes else WHOLE)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("If-Match", FILE.etag, 200),
        ("If-Match", f'"x", {FILE.etag}', 200),
        ("If-Match", "*", 200),
        ("If-Match", f"W/{FILE.etag}", 412),
        ("If-Match", '"x"', 412),
        ("If-Match", "", 412),
        ("If-None-Match", FILE.etag, 304),
        ("If-None-Match", f"W/{FILE.etag}", 304),
        ("If-None-Match", f'"x" , {FILE.etag}', 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", '"x"', 200),
        ("If-Modified-Since", THEN, 304),
        ("If-Modified-Since", LATER, 304),
        ("If-Modified-Since", OLD, 200),
        ("If-Modified-Since", "yesterday", 200),
        ("If-Modified-Since", "Tue, 14 Nov 99999 22:13:20 GMT", 200),
        ("If-Modified-Since", "Tue, 14 Nov 2023 22:13:20 +" + "9" * 30, 200),
        ("If-Unmodified-Since", THEN, 200),
        ("If-Unmodified-Since", OLD, 412),
    ],
)
def test_preconditions(name: str, value: str, status: int) -> None:
    assert answered((name, value)).status == status


def test_the_order_of_the_preconditions_is_that_of_the_rfc() -> None:
    assert answered(("If-Match", '"x"'), ("If-None-Match", FILE.etag)).status == 412
    assert answered(("If-None-Match", '"x"'), ("If-Modified-Since", LATER)).status == 200
    assert answered(("If-Match", FILE.etag), ("If-Unmodified-Since", OLD)).status == 200
    assert answered(("If-None-Match", FILE.etag), ("Range", "bytes=0-1")).status == 304


def test_a_range_is_for_get_only_and_a_header_that_stands_twice_does_not_count() -> None:
    assert answered(("Range", "bytes=0-1"), method="HEAD") == WHOLE
    assert answered(("Range", "bytes=0-1"), ("Range", "bytes=2-3")) == WHOLE
    assert answered(("Range", "bytes=0-1"), ("If-Range", FILE.etag), ("If-Range", FILE.etag)) == WHOLE


def test_nothing_of_an_empty_file_can_be_satisfied() -> None:
    empty = Content(digest="ab" * 32, modified=0, length=0)
    assert answered(content=empty) == Answer(status=200, count=0)
    assert answered(("Range", "bytes=0-"), content=empty) == UNSATISFIABLE


@given(st.integers(0, 50), st.none() | st.integers(0, 60), st.none() | st.integers(0, 60))
def test_what_is_sent_is_what_a_slice_would_give(length: int, first: int | None, last: int | None) -> None:
    data = bytes(range(length))
    content = Content(digest="ab" * 32, modified=0, length=length)
    answer = answered(("Range", f"bytes={'' if first is None else first}-{'' if last is None else last}"), content=content)
    if first is None:
        expected = data if last is None else data[max(0, length - last) :] if last else b""
    else:
        expected = data if last is not None and last < first else data[first : None if last is None else last + 1]
    assert data[answer.offset : answer.offset + answer.count] == expected
    assert (answer.status == 416) == (
        expected == b"" and not (first is None and last is None) and not _is_backwards(first, last)
    )


def _is_backwards(first: int | None, last: int | None) -> bool:
    return first is not None and last is not None and last < first


@given(st.text(max_size=40), st.text(max_size=80), st.text(max_size=80), st.sampled_from(["GET", "HEAD"]))
def test_no_header_breaks_it(wanted: str, tag: str, date: str, method: str) -> None:
    headers = [("Range", wanted), ("If-Range", tag), ("If-Match", tag), ("If-None-Match", tag), ("If-Modified-Since", date)]
    for name, value in headers:
        answer = answered((name, value), method=method)
        assert answer.status in (200, 206, 304, 412, 416)
        assert answer.offset + answer.count <= FILE.length
