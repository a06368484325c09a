"""Alter many models and see that each works or is refused: ``python -m tests.fuzz.coreml --count 200000``.

Anything else is a finding: another exception than MlpublishError, more than 5 s, more than 2 GiB, a crash. Its seed is
printed; ``--replay SEED`` plays it again in this process, ``--keep DIR`` keeps its file (``tests/fuzz/kept`` is played by the
test suite).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

from tests.fuzz import workers
from tests.fuzz.altering import Altering
from tests.fuzz.corpus import corpus, fingerprint
from tests.fuzz.sample import Sample


def main(arguments: list[str] | None = None) -> int:
    """0 if nothing was found, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.coreml", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=200_000, help="altered files to play")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; the others follow it")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--keep", type=Path, help="a folder for the files of findings, one of each kind")
    parser.add_argument("--replay", type=int, help="play this seed alone, here")
    told = parser.parse_args(arguments)
    samples = corpus()
    altering = Altering(samples)
    print(f"{len(samples)} samples ({fingerprint(samples)}), {len(altering.known_classes)} classes of fields", flush=True)
    if told.replay is not None:
        return _replay(altering, told.replay, told.keep)
    began = time.monotonic()
    notes = _Notes(altering, told.keep)
    tally = workers.run(
        altering, told.seed, told.count, jobs=told.jobs, progress=lambda tally: _progress(tally, began), found=notes.found
    )
    _progress(tally, began)
    reached = altering.classes & altering.known_classes
    print(f"{len(reached)} of {len(altering.known_classes)} classes of fields were altered")
    for place, count in notes.kinds.most_common():
        print(f"{count} x {place}")
    return 1 if tally.findings else 0


def _progress(tally: workers.Tally, began: float) -> None:
    rate = tally.played / max(time.monotonic() - began, 1e-9)
    came = ", ".join(f"{count} {name}" for name, count in sorted(tally.outcomes.items()))
    print(f"{tally.played} files, {rate:.0f}/s: {came}; {len(tally.findings)} findings", flush=True)


class _Notes:
    """Tells the first finding of each kind, and keeps its file."""

    def __init__(self, altering: Altering, keep: Path | None) -> None:
        self._altering = altering
        self._keep = keep
        self.kinds: Counter[str] = Counter()

    def found(self, finding: workers.Finding) -> None:
        self.kinds[finding.place] += 1
        if self.kinds[finding.place] > 1:
            return
        print(
            f"FOUND {finding.what}\n  {finding.place}\n  {finding.sample}; python -m tests.fuzz.coreml --replay {finding.seed}",
            flush=True,
        )
        if self._keep is not None:
            kept(self._altering.altered(finding.seed), finding.seed, self._keep)


def _replay(altering: Altering, seed: int, keep: Path | None) -> int:
    sample = altering.altered(seed)
    if keep is not None:
        print(kept(sample, seed, keep))
    with tempfile.TemporaryDirectory() as folder:
        got = workers.judged(sample, seed, Path(folder))
    print(f"{sample.name}: {got if isinstance(got, str) else got.what}")
    if isinstance(got, str):
        return 0
    print(got.detail)
    return 1


def kept(sample: Sample, seed: int, folder: Path) -> Path:
    """Keep an altered sample as a zip; links are kept as text."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{seed}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(sample.files.items()):
            archive.writestr(zipfile.ZipInfo("/".join(filter(None, ("files", sample.root, name)))), data, zipfile.ZIP_DEFLATED)
        for name, target in sorted(sample.links.items()):
            archive.writestr(zipfile.ZipInfo(f"links/{sample.root}/{name}"), target)
    return path


def opened(path: Path) -> Sample:
    """What ``kept`` kept."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    root = ""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            sort, root, *rest = entry.filename.split("/")
            data = archive.read(entry)
            if sort == "files":
                files["/".join(rest)] = data
            else:
                links["/".join(rest)] = data.decode()
    return Sample(name=path.stem, root=root, files=files, links=links)


if __name__ == "__main__":
    sys.exit(main())
