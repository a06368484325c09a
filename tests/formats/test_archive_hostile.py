"""Archives that other readers take, or that would take a reader apart, are refused with one error (tests/hostile_zips.py)."""

from __future__ import annotations

import io
import resource
from pathlib import Path

import pytest

from mlpublish.errors import BundleError
from mlpublish.formats.archive import Archive
from tests.hostile_zips import CORPUS, A, B, zipped


def test_the_corpus_is_made_of_bent_copies_of_an_archive_that_is_taken() -> None:
    archive = Archive.read(io.BytesIO(zipped(A, B)))
    assert archive.digests().keys() == {"a", "b"}


@pytest.mark.parametrize("defect", CORPUS)
def test_is_refused(tmp_path: Path, defect: str) -> None:
    data = CORPUS[defect]()
    with pytest.raises(BundleError) as caught:
        Archive.read(io.BytesIO(data)).unpack(tmp_path / "new")
    assert caught.value.remedy


def test_a_claim_takes_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for defect in ("size-claim", "count-claim", "directory-size-claim", "zip64-lengths-overflow"):
        with pytest.raises(BundleError):
            Archive.read(io.BytesIO(CORPUS[defect]()))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB
