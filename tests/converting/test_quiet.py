"""What importing a noisy library must not take with it."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress

import pytest

from mlpublish.converting.quiet import signals_held


@pytest.fixture
def heard():
    """Ctrl-C as a program in the foreground has it: a shell's background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_under_a_bare_except_comes_afterwards():
    before = signal.getsignal(signal.SIGINT)
    went_on = []

    def imported() -> None:
        with signals_held():
            with suppress(BaseException):  # as coremltools does around what is optional
                signal.raise_signal(signal.SIGINT)
            went_on.append(True)

    with pytest.raises(KeyboardInterrupt):
        imported()
    assert went_on
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_nothing_is_held():
    ended = []

    def work() -> None:
        with signals_held():
            ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended
