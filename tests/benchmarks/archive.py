"""A benchmark, run by hand: bundles are written, read and unpacked, each beside one plain sha256 pass over the same bytes.

    python tests/benchmarks/archive.py [--size 1G] [--rounds 5] [--folder DIR] [--json]

A figure of 1.0 means: as fast as ``hashlib.file_digest`` over the input, which the kernel holds in memory. What is written is
flushed to the disk of DIR within the time; with a DIR on a tmpfs (/dev/shm) there is no disk, so that is the time without it.
The plain pass takes one core and the others take two, so on a machine that others use put ``chrt -r 1`` before it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from mlpublish.artifacts import Bundle, ConvertedModel
from mlpublish.bundling.bundle import bundle
from mlpublish.formats.archive import Archive
from mlpublish.formats.evidence import Feature, Interface, Provenance
from mlpublish.formats.manifest import FileEntry
from mlpublish.trust.bundles import open_bundle

TARGETS = {"write, raw files": 0.65, "write, converted model": 0.9, "strict read": 0.8}
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def converted(weights: Path) -> ConvertedModel:
    """The file as a model that somebody converted before: its digest came with it."""
    return ConvertedModel(
        path=weights,
        name="large",
        kind="neuralNetwork",
        specification_version=4,
        precision="float32",
        interface=Interface(
            inputs=(Feature(name="input", kind="multiArray", shape=(1,)),),
            outputs=(Feature(name="prediction", kind="multiArray", shape=(1,)),),
        ),
        provenance=Provenance(framework="none", framework_version="0", source="random bytes"),
        parity=None,
        files=(FileEntry.of(PurePosixPath(weights.name), weights),),
    )


def plain(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read(made: Path) -> None:
    with made.open("rb") as stream:
        Archive.read(stream).digests()


def unpacked(made: Path, folder: Path) -> None:
    with made.open("rb") as stream:
        Archive.read(stream).unpack(folder)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(folder: Path, size: int, rounds: int) -> dict[str, list[float]]:
    """Ratios of a plain pass to each work, one per round; a plain pass is taken right before each."""
    weights = folder / "large.mlmodel"
    with weights.open("wb") as stream:
        for _ in range(size >> 20):
            stream.write(os.urandom(1 << 20))
    model, sha256, out = converted(weights), plain(weights), folder / "out"
    made = bundle(model, out=folder / "kept")

    def expect(written: Bundle) -> None:
        if sha256 not in {entry.sha256 for entry in written.manifest.files}:
            raise SystemExit(f"measured nothing: {written}")

    works: dict[str, Callable[[], object]] = {
        "write, raw files": lambda: expect(bundle(files=[weights], name="large", out=out)),
        "write, converted model": lambda: expect(bundle(model, out=out)),
        "strict read": lambda: read(made.path),
        "strict read, own sha256": lambda: expect(open_bundle(made.path)),
        "unpack": lambda: unpacked(made.path, out),
    }
    ratios: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            pass_ = timed(lambda: plain(weights))
            ratios[name].append(pass_ / timed(work))
            shutil.rmtree(out, ignore_errors=True)
    return ratios


def peak() -> float:
    """The most memory that this process ever held, in MB."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1000


def table(figures: dict[str, list[float]]) -> str:
    lines = [f"{'':<26}{'median':>8}{'best':>8}{'target':>8}"]
    for name, ratios in figures.items():
        lines.append(f"{name:<26}{statistics.median(ratios):>8.2f}{max(ratios):>8.2f}{TARGETS.get(name, ''):>8}")
    return "\n".join([*lines, f"peak memory {peak():.0f} MB, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1G", help="a number with K, M or G")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's folder for such things)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        figures = measure(Path(folder), int(given.size[:-1]) * UNITS[given.size[-1]], given.rounds)
    print(json.dumps({"ratios": figures, "peak_mb": peak()}) if given.json else table(figures))


if __name__ == "__main__":
    main()
