"""The progress of a check: a line with speed and time left on a terminal, a line for each of the two elsewhere."""

from __future__ import annotations

import io

import pytest

from mlpublish.formats.status import ProgressStatus, UpdateStatus
from mlpublish.reporting.transfer import Lines, TerminalLine, size

DOWNLOAD, UNZIP = ProgressStatus.DOWNLOAD_IN_PROGRESS, ProgressStatus.UNZIP_IN_PROGRESS


def drawn(told: list[tuple[float, ProgressStatus, int, int]]) -> list[str]:
    """What a terminal shows, one picture after the other, when progress is told at these seconds."""
    stream, times = io.StringIO(), iter([at for at, *_ in told])
    line = TerminalLine(stream, clock=lambda: next(times))
    line.on_start(told[0][2])
    for _, status, total, done in told:
        line.on_progress(status, total, done)
    line.on_finish(UpdateStatus.SUCCESS)
    return stream.getvalue().split("\r\033[K")[1:]


def test_speed_and_time_left_are_those_of_what_came_now() -> None:
    """60 MB lay there from an earlier check."""
    assert drawn([(0.0, DOWNLOAD, 160_000_000, 60_000_000), (2.0, DOWNLOAD, 160_000_000, 80_000_000)]) == [
        "downloading  37 % of 160.0 MB",
        "downloading  50 % of 160.0 MB, 10.0 MB/s, 0:08 left",
        "",
    ]


def test_each_of_the_two_has_its_own_speed() -> None:
    pictures = drawn(
        [(0.0, DOWNLOAD, 100, 0), (1.0, DOWNLOAD, 100, 100), (5.0, UNZIP, 7_200_000, 1000), (6.0, UNZIP, 7_200_000, 2000)]
    )
    assert pictures[2:] == ["unzipping   0 % of 7.2 MB", "unzipping   0 % of 7.2 MB, 1.0 kB/s, 1:59:58 left", ""]


def test_a_fast_transfer_draws_ten_times_a_second_and_its_end() -> None:
    steps = [(number / 1000, DOWNLOAD, 1000, number) for number in range(1001)]
    pictures = drawn(steps)
    assert len(pictures) <= 13
    assert pictures[-2].startswith("downloading 100 %")


def test_an_empty_file_is_drawn_too() -> None:
    assert drawn([(0.0, UNZIP, 0, 0)]) == ["unzipping   0 % of 0 bytes", ""]


def test_where_nothing_came_the_terminal_stays_as_it_is() -> None:
    stream = io.StringIO()
    TerminalLine(stream).on_finish(UpdateStatus.CANCELED)
    assert stream.getvalue() == ""


def test_without_a_terminal_each_of_the_two_is_one_line() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.on_start(4096)
    for status in (DOWNLOAD, UNZIP):
        for done in range(0, 4097, 1024):
            lines.on_progress(status, 4096, done)
    lines.on_finish(UpdateStatus.SUCCESS)
    assert stream.getvalue() == "DOWNLOAD_IN_PROGRESS: downloading 4.1 kB\nUNZIP_IN_PROGRESS: unzipping 4.1 kB\n"


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_terminal_that_is_gone_takes_nothing_from_the_check() -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (Gone(), closed):
        for listener in (Lines(stream), TerminalLine(stream)):
            listener.on_progress(DOWNLOAD, 10, 1)
            listener.on_finish(UpdateStatus.SUCCESS)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2 * 10**12, "2.0 TB"),
    ],
)
def test_sizes_are_read_in_powers_of_a_thousand(count: int, shown: str) -> None:
    assert size(count) == shown
