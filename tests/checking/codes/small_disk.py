"""Checks on a device whose disk fills up: ``small_disk.py AT ROOT SEED DISK WHEN LAST``.

Run it where DISK is a small file system of its own and SEED a device that has release 1. In each round somebody else fills
the disk at the moment WHEN but for so many pages, 0 to LAST. Printed is one JSON object per round that did not end in
SUCCESS, and "enough" after the first one that did, which is the last.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from mlpublish.artifacts import App
from mlpublish.checking.check import check
from mlpublish.formats.status import ProgressStatus, UpdateStatus
from mlpublish.formats.wire import digest_of

APP = App(id="com.acme.digits", version="2.0")
PAGE = 4096  # bytes


@dataclass
class Filler:
    """Takes all of a disk but for some pages, as a listener that waits for its moment: start, downloading, unzipping, swap."""

    file: Path
    when: str
    pages: int

    def fill(self) -> None:
        if self.file.exists():
            return
        with self.file.open("wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(PAGE))
            except OSError:
                stream.truncate(max(self.file.stat().st_size - self.pages * PAGE, 0))

    def on_start(self, total: int) -> None:
        if self.when == "start":
            self.fill()

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        downloading = status is ProgressStatus.DOWNLOAD_IN_PROGRESS
        if self.when == ("downloading" if downloading else "swap" if done == total else "unzipping"):
            self.fill()

    def on_finish(self, status: UpdateStatus) -> None:
        """The disk stays as it is."""


def files_in(folder: Path) -> dict[str, str]:
    return {str(file): digest_of(file.read_bytes()) for file in folder.rglob("*") if file.is_file()}


def main(at: str, root: str, seed: Path, disk: Path, when: str, last: int) -> None:
    phone = disk / "phone"
    for pages in range(last + 1):
        if when != "fresh":
            shutil.copytree(seed, phone, ignore=shutil.ignore_patterns("metadata.new"))
        before = files_in(phone / "releases")
        filler = Filler(disk / "filler", when, pages)
        if when in ("before", "fresh"):
            filler.fill()
        report = check(APP, at=at, device=phone, root=root, listener=filler)
        if report.status is UpdateStatus.SUCCESS:
            print(json.dumps("enough"))
            return
        told = {"status": report.status.value, "installed": report.installed, "told": report.detail}
        whole = before.items() <= files_in(phone / "releases").items()
        filler.file.unlink()
        again = check(APP, at=at, device=phone, root=root)
        print(json.dumps(told | {"whole": whole, "again": [again.status.value, again.installed]}), flush=True)
        shutil.rmtree(phone)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5], int(sys.argv[6]))
