"""A command on a disk that is full but for a few pages, one more in each round: ``full_disk.py BASE DISK LINE FIRST LAST``.

Run it where DISK is a small file system of its own. Printed is one JSON object per round in which the command failed, and
"enough" after the first one in which it succeeded, which is the last.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from prepared import APP, State

from mlpublish.checking.check import check

PAGE = 4096  # bytes


def fill(disk: Path, free: int) -> Path:
    """Leave so many bytes; give the file that takes the rest."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(PAGE))
        except OSError:
            stream.truncate(filler.stat().st_size - free)
    return filler


def checked(state: State, scratch: Path) -> str:
    """How a check ends of a device whose own disk has room."""
    device = Path(shutil.copytree(state.root / "old", scratch / "device"))
    try:
        return check(APP, at=state.root / "dev", device=device).status.value
    finally:
        shutil.rmtree(device)


def main(base: Path, disk: Path, line: str, first: int, last: int) -> None:
    for pages in range(first, last + 1):
        state = State(Path(shutil.copytree(base, disk / "state", ignore=shutil.ignore_patterns("parts"))))
        current = state.head().tag
        filler = fill(disk, pages * PAGE)
        code, _, told = state.told(line)
        if code == 0:
            print(json.dumps("enough"))
            return
        state.assert_readable()
        round_ = {"code": code, "told": told, "moved": state.head().tag != current, "device": checked(state, base.parent)}
        filler.unlink()
        again = {"again": state.run(line), "releases": len(state.head().releases), "offered": state.offered()}
        print(json.dumps(round_ | again), flush=True)
        shutil.rmtree(state.root)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
