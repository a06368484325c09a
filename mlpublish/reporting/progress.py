"""Progress of long work: a bar in a terminal, a bar in a notebook, silence elsewhere; or whatever the caller wants.

It goes to stderr (or a notebook's cell), so a result on stdout stays alone. In a notebook it is plain HTML that is updated
in place: no widget extension has to be installed. When the work ends, well or with an error, the bar is gone.
MLPUBLISH_PROGRESS switches it off (``0``), or gives a line for each step where no bar can be (``1``).
"""

from __future__ import annotations

import html
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from mlpublish.errors import RecipeError
from mlpublish.formats.status import ProgressStatus, UpdateStatus
from mlpublish.reporting.text import one_line
from mlpublish.reporting.transfer import WORDS, say, size

Progress = bool | Callable[[str], None]
Tell = Callable[[str], None]

VARIABLE = "MLPUBLISH_PROGRESS"
_PAUSE = 0.1  # seconds between two pictures of the same step


class Steps:
    """Where work tells how far it is; this one keeps it to itself."""

    def __call__(self, sentence: str) -> None:
        """The step that begins now."""

    def part(self, done: int, total: int) -> None:
        """How many bytes of this step's are through; it may be told as often as there is news."""


_SHOWN: ContextVar[Steps | None] = ContextVar("mlpublish-progress", default=None)


@contextmanager
def shown(progress: Progress, *, steps: int | None) -> Iterator[Steps]:
    """Show how far work is. Work within other work that is shown has no bar of its own.

    Args:
        progress: False for silence, True for the bar that fits, or a function that is told each step's sentence.
        steps: how many there will be; None where nobody knows.

    Yields:
        What is told of the steps.

    Raises:
        RecipeError: MLPUBLISH_PROGRESS is neither 0 nor 1.
    """
    if progress is False or _SHOWN.get() is not None:
        yield Steps()
        return
    with _chosen(progress, steps) as telling:
        token = _SHOWN.set(telling)
        try:
            yield telling
        finally:
            _SHOWN.reset(token)


def on_bytes() -> Callable[[int, int], None]:
    """What bytes are told to (done, total), of the work that is shown around; any thread may call it.

    What sends them stands far below, and every contract in between would have to carry who looks on.
    """
    return (_SHOWN.get() or Steps()).part


class Transfer:
    """A listener of ``check()`` that tells its download and its unpacking as steps."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._phase: ProgressStatus | None = None

    def on_start(self, total: int) -> None:
        """The first progress says the same."""

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        if status is not self._phase:
            self._phase = status
            self._steps(f"{WORDS[status].capitalize()} {size(total)}")
        self._steps.part(done, total)

    def on_finish(self, status: UpdateStatus) -> None:
        """The result says it."""


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


@contextmanager
def _chosen(progress: Progress, steps: int | None) -> Iterator[Steps]:
    asked = os.environ.get(VARIABLE, "")
    if asked not in ("", "0", "1"):
        raise RecipeError(f"{VARIABLE}={asked} is neither 0 nor 1.", remedy="Set it to 0 or 1, or unset it.", field=VARIABLE)
    if callable(progress):
        yield _Told(progress)
    elif asked == "0":
        yield Steps()
    elif in_notebook():
        with _Cell(steps) as cell:
            yield cell
    elif sys.stderr is not None and sys.stderr.isatty():
        with _terminal(steps) as bar:
            yield bar
    elif asked == "1":
        yield _Told(lambda sentence: say(sys.stderr, f"{one_line(sentence)}\n"))
    else:
        yield Steps()


class _Told(Steps):
    """A function hears the sentences."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def __call__(self, sentence: str) -> None:
        self._tell(sentence)


class _Bar(Steps):
    """What both bars count: the steps that are behind, and how much of this one is through."""

    def __init__(self, steps: int | None) -> None:
        self._steps, self._begun = steps, 0
        self._sentence, self._drawn = "", 0.0

    def __call__(self, sentence: str) -> None:
        self._begun += 1
        self._sentence, self._drawn = one_line(sentence), time.monotonic()
        self._draw(self._begun - 1, self._sentence)

    def part(self, done: int, total: int) -> None:
        now = time.monotonic()
        if total > 0 and self._begun and now - self._drawn >= _PAUSE:
            self._drawn = now
            self._draw(self._begun - 1 + min(done / total, 1), f"{self._sentence} ({size(done)} of {size(total)})")

    def _draw(self, done: float, text: str) -> None:
        raise NotImplementedError


class _Cell(_Bar):
    """A cell's output that is drawn over itself, and is empty in the end; without a step there is none."""

    def __init__(self, steps: int | None) -> None:
        super().__init__(steps)
        self._handle: Any = None  # IPython is imported where it runs, and has no types

    def __enter__(self) -> _Cell:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.update({"text/plain": "", "text/html": ""}, raw=True)

    def _draw(self, done: float, text: str) -> None:
        there = "" if self._steps is None else f' max="{self._steps}" value="{done:.3f}"'
        picture = f'<progress{there} style="vertical-align:middle"></progress> <span>{html.escape(text)}</span>'
        content = {"text/plain": "", "text/html": picture}
        if self._handle is None:
            from IPython import display

            show: Any = display.display
            self._handle = show(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


class _InTerminal(_Bar):
    def __init__(self, steps: int | None, update: Callable[[float, str], None]) -> None:
        super().__init__(steps)
        self._update = update

    def _draw(self, done: float, text: str) -> None:
        self._update(done, text)


@contextmanager
def _terminal(steps: int | None) -> Iterator[Steps]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    told = TextColumn("{task.description}", markup=False)  # a name such as [/] is no markup
    columns = (SpinnerColumn(), BarColumn(bar_width=24), told, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=steps)
        yield _InTerminal(steps, lambda done, text: bar.update(task, completed=done, description=text))
