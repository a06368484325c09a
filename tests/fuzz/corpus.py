"""Small models of every kind: built once by coremltools, kept in one file.

To build them anew: ``python -m tests.fuzz.corpus [BEGINNING OF A NAME…]``. Seeds from before then stand for other files.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from mlpublish.coreml import golden
from mlpublish.coreml.compare import Answers
from mlpublish.coreml.package import normalise
from tests.fuzz import classics, networks, programs
from tests.fuzz.sample import Sample, read

FILE = Path(__file__).with_name("corpus.zip")
"""The samples as they were built last: a seed speaks of these very bytes."""


def corpus() -> tuple[Sample, ...]:
    """All samples, by name, out of the file that ``python -m tests.fuzz.corpus`` wrote."""
    found: dict[str, dict[str, bytes]] = {}
    with zipfile.ZipFile(FILE) as archive:
        for entry in archive.infolist():
            name, _, file = entry.filename.partition("/")
            found.setdefault(name, {})[file] = archive.read(entry)
    return tuple(_sample(name, files) for name, files in sorted(found.items()))


def _sample(name: str, files: dict[str, bytes]) -> Sample:
    (root,) = {file.partition("/")[0] for file in files}
    return Sample(name=name, root=root, files={file.partition("/")[2]: data for file, data in files.items()})


def write(*beginnings: str) -> tuple[Sample, ...]:
    """Build all samples with coremltools, anew; or only those whose names begin so."""
    found = {each.name: each for each in corpus() if beginnings and not each.name.startswith(beginnings)}
    with tempfile.TemporaryDirectory() as folder:
        found |= {each.name: each for each in (*_written(Path(folder), beginnings), *_golden(Path(folder)))}
    with zipfile.ZipFile(FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, each in sorted(found.items()):
            for file, data in sorted(each.files.items()):
                entry = zipfile.ZipInfo("/".join(filter(None, (name, each.root, file))))
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return corpus()


def fingerprint(samples: tuple[Sample, ...]) -> str:
    """What a seed speaks of: the same seed alters the same model only in the same corpus."""
    digest = hashlib.sha256()
    for each in samples:
        for name, data in sorted(each.files.items()):
            digest.update(f"{each.name}\0{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:12]


def _written(folder: Path, beginnings: tuple[str, ...]) -> Iterator[Sample]:
    logging.getLogger("coremltools").setLevel(logging.CRITICAL)
    makers: Mapping[str, Callable[[Path], Path]] = {
        **programs.operations(),
        **programs.SPECIAL,
        **classics.STAGES,
        **networks.NETWORKS,
    }
    for place, (name, make) in enumerate(sorted(makers.items())):
        if beginnings and not name.startswith(beginnings):
            continue
        here = folder / str(place)
        here.mkdir()
        try:
            path = make(here)
        except (AssertionError, NotImplementedError, RuntimeError, TypeError, ValueError) as exc:  # coremltools cannot write it
            print(f"{name} is left out: {exc}")
            continue
        normalise(path)
        yield read(name, path)


def _golden(folder: Path) -> Iterator[Sample]:
    inputs = {"input": np.arange(12, dtype=np.float32).reshape(3, 4), "text": np.asarray(["a", "b", "c"])}
    outputs = {"label": np.asarray(["no", "yes", "no"]), "share": np.ones((3, 2)), "number": np.arange(3)}
    golden.write(folder / "golden", inputs, Answers(outputs=outputs, classes=("no", "yes"), scores=("share",)))
    yield read("golden data", folder / "golden")


if __name__ == "__main__":
    print(f"{len(write(*sys.argv[1:]))} samples, {FILE.stat().st_size} bytes")
