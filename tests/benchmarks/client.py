"""A benchmark, run by hand: a check of one large release, in turn with what a shell would do for it.

    python tests/benchmarks/client.py [--megabytes 1000] [--files 1] [--rounds 5] [--folder DIR] [--json]

A check (a process of its own, self-test off) asks, downloads, verifies, unpacks, flushes to the disk and swaps. The shell's
way is ``curl -o``, ``sha256sum`` and ``unzip`` of the same bundle from the same server; it flushes nothing, so what a
``sync`` after it takes is told apart. The target: the shell's time is at least 0.7 of the check's, in at most 80 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpublish.artifacts import App
from mlpublish.bundling.bundle import bundle
from mlpublish.formats.channel import bundle_path
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.repository.development import Development
from mlpublish.signing.sign import sign
from mlpublish.trust import roles

APP = App(id="com.acme.large", version="1.0")
PIECE = 1 << 20  # bytes
# VmHWM and not getrusage: what that calls the peak of a process is also the peak of the one that started it
CLIENT = """
import json, re, sys
from pathlib import Path
from mlpublish.checking.check import check
at, device, root, tested = sys.argv[1:]
report = check("com.acme.large", app_version="1.0", at=at, device=device, root=root, self_test=tested == "tested")
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
told = {"peak": int(peak) * 1024, "modules": [name for name in sys.modules if "." not in name]}
print(json.dumps(report.to_dict() | told))
"""


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A served release, and a folder to bring it to.

    Args:
        url: the server's.
        path: the bundle's, on the server.
        length: the bundle's, in bytes.
    """

    folder: Path
    development: Development
    url: str
    path: str
    sha256: str
    length: int

    @property
    def phone(self) -> Path:
        return self.folder / "phone"

    def check(self, *, self_test: bool = False) -> dict[str, Any]:
        """A check in a process of its own: its report, its peak in bytes, the modules that it had loaded."""
        root = self.development.repository / APP.id / "metadata" / "1.root.json"
        words = [sys.executable, "-c", CLIENT, self.url, self.phone, root, "tested" if self_test else "untested"]
        ran = subprocess.run(list(map(str, words)), check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        told: dict[str, Any] = json.loads(ran.stdout)
        expect((told["status"], told["installed"]), ("SUCCESS", 1))
        return told

    def shell(self) -> None:
        """curl, sha256sum and unzip, one after the other."""
        zip_, out = self.folder / "shell.zip", self.folder / "shell"
        for words in (
            ["curl", "--silent", "--fail", "--output", zip_, f"{self.url}/apps/{APP.id}/{self.path}"],
            ["sha256sum", "--check", "--quiet", self._sum(zip_)],
            ["unzip", "-qq", zip_, "-d", out],
        ):
            subprocess.run(list(map(str, words)), check=True, stdin=subprocess.DEVNULL)

    def clean(self) -> None:
        """A fresh start for the next in turn, with nothing waiting to be written."""
        for each in (self.phone, self.folder / "shell"):
            shutil.rmtree(each, ignore_errors=True)
        (self.folder / "shell.zip").unlink(missing_ok=True)
        os.sync()

    def _sum(self, file: Path) -> Path:
        sums = self.folder / "sums"
        sums.write_text(f"{self.sha256}  {file}\n")
        return sums


@contextmanager
def lab(folder: Path, *, megabytes: int, files: int) -> Iterator[Lab]:
    """One release of so many files of random bytes, published and served."""
    parts = [folder / "parts" / f"weights-{number}.bin" for number in range(files)]
    parts[0].parent.mkdir()
    for part in parts:
        with part.open("wb") as stream:
            for _ in range(max(megabytes // files, 1)):
                stream.write(os.urandom(PIECE))
    development = Development.make(folder / "server")
    made = bundle(files=parts, name="weights", out=folder / "bundles")
    release = sign(made, repository=development.folder, app=APP, out=folder / "signed")
    publish(release, to=development.folder)
    channels.set(APP.id, to=development.folder, app_version=APP.version, release=1)
    for left in ("parts", "bundles", "signed"):
        shutil.rmtree(folder / left)
    target = development.app(APP.id).head().targets.signed.targets[bundle_path(1)]
    with served(development.folder) as url:
        yield Lab(
            folder=folder,
            development=development,
            url=url,
            path=roles.stored_at(target),
            sha256=made.sha256,
            length=made.length,
        )


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The real server as a process of its own; gives its URL."""
    command = [sys.executable, "-m", "mlpublish", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(one: Lab, rounds: int) -> dict[str, float]:
    """The check and the shell in turn; medians."""
    reports: list[Mapping[str, Any]] = []
    seconds: dict[str, list[float]] = {"check": [], "shell": [], "sync": []}
    for _ in range(rounds):
        one.clean()
        seconds["check"].append(timed(lambda: reports.append(one.check())))
        one.clean()
        seconds["shell"].append(timed(one.shell))
        seconds["sync"].append(timed(os.sync))
    one.clean()
    one.check()
    nothing_new = one.check()
    phases = nothing_new["phases"].values()
    return {
        "bytes": one.length,
        "rounds": rounds,
        **{f"{name}_s": statistics.median(each) for name, each in seconds.items()},
        **{
            f"{name}_s": statistics.median(each["phases"][name]["seconds"] for each in reports)
            for name in ("download", "unzip")
        },
        "ratio": statistics.median(seconds["shell"]) / statistics.median(seconds["check"]),
        "peak_bytes": max(each["peak"] for each in reports),
        "nothing_new_requests": sum(phase["requests"] for phase in phases),
        "nothing_new_bytes": sum(phase["received"] for phase in phases),
    }


def expect(found: object, wanted: object) -> None:
    """A figure of something that went wrong is none."""
    if found != wanted:
        raise SystemExit(f"measured nothing: {found!r}"[:1000])


def table(figures: Mapping[str, float]) -> str:
    shown = {
        "check": f"{figures['check_s']:.2f} s (download {figures['download_s']:.2f} s, unzip {figures['unzip_s']:.2f} s)",
        "curl, sha256sum, unzip": f"{figures['shell_s']:.2f} s, and a sync {figures['sync_s']:.2f} s",
        "ratio": f"{figures['ratio']:.2f} (target: at least 0.7)",
        "peak of the check": f"{figures['peak_bytes'] / 1e6:.0f} MB (target: at most 80)",
        "nothing new": f"{figures['nothing_new_requests']:.0f} requests, {figures['nothing_new_bytes']:.0f} bytes of bodies",
    }
    lines = [f"a bundle of {figures['bytes'] / 1e6:.0f} MB, medians of {figures['rounds']:.0f} rounds"]
    return "\n".join(lines + [f"{name:<24}{value}" for name, value in shown.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work (by default the temporary folder)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=given.folder) as folder,
        lab(Path(folder), megabytes=given.megabytes, files=given.files) as one,
    ):
        figures = measure(one, given.rounds)
    print(json.dumps(figures) if given.json else table(figures))


if __name__ == "__main__":
    main()
