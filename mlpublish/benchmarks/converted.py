"""One conversion in a process of its own: ``python -m mlpublish.benchmarks.converted WHO FITTED OUT`` tells it as JSON.

FITTED is a pickle that ``bench_convert`` has written a moment before.
"""

from __future__ import annotations

import json
import pickle
import re
import sys
import time
from pathlib import Path
from typing import Any

from mlpublish.converting.quiet import silence


def by_us(model: Any, rows: Any, folder: Path) -> Path:
    """The whole of ``convert``: the file is written, run on the rows, and held against the model."""
    from mlpublish.converting.convert import convert

    return convert(model, name="ours", samples=rows, out=folder, progress=False).path


def by_coremltools(model: Any, rows: Any, folder: Path) -> Path:
    """coremltools' converter for the model's library, and its file saved; nothing is compared."""
    import coremltools

    library = type(model).__module__.partition(".")[0]
    if library not in ("sklearn", "xgboost"):
        raise ValueError(f"coremltools has no converter for {library}")
    names = [f"f{place}" for place in range(rows.shape[1])]
    made = getattr(coremltools.converters, library).convert(model, names, "target")
    made.save(str(folder / "theirs.mlmodel"))
    return folder / "theirs.mlmodel"


def resident() -> float:
    """The largest amount of memory that this process has held, in MB."""
    try:  # of this program alone; what getrusage tells begins with the parent's
        (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        return int(peak) / 1024
    except (OSError, ValueError):
        import resource

        unit = 1024**2 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main(who: str, fitted: str, out: str) -> None:
    """Convert once, and tell seconds, MB and the file's length; or why it does not work."""
    model, rows = pickle.loads(Path(fitted).read_bytes())  # noqa: S301  # our own, of a moment ago
    folder = Path(out)
    folder.mkdir()
    with silence():
        import coremltools  # noqa: F401  # what it takes to import is not the conversion's

        before, started = resident(), time.perf_counter()
        try:
            path = {"ours": by_us, "theirs": by_coremltools}[who](model, rows, folder)
        except Exception as exc:  # noqa: BLE001  # whatever it is, there is no file, and it is told
            told: dict[str, object] = {"refused": f"{type(exc).__name__}: {' '.join(str(exc).split())}"[:120]}
        else:
            seconds = time.perf_counter() - started
            files = [each for each in (path.rglob("*") if path.is_dir() else [path]) if each.is_file()]
            length = sum(each.stat().st_size for each in files)
            told = {"seconds": seconds, "peak_mb": resident(), "before_mb": before, "length": length}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
