"""What the tests of every room share: a quiet environment, small models and bundles, a development repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from mlpublish.artifacts import App, Bundle, ConvertedModel, Release
from mlpublish.bundling.bundle import bundle
from mlpublish.formats.channel import Channel
from mlpublish.formats.evidence import Feature, Interface, ParityReport, Provenance, Tolerance
from mlpublish.formats.manifest import MANIFEST_PATH, FileEntry
from mlpublish.formats.wire import digest_of
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Commit, Edit
from mlpublish.signing.sign import describe, sign
from mlpublish.trust import roles
from mlpublish.trust.model_signature import contents_of
from tests.production import Production

APP = App(id="com.acme.digits", version="2.0")


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting of the machine reaches a test, and no device of it is touched."""
    for name in [name for name in os.environ if name.startswith("MLPUBLISH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def app() -> App:
    return APP


def files_of(model: Path) -> tuple[FileEntry, ...]:
    """What a converted model says of its files: a package's by their place in it, a single one by its name."""
    files = [file for file in sorted(model.rglob("*")) if file.is_file()] if model.is_dir() else [model]
    base = model if model.is_dir() else model.parent
    return tuple(
        FileEntry(path=PurePosixPath(file.relative_to(base)), length=file.stat().st_size, sha256=digest_of(file.read_bytes()))
        for file in files
    )


@pytest.fixture
def new_model(tmp_path: Path) -> Callable[..., ConvertedModel]:
    """Makes a converted model whose file has this content; streets carry it, nobody here runs it."""

    def made(name: str = "digits", content: bytes = b"weights", **changes: Any) -> ConvertedModel:
        folder = tmp_path / "models" / digest_of(content)[:12]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.mlmodel"
        path.write_bytes(content)
        fields: dict[str, Any] = {
            "path": path,
            "name": name,
            "kind": "pipelineClassifier",
            "specification_version": 4,
            "precision": "double",
            "interface": Interface(
                inputs=(Feature(name="input", kind="multiArray", shape=(64,)),),
                outputs=(Feature(name="classLabel", kind="int64", dtype="int64"),),
            ),
            "provenance": Provenance(framework="scikit-learn", framework_version="1.9.0", source="LogisticRegression"),
            "parity": ParityReport(
                samples=8,
                max_abs_diff=1e-7,
                max_rel_diff=2e-7,
                label_agreement=1.0,
                tolerance=Tolerance(rel=1e-4),
                executor="mlpublish evaluator 0.1.0",
            ),
        } | changes
        golden = fields.get("golden")
        kept = () if golden is None else tuple(FileEntry.of(PurePosixPath(file.name), file) for file in golden.iterdir())
        return ConvertedModel(**({"files": files_of(fields["path"]), "evidence": kept} | fields)).write()

    return made


@pytest.fixture
def new_bundle(tmp_path: Path, new_model: Callable[..., ConvertedModel]) -> Callable[..., Bundle]:
    """Makes a bundle of one model with this content."""

    def made(content: bytes = b"weights", **keywords: Any) -> Bundle:
        return bundle(new_model(content=content), **({"out": tmp_path / "bundles"} | keywords))

    return made


@pytest.fixture
def development(tmp_path: Path) -> Development:
    """A development repository, with one key per role and no app yet."""
    return Development.make(tmp_path / "dev")


@pytest.fixture
def production(tmp_path: Path, new_bundle: Callable[..., Bundle]) -> Production:
    """A production place that several people hold, with no app yet."""
    (tmp_path / "keys").mkdir()
    folder = tmp_path / "production"
    made = Production(folder=folder, keys=tmp_path / "keys", new_bundle=new_bundle, at=f"file:{folder}")
    made.make()
    return made


@pytest.fixture
def new_release(tmp_path: Path, development: Development, new_bundle: Callable[..., Bundle]) -> Callable[..., Release]:
    """Signs a bundle of one model with this content in the development repository."""

    def made(content: bytes = b"weights", *, of: App = APP, **keywords: Any) -> Release:
        out = tmp_path / "releases" / f"{of.id}-{of.version}-{digest_of(content)[:8]}"
        given: dict[str, Any] = {"out": out, "repository": development.folder} | keywords
        return sign(new_bundle(content), app=of, **given)

    return made


@pytest.fixture
def below() -> Callable[[Path], dict[str, str]]:
    """``below(folder)``: every file under a folder, and every folder, with its content's digest."""

    def found(folder: Path) -> dict[str, str]:
        return {
            each.relative_to(folder).as_posix(): digest_of(each.read_bytes()) if each.is_file() else "folder"
            for each in folder.rglob("*")
        }

    return found


# ── the server as a process of its own, and hand-made commits for it ────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server: its URL, its process, and the file that its stderr goes to."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractContextManager[Served]]:
    """``with serving(folder) as server``: ``mlpublish serve`` as a real process on a free port, gone afterwards."""

    @contextmanager
    def run(folder: Path, *, port: int = 0, before: Callable[[], None] | None = None) -> Iterator[Served]:
        log = folder / "server.log"
        command = [sys.executable, "-m", "mlpublish", "serve", str(folder), "--port", str(port)]
        with log.open("w") as stderr:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, preexec_fn=before
            )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://"), log.read_text()
            yield Served(url=url, process=process, log=log)
        finally:
            process.kill()
            process.communicate()

    return run


@pytest.fixture
def server(development: Development, serving: Callable[..., AbstractContextManager[Served]]) -> Iterator[Served]:
    """The server of ``development``, where the app has its repository."""
    development.app(APP.id)
    with serving(development.folder) as running:
        yield running


@pytest.fixture
def release_commit(development: Development, new_bundle: Callable[..., Bundle]) -> Callable[..., Commit]:
    """Makes a signed app role that names a bundle of one model with this content as a release; the bundle is its one blob."""

    def made(content: bytes, *, number: int = 1, key: str = "targets") -> Commit:
        head, packed = development.app(APP.id).head(), new_bundle(content)
        base, digest = head.targets.signed.version, contents_of(packed)[MANIFEST_PATH]
        facts = describe(packed.manifest, app=APP, number=number, digest=digest)
        role = roles.with_release(head.targets, facts, length=packed.length, sha256=packed.sha256, version=base + 1)
        signed = roles.signed_by(role, development.signer(key)).to_bytes()
        return Commit(edits={"targets": Edit(base=base, metadata=signed)}, blobs={packed.sha256: packed.path.read_bytes()})

    return made


@pytest.fixture
def channel_commit(development: Development) -> Callable[..., Commit]:
    """Makes a signed channels role that names one more channel, an empty one."""

    def made(name: str = "stable") -> Commit:
        head = development.app(APP.id).head()
        base, channel = head.channels.signed.version, Channel(channel=name, platform="ios")
        role = roles.with_channel(head.channels, channel, version=base + 1)
        signed = roles.signed_by(role, development.signer("channels")).to_bytes()
        content = channel.to_bytes()
        return Commit(edits={"channels": Edit(base=base, metadata=signed)}, blobs={digest_of(content): content})

    return made


# ── models that were really trained: digits in MLflow, once a session ────────────────────────────────────────────────────────


# A process of its own, because what MLflow is set to (store, experiment) is a process's, and other tests set it otherwise.
_TRAIN = """
import sys
from pathlib import Path
import numpy as np
from mlpublish.cli.demo_play import train
folder = Path(sys.argv[1])
train(folder, 0.1)
held = train(folder, 1.0)
np.savez(folder / "held.npz", rows=held.rows, labels=held.labels)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """An MLflow store with ``models:/digits/1`` and ``models:/digits/2`` (``@champion``), and rows that no training saw."""

    folder: Path
    rows: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="session")
def digits_template(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """The store that every test copies: a fresh one costs seconds."""
    folder = tmp_path_factory.mktemp("mlflow-template")
    subprocess.run([sys.executable, "-c", _TRAIN, str(folder)], check=True, stdin=subprocess.DEVNULL, timeout=240)
    with np.load(folder / "held.npz") as held:
        return Digits(folder=folder, rows=held["rows"], labels=held["labels"])


@pytest.fixture
def digits(digits_template: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digits:
    """A store of this test's own, which MLflow is set to, here and in the processes that the test starts."""
    shutil.copyfile(digits_template.folder / "mlflow.db", tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "digits")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return digits_template


@pytest.fixture(scope="session")
def cnn(digits_template: Digits) -> object:
    """A small convolutional network that learned digits."""
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    torch.manual_seed(0)
    layers = torch.nn
    network = layers.Sequential(
        layers.Conv2d(1, 8, 3, padding=1), layers.ReLU(), layers.MaxPool2d(2), layers.Flatten(), layers.Linear(128, 10)
    )
    images = torch.from_numpy(digits_template.rows.reshape(-1, 1, 8, 8)).float()
    labels = torch.from_numpy(digits_template.labels)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        layers.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()
    return network.eval()
