"""The play of ``mlpublish demo``: the verbs of the street on real input, over a real server process on loopback.

It is written as a user would write it; nothing here is a shortcut that a user does not have.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import mlpublish
from mlpublish.artifacts import App, ConvertedModel, Receipt
from mlpublish.errors import EndpointUnreachable, VerificationError
from mlpublish.formats.manifest import MANIFEST_PATH, Manifest
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import digest_of_stream
from mlpublish.reports import CheckReport
from mlpublish.repository.development import Development
from mlpublish.trust.bundles import check_contents

if TYPE_CHECKING:
    import numpy as np

APP = App(id="com.acme.digits", version="2.0", platform="ios")
CHAMPION = "models:/digits@champion"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Held:
    """Rows that no training saw, and their labels."""

    rows: np.ndarray
    labels: np.ndarray


@dataclass(slots=True)
class Demo:
    """What the play made so far.

    Args:
        folder: everything lies below it.
        tell: is told each step in a short sentence.
    """

    folder: Path
    tell: Tell
    receipts: list[Receipt] = field(default_factory=list)
    models: list[ConvertedModel] = field(default_factory=list)
    checks: list[CheckReport] = field(default_factory=list)

    def play(self) -> None:
        """The whole story.

        Raises:
            VerificationError: something did not end as it must.
        """
        held = self._train(1, regularisation=0.01)
        development = Development.make(self.folder / "development")
        with serving(development.folder) as url:
            self.tell(f"The update server listens on {url}")
            self._release(1, held, development, url)
            self._check("The phone asks for an update", url, development)
            self._check("The phone asks again", url, development)
            held = self._train(2, regularisation=1.0)
            self._release(2, held, development, url)
            self._check("The phone asks once more", url, development)
            held = self._train(3, regularisation=100.0)
            self._release(3, held, development, url)
            self._flip_one_byte(development)
            self._check("The phone asks for release 3", url, development)
            self._expect_whole(held)

    def _train(self, number: int, *, regularisation: float) -> Held:
        """Train, log, register, and move the alias."""
        store = " (a new SQLite store)" if number == 1 else ""
        self.tell(f"Training model {number} on scikit-learn's digits, registering it in MLflow{store} as {CHAMPION}")
        return train(self.folder, regularisation)

    def _release(self, number: int, held: Held, development: Development, url: str) -> None:
        """The street, verb by verb."""
        work = self.folder / f"release-{number}"
        self.tell(f"Converting {CHAMPION} to Core ML")
        model = mlpublish.convert(CHAMPION, samples=held.rows, out=work / "converted", progress=False)
        self.models.append(model)
        if model.parity is not None:
            agreement = "" if model.parity.label_agreement is None else f", labels agree on {model.parity.label_agreement:.0%}"
            self.tell(
                f"The saved file answers as the model does: {model.parity.samples} held-out samples, relative difference "
                f"{model.parity.max_rel_diff:.1e}{agreement} (run by {model.parity.executor})"
            )
        made = mlpublish.bundle(model, out=work, progress=False)
        self.tell(f"Bundled {made.path.name}: {made.length} bytes, sha256 {made.sha256[:12]}…")
        signed = mlpublish.sign(made, repository=development.folder, app=APP, out=work / "signed")
        self.tell(f"Signed as release {signed.number} of {APP.id} for {APP.platform} {APP.version}")
        receipt = mlpublish.publish(signed, to=url, token=development.token("deployer"), progress=False)
        mlpublish.channel.set(
            APP.id,
            to=url,
            app_version=APP.version,
            release=receipt.number,
            platform=APP.platform,
            repository=development.folder,
            token=development.token("operator"),
        )
        self.receipts.append(receipt)
        self.tell(f"Published; channel stable now offers release {receipt.number}")

    def _check(self, sentence: str, url: str, development: Development) -> None:
        report = mlpublish.check(APP, at=url, device=self.folder / "phone", repository=development.folder, progress=False)
        self.checks.append(report)
        self.tell(f"{sentence}: {report.status.value}. {report.detail}")

    def _flip_one_byte(self, development: Development) -> None:
        """Alter release 3 on the server's disk, as an intruder or a bad disk would."""
        stored = development.repository / APP.id / "targets" / "releases" / str(self.receipts[-1].number)
        file = next(stored.glob("*.bundle.zip"))
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        self.tell("One byte of release 3 has been flipped on the server's disk")

    def _expect_whole(self, held: Held) -> None:
        """Release 2 is in use, every file of it is the one that was bundled, and it answers."""
        from mlpublish.coreml import evaluate

        last = self.checks[-1]
        if last.status is not UpdateStatus.FAILURE_INTEGRITY or last.path is None or last.installed != 2:
            raise VerificationError(
                f"The altered release was not refused: {last.status.value}.", remedy="Report this with --keep's folder."
            )
        found = {}
        for file in sorted(last.path.rglob("*")):
            if file.is_file():
                with file.open("rb") as stream:
                    found[file.relative_to(last.path).as_posix()] = (file.stat().st_size, digest_of_stream(stream))
        check_contents(Manifest.from_bytes((last.path / MANIFEST_PATH).read_bytes()), found)
        answers = evaluate.load(last.models["digits"]).predict_rows({"input": held.rows[:100]})["classLabel"]
        right = sum(int(answer) == int(label) for answer, label in zip(answers, held.labels[:100], strict=True))
        self.tell(f"Release 2 is still whole and in use: it reads {right} of 100 digits right")


def train(folder: Path, regularisation: float) -> Held:
    """Train on digits, log the model to a SQLite store below the folder, register it, move the alias ``champion``."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, labels = load_digits(return_X_y=True)
    seen, held, seen_labels, held_labels = train_test_split(rows, labels, test_size=0.25, random_state=0, stratify=labels)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=regularisation, max_iter=1000)).fit(seen, seen_labels)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    if mlflow.get_experiment_by_name("digits") is None:
        mlflow.create_experiment("digits", artifact_location=(folder / "mlflow").as_uri())
    mlflow.set_experiment("digits")
    with mlflow.start_run(), redirect_stderr(StringIO()):  # MLflow reports there what the story tells already
        mlflow.log_param("C", regularisation)
        mlflow.log_metric("accuracy", model.score(held, held_labels))
        mlflow.log_input(mlflow.data.from_numpy(seen, targets=seen_labels, name="digits"), context="training")
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            input_example=held[:5],
            registered_model_name="digits",
            pip_requirements=["scikit-learn"],  # else MLflow spends seconds on finding out
        )
    mlflow.MlflowClient().set_registered_model_alias("digits", "champion", info.registered_model_version)
    return Held(held, held_labels)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run ``mlpublish serve`` on a free port, as a process of its own, for the time of the block."""
    command = [sys.executable, "-m", "mlpublish", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise EndpointUnreachable("The update server did not start.", remedy=f"Try: mlpublish serve {folder}.")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
