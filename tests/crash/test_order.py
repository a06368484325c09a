"""What a power cut would keep: a file is flushed before it gets its name, and the name before anything that relies on it.

Read from traces of real commands. What nobody relies on after a power cut (``SCRATCH``) needs no such care: what a device
copies for one check, or gathers of a bundle (its digest decides, whatever the disk made of it), a release that is signed
again, uploads that are sent again, the server's index, what is on its way out.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest
from scenarios import SCENARIOS
from sweep import Sweep
from tracing import NAMING, Call, Trace

pytestmark = pytest.mark.usefixtures("tracer")
WRITES = ("write", "writev", "pwrite64", "pwritev", "sendfile", "copy_file_range", "truncate", "ftruncate")
FOLDERS = ("mkdir", "mkdirat")
FLUSHES = ("fsync", "fdatasync")
SCRATCH = re.compile(
    r"^(out|\.release-.*|\w+/metadata\.new|\w+/downloads|\w+/releases/\.outgoing-.*|dev/blobs|dev/index\.sqlite.*)(/|$)"
)


def unflushed(calls: tuple[Call, ...]) -> list[str]:
    """What a trace does in the wrong order, one text each."""
    wrong: list[str] = []
    dirty: set[str] = set()  # files with bytes, and folders with names, that are not flushed
    for call in calls:
        source, place = call.paths[0], call.paths[-1]
        if call.failed or SCRATCH.search(place if call.name in NAMING else source):
            continue
        if call.name in WRITES:
            dirty.add(source)
        elif call.name in FOLDERS and not PurePosixPath(place).name.startswith("."):
            dirty.add(above(place))
        elif call.name in FLUSHES:
            dirty.discard(place)
        elif call.name in NAMING:
            wrong += [f"{each} is not flushed when {place} gets its name" for each in sorted(dirty)]
            dirty = {above(place)}
    return wrong + [f"{each} is never flushed" for each in sorted(dirty)]


def above(place: str) -> str:
    return str(PurePosixPath(place).parent)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_file_is_flushed_before_it_gets_its_name_and_its_folder_before_the_next(
    name: str, base: Path, tmp_path: Path
) -> None:
    ran: Trace = Sweep(name, base, tmp_path).trace()
    assert [call for call in ran.calls if call.name in NAMING and not SCRATCH.search(call.paths[-1])]
    assert unflushed(ran.calls) == []


def call(name: str, *paths: str) -> Call:
    return Call(thread=0, name=name, count=1, paths=paths, failed=False)


def test_the_reading_of_a_trace_tells_right_from_wrong() -> None:
    written, flushed, named = call("write", "a/.partial"), call("fsync", "a/.partial"), call("link", "a/.partial", "a/x")
    assert unflushed((written, flushed, named, call("fsync", "a"))) == []
    assert unflushed((written, named, call("fsync", "a"))) == ["a/.partial is not flushed when a/x gets its name"]
    assert unflushed((written, flushed, named)) == ["a is never flushed"]
    assert unflushed((call("mkdir", "a/b"), written, flushed, named, call("fsync", "a"))) == [
        "a is not flushed when a/x gets its name"
    ]
