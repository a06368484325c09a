"""One flipped bit, anywhere in any layer: it is a matter of integrity, or it says the same; and the true bytes heal."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlpublish.formats import archive
from mlpublish.formats.status import UpdateStatus
from mlpublish.trust import roles

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

INTEGRITY, UNZIPPING = UpdateStatus.FAILURE_INTEGRITY, UpdateStatus.FAILURE_UNZIPPING
FLIPS = 10  # per layer; drawn, the same ones in every run


def flipped(data: bytes, bit: int) -> bytes:
    place, mask = bit // 8, 1 << bit % 8
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


def bits(layer: str, data: bytes) -> list[int]:
    return random.Random(layer).sample(range(len(data) * 8), FLIPS)


@contextmanager
def bent(file: Path, bit: int) -> Iterator[None]:
    true = file.read_bytes()
    file.write_bytes(flipped(true, bit))
    try:
        yield
    finally:
        file.write_bytes(true)


def says_the_same(data: bytes, other: bytes) -> bool:
    """Whether two documents differ only in how the digits of a signature are written (``c`` or ``C``)."""
    try:
        first, second = (json.loads(each) for each in (data, other))
        for document in (first, second):
            for signature in document["signatures"]:
                signature["sig"] = signature["sig"].lower()
    except (ValueError, KeyError, TypeError):
        return False
    return bool(first == second)


def role_file(name: str) -> Callable[[Lab], Path]:
    def found(lab: Lab) -> Path:
        head, folder = lab.head(), lab.store.folder / "metadata"
        if name == "timestamp":
            return folder / "timestamp.json"
        version = head.snapshot.signed.version if name == "snapshot" else head.role(name).signed.version
        return folder / f"{version}.{name}.json"

    return found


def next_root(lab: Lab) -> Path:
    lab.rotate_root(lambda _: None)
    return lab.store.folder / "metadata" / "2.root.json"


def channel_content(lab: Lab) -> Path:
    return lab.store.folder / roles.stored_at(lab.head().channels.signed.targets["channels/ios/stable.json"])


SERVED: dict[str, Callable[[Lab], Path]] = {
    "the next root": next_root,
    **{name: role_file(name) for name in ("timestamp", "snapshot", "targets", "channels")},
    "the channel file": channel_content,
    "the bundle": lambda lab: lab.stored(2),
}


@pytest.fixture
def again(waiting: Lab, tmp_path: Path) -> Callable[[], Path]:
    """The device as it was before anything was flipped, anew each time."""
    kept, count = Path(shutil.copytree(waiting.phone, tmp_path / "kept")), iter(range(1000))
    return lambda: Path(shutil.copytree(kept, tmp_path / f"phone-{next(count)}"))


@pytest.mark.parametrize("layer", SERVED)
def test_a_bit_that_is_flipped_on_the_way_changes_nothing(waiting: Lab, again: Callable[[], Path], layer: str) -> None:
    file = SERVED[layer](waiting)
    true = file.read_bytes()
    for bit in bits(layer, true):
        device = again()
        with bent(file, bit):
            if says_the_same(true, file.read_bytes()):
                waiting.updates_to(2, device=device)
            else:
                assert waiting.fails(INTEGRITY, device=device).installed == 1, bit
        waiting.updates_to(2, device=device)


@pytest.mark.parametrize("name", ["models/digits.mlmodel", "manifest.json"])
def test_a_bit_that_is_flipped_in_an_installed_file_costs_the_release_and_the_next_check_brings_it_back(
    waiting: Lab, name: str
) -> None:
    """A manifest that cannot be read any more is taken for lost, and fetched again at once."""
    path = waiting.updates_to(2).path
    assert path is not None
    true = (path / name).read_bytes()
    for bit in bits(name, true):
        (path / name).write_bytes(flipped(true, bit))
        report = waiting.check()
        if report.status is UpdateStatus.SUCCESS:
            assert (name, report.installed, report.reason) == ("manifest.json", 2, None), bit
        else:
            assert (report.status, report.installed) == (INTEGRITY, 1), bit
        assert waiting.updates_to(2).path == path
        assert (path / name).read_bytes() == true


def test_a_bit_that_is_flipped_in_what_an_earlier_check_left_is_found(waiting: Lab, again: Callable[[], Path]) -> None:
    for bit in random.Random("part").sample(range(8_000_000), 4):
        device = again()
        waiting.web.bend("bundle.zip", cut=1_000_000)
        waiting.fails(UpdateStatus.FAILURE_DOWNLOADING, device=device)
        waiting.web.heal()
        (part,) = (device / "downloads").iterdir()
        part.write_bytes(flipped(part.read_bytes(), bit))
        waiting.fails(INTEGRITY, "signed was", device=device, retries=0)
        assert not part.exists()
        waiting.updates_to(2, device=device)


def rewritten(bundle: bytes, folder: Path, name: str, bit: int) -> bytes:
    """The same archive but for a bit of one file, written as ``bundle()`` writes: every checksum of the zip fits."""
    (folder / "good.zip").write_bytes(bundle)
    with (folder / "good.zip").open("rb") as stream:
        opened = archive.Archive.read(stream)
        files = [(entry.name, opened.content(entry.name, at_most=10**8)) for entry in opened.entries]
    archive.write(folder / "bad.zip", [(each, flipped(data, bit) if each == name else data) for each, data in files])
    return (folder / "bad.zip").read_bytes()


@pytest.mark.parametrize("name", ["models/digits.mlmodel", "manifest.json"])
def test_a_bit_that_was_flipped_before_the_bundle_was_signed_is_told_by_its_manifest(
    waiting: Lab, tmp_path: Path, name: str
) -> None:
    """Whoever signs a release signs its manifest too, and the manifest says what every file is."""
    waiting.signed_bytes(rewritten(waiting.stored(1).read_bytes(), tmp_path, name, bit=5))
    assert waiting.fails(INTEGRITY).installed == 1
    waiting.offer(2)
    waiting.updates_to(2)


def test_a_bit_of_a_signed_archive_that_its_checksums_do_not_fit_is_not_unzipped(waiting: Lab) -> None:
    bundle = waiting.stored(1).read_bytes()
    for bit in bits("archive", bundle):
        waiting.signed_bytes(flipped(bundle, bit))
        assert waiting.fails(UNZIPPING).installed == 1, bit
    waiting.offer(2)
    waiting.updates_to(2)
