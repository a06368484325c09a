"""What every attack begins with: an app's repository as a production one is held, a web, and a phone with a history."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpublish.artifacts import App, Bundle
from tests.simulator import Simulator, new_pin
from tests.web import Web


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "served").mkdir()
    one = Web(tmp_path / "served")
    yield one
    one.close()


@pytest.fixture
def new_lab(tmp_path: Path, web: Web, app: App, new_bundle: Callable[..., Bundle]) -> Callable[..., Simulator]:
    """Makes a repository; ``keys=`` shares somebody's, ``pin=`` co-signs its first root."""

    count = itertools.count()

    def made(of: App = app, **keywords: Any) -> Simulator:
        return Simulator(tmp_path / f"lab-{next(count)}", of, web, new_bundle, **keywords)

    return made


@pytest.fixture
def lab(new_lab: Callable[..., Simulator]) -> Simulator:
    return new_lab()


@pytest.fixture
def seasoned(lab: Simulator) -> Simulator:
    """Releases 1 and 2 came and went through the phone; 2 is in use."""
    for number in (1, 2):
        lab.release()
        lab.updates_to(number)
    return lab


@pytest.fixture
def pinned(new_lab: Callable[..., Simulator]) -> Simulator:
    """An app that pins one RSA key, which co-signed the first root; release 1 waits."""
    lab = new_lab(pin=new_pin())
    lab.release()
    return lab
