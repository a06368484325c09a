"""A disk that fills up under a publisher or an operator: one clear error, the old state current, and on with it afterwards.

Each round has a page more than the last, so that the disk is full at one write after the other: the bundle or the channel
file, the role, what is written beside it, the snapshot, the timestamp.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROUNDS = """
import json, shutil, sys
from pathlib import Path
from prepared import DEVICES, State

base, disk, line = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
outside = State(base)  # the devices have a disk of their own
failed = []
for free in range(0, 2 << 20, int(sys.argv[4])):
    state = State(Path(shutil.copytree(base, disk / "state")))
    before, filler = state.head().tag, disk / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            stream.truncate(max(0, filler.stat().st_size - free))
    code, told = state.told(line)
    if code == 0:
        break
    now = "old" if state.head().tag == before else "new"
    state.assert_readable()
    device = base.parent / "device"
    shutil.copytree(base / "old", device)
    from mlpublish.checking.check import check
    from prepared import APP
    status = check(APP, at=state.root / "dev", device=device).status.value
    shutil.rmtree(device)
    filler.unlink()
    failed.append([code, told, now, status, state.run(line), len(state.head().releases), state.offered()])
    shutil.rmtree(state.root)
print(json.dumps(failed))
"""
