"""Progress of long work: a bar in a terminal, a bar in a notebook, silence elsewhere; or whatever the caller wants.

It goes to stderr (or a notebook's cell), so a result on stdout stays alone. In a notebook it is plain HTML that is updated
in place: no widget extension has to be installed.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = bool | Callable[[str], None]
Tell = Callable[[str], None]


@contextmanager
def shown(progress: Progress, *, steps: int) -> Iterator[Tell]:
    """Show how far work of known steps is.

    Args:
        progress: False for silence, True for the bar that fits, or a function that is told each step's sentence.
        steps: how many times ``tell`` will be called.

    Yields:
        ``tell(sentence)``: the step that begins now.
    """
    if callable(progress):
        yield progress
    elif progress and in_notebook():
        with _cell(steps) as tell:
            yield tell
    elif progress and sys.stderr.isatty():
        with _terminal(steps) as tell:
            yield tell
    else:
        yield lambda _: None


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this code."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


@contextmanager
def _terminal(steps: int) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=steps)
        begun = False

        def tell(sentence: str) -> None:
            nonlocal begun
            bar.update(task, description=sentence, advance=1 if begun else 0)
            begun = True

        yield tell


@contextmanager
def _cell(steps: int) -> Iterator[Tell]:
    from IPython import display

    show: Any = display.display
    page: Any = display.HTML
    handle = show(page(""), display_id=True)
    done = 0

    def tell(sentence: str) -> None:
        nonlocal done
        handle.update(page(f'<progress max="{steps}" value="{done}"></progress> {html.escape(sentence)}'))
        done += 1

    try:
        yield tell
    finally:
        handle.update(page(""))
