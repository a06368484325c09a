"""Work beside the reader: in order, bounded, its exceptions passed on, and no thread left behind however it ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mlpublish.formats.lanes import Lane, NewFile

LimitFiles = Callable[[int], AbstractContextManager[None]]


def test_the_pieces_are_done_in_order_and_all_of_them() -> None:
    done: list[int] = []
    with Lane() as lane:
        for number in range(100):
            lane.do(done.append, number)
    assert done == list(range(100))


def test_an_exception_of_the_work_comes_out_and_ends_it() -> None:
    with pytest.raises(ZeroDivisionError), Lane() as lane:  # at the block's end, if nothing follows
        lane.do(divmod, 1, 0)
    done: list[int] = []

    def go_on() -> None:
        with Lane() as lane:
            lane.do(divmod, 1, 0)
            for number in range(100):
                lane.do(done.append, number)

    with pytest.raises(ZeroDivisionError):
        go_on()
    assert len(done) < 100


def test_no_more_than_a_few_pieces_wait() -> None:
    may_go_on, started, handed = threading.Event(), threading.Event(), list[int]()

    def hand_over() -> None:
        with Lane() as lane:
            for number in range(50):
                lane.do(lambda: (started.set(), may_go_on.wait()))
                handed.append(number)

    reader = threading.Thread(target=hand_over)
    reader.start()
    assert started.wait(30)
    reader.join(0.2)
    assert len(handed) <= 8
    may_go_on.set()
    reader.join()
    assert len(handed) == 50


def test_a_block_that_fails_drops_what_waits_and_tells_the_piece_that_runs() -> None:
    done: list[str] = []

    def long_piece(lane: Lane) -> None:
        assert lane.dropped.wait(30)
        done.append("told")

    def interrupted() -> None:
        with Lane() as lane:
            lane.do(long_piece, lane)
            lane.do(done.append, "waited")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["told"]


def test_a_new_file_holds_what_was_written_and_replaces_none(tmp_path: Path) -> None:
    piece = os.urandom(1 << 20)
    with NewFile(tmp_path / "new") as file:
        for _ in range(65):  # so much that a flush has begun before the end
            file.write(piece)
        assert file.length == 65 << 20
    assert (tmp_path / "new").read_bytes() == piece * 65
    with pytest.raises(FileExistsError):
        NewFile(tmp_path / "new")


def test_a_disk_that_refuses_is_told_and_leaves_no_thread(tmp_path: Path, files_of_at_most: LimitFiles) -> None:
    def write() -> None:
        with NewFile(tmp_path / "new") as file:
            for _ in range(100):
                file.write(bytes(1 << 20))

    with files_of_at_most(70 << 20), pytest.raises(OSError, match="File too large"):
        write()
