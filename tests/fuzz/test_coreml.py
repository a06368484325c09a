"""Altered models of every kind work or are refused; a bounded part of what ``python -m tests.fuzz.coreml`` does."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import numpy as np
import pytest

from mlpublish.errors import FormatError
from tests.fuzz import playing, workers
from tests.fuzz.altering import Altering
from tests.fuzz.coreml import kept, main, opened
from tests.fuzz.corpus import corpus
from tests.fuzz.sample import Sample

KEPT = sorted((Path(__file__).parent / "kept").glob("*.zip"))


@pytest.fixture(scope="module")
def altering() -> Altering:
    return Altering(corpus())


class Given:
    """Files that are there already, each played with both backends."""

    def __init__(self, samples: list[Sample]) -> None:
        self.classes: set[str] = set()
        self._samples = samples

    def altered(self, seed: int) -> Sample:
        return self._samples[seed // 2]


def _findings(source: workers.Source, first: int, count: int, jobs: int = 2) -> list[str]:
    tally = workers.run(source, first, count, jobs=jobs)
    assert tally.played == count
    return [f"{each.sample} {each.seed}: {each.what}\n{each.detail}" for each in tally.findings]


def test_altered_models_work_or_are_refused(altering):
    assert _findings(altering, 1_000_000, 1_500) == []


def test_what_was_found_once_works_or_is_refused():
    assert _findings(Given([opened(path) for path in KEPT]), 0, 2 * len(KEPT)) == []


def test_samples_work_as_they_are(altering):
    source = Given(list(corpus()))
    tally = workers.run(source, 0, 2 * len(corpus()), jobs=2)
    assert tally.findings == []
    assert tally.outcomes["ran"] > 0.98 * tally.played, tally.outcomes


def test_a_seed_gives_the_same_file_again_and_what_is_kept_is_read_back(altering, tmp_path):
    for seed in range(40):
        sample = altering.altered(seed)
        back = opened(kept(sample, seed, tmp_path))
        assert (back.root, back.files, back.links) == (sample.root, sample.files, sample.links)


def _raise(_: Path) -> None:
    raise KeyError("x")


def _hide(_: Path) -> None:
    try:
        np.ones(1 << 40)
    except MemoryError as exc:
        raise FormatError("broken", remedy="none") from exc


def _spin(_: Path) -> None:
    while True:
        pass


def _sleep(_: Path) -> None:
    time.sleep(600)


def _crash(_: Path) -> None:
    ctypes.string_at(0)


@pytest.mark.parametrize(
    ("fault", "named"),
    [(_raise, "KeyError"), (_hide, "Hidden"), (_spin, "more than"), (_sleep, "hang"), (_crash, "crash: SIGSEGV")],
)
def test_a_fault_is_found(altering, monkeypatch, fault, named):
    monkeypatch.setattr(playing, "_play", lambda path, *_: fault(path))
    monkeypatch.setattr(workers, "CPU_SECONDS", 0.2)
    monkeypatch.setattr(workers, "HANG_SECONDS", 0.5 if named == "hang" else 60)
    found = _findings(altering, 0, 3, jobs=1)
    assert len(found) == 3
    assert all(named in each for each in found)


def test_the_command_replays_a_seed(capsys):
    assert main(["--replay", "3"]) == 0
    assert "samples (" in capsys.readouterr().out
