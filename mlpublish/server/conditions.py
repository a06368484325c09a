"""Preconditions and ranges: what a GET or HEAD of one file is answered, as a pure function.

Source of the rules: RFC 9110 §13.2.2 (the order), §13.1 (each header), §14.2 (Range). Where the RFC leaves a choice: several
ranges or a malformed header are answered with the whole file, and a date in ``If-Range`` must be the exact Last-Modified.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime

from multidict import MultiMapping

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,4000})-([0-9]{0,4000})[ \t]*", re.IGNORECASE)  # int() takes 4300 digits at most
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is known of a file before it is sent.

    Args:
        digest: sha256 of its bytes, the strong entity tag.
        modified: seconds since 1970, UTC.
        length: in bytes.
    """

    digest: str
    modified: int
    length: int

    @property
    def etag(self) -> str:
        return f'"{self.digest}"'

    @property
    def last_modified(self) -> str:
        return formatdate(self.modified, usegmt=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, and the part of the file that goes with it (``count`` bytes from ``offset``)."""

    status: int
    offset: int = 0
    count: int = 0


def answer_to(method: str, headers: MultiMapping[str], content: Content) -> Answer:
    """What a request is answered: 200, 206, 304, 412 or 416."""
    if _fails(headers, content):
        return Answer(status=412)
    if _is_fresh(headers, content):
        return Answer(status=304)
    whole = Answer(status=200, count=content.length)
    wanted = _one(headers, "Range")
    if method != "GET" or wanted is None or not _range_applies(headers, content):
        return whole
    return _part(wanted, content.length) or whole


def _fails(headers: MultiMapping[str], content: Content) -> bool:
    """If-Match compares strongly; If-Unmodified-Since counts only without it."""
    if "If-Match" in headers:
        tags = ",".join(headers.getall("If-Match"))
        return tags.strip() != "*" and ("", content.etag) not in _TAG.findall(tags)
    since = _date(_one(headers, "If-Unmodified-Since"))
    return since is not None and content.modified > since


def _is_fresh(headers: MultiMapping[str], content: Content) -> bool:
    """If-None-Match compares weakly; If-Modified-Since counts only without it."""
    if "If-None-Match" in headers:
        tags = ",".join(headers.getall("If-None-Match"))
        return tags.strip() == "*" or any(tag == content.etag for _, tag in _TAG.findall(tags))
    since = _date(_one(headers, "If-Modified-Since"))
    return since is not None and content.modified <= since


def _range_applies(headers: MultiMapping[str], content: Content) -> bool:
    """A resumed download must go on with the very same bytes, or start over: a weak or stale tag never matches."""
    if "If-Range" not in headers:
        return True
    return _one(headers, "If-Range") in (content.etag, content.last_modified)


def _part(wanted: str, length: int) -> Answer | None:
    """One satisfiable range (206), one that is not (416), or None for what is no single range."""
    match = _RANGE.fullmatch(wanted)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":  # the last so many bytes
        start, end = max(0, length - int(last)), length
    elif last != "" and int(last) < int(first):
        return None
    else:
        start, end = int(first), length if last == "" else min(length, int(last) + 1)
    return Answer(status=206, offset=start, count=end - start) if start < end else Answer(status=416)


def _one(headers: MultiMapping[str], name: str) -> str | None:
    """A header that must stand once; twice is as good as malformed."""
    values = headers.getall(name, [])
    return values[0].strip() if len(values) == 1 else None


def _date(text: str | None) -> float | None:
    try:
        moment = None if text is None else parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a zone beyond what a C integer holds overflows
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
