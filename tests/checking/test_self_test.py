"""The golden self-test: a signed model that answers otherwise than the one that was proven is never used."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from mlpublish.artifacts import ConvertedModel
from mlpublish.bundling.bundle import bundle
from mlpublish.checking.device import Device
from mlpublish.checking.fetching import transport_for
from mlpublish.checking.patience import Patience
from mlpublish.checking.play import Asked, Play
from mlpublish.checking.self_test import self_test, wrong_with
from mlpublish.converting.convert import convert
from mlpublish.coreml import golden
from mlpublish.coreml.compare import Difference
from mlpublish.formats.evidence import ParityReport, Tolerance
from mlpublish.formats.manifest import MANIFEST_PATH, FileEntry, Manifest
from mlpublish.formats.status import ProgressStatus, UpdateStatus
from mlpublish.publishing.publish import publish
from mlpublish.signing.sign import sign

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

INTEGRITY = UpdateStatus.FAILURE_INTEGRITY
ROWS, LABELS = load_digits(return_X_y=True)


def trained(folder: Path, shuffled: int = 0) -> ConvertedModel:
    """A classifier of digits; with its labels turned round it is wrong about every one."""
    rows = ROWS / 16
    model = LogisticRegression().fit(rows, (LABELS + shuffled) % 10)
    return convert(model, name="digits", samples=rows[:20], out=folder, progress=False)


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> ConvertedModel:
    return trained(tmp_path_factory.mktemp("right"))


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory, right: ConvertedModel) -> ConvertedModel:
    """Another model's file under the evidence of the right one, as a build that mixes two runs up would hand it on."""
    return with_evidence_of(right, trained(tmp_path_factory.mktemp("wrong"), shuffled=3))


def with_evidence_of(proven: ConvertedModel, shipped: ConvertedModel) -> ConvertedModel:
    return replace(shipped, golden=proven.golden, evidence=proven.evidence, parity=proven.parity)


@pytest.fixture
def offer(lab: Lab, tmp_path: Path) -> Callable[..., int]:
    """Bundles, signs, publishes and offers these models."""

    def made(*models: ConvertedModel) -> int:
        lab.made += 1
        zipped = bundle(*models, name="digits", version=str(lab.made), out=tmp_path / "zips")
        signed = sign(zipped, repository=lab.development.folder, app=lab.app, out=tmp_path / "signed" / str(lab.made))
        publish(signed, to=lab.development.folder)
        lab.offer(signed.number)
        return signed.number

    return made


def test_a_model_that_answers_as_it_was_proven_is_installed(lab: Lab, offer: Callable[..., int], right: ConvertedModel) -> None:
    report = lab.updates_to(offer(right))
    assert report.self_tests["digits"].startswith("passed: 8 golden samples, within ")
    assert "self-test" in report.phases
    assert lab.updates_to(1).self_tests == {}, "what is installed already is not asked again"


def test_a_signed_model_that_answers_otherwise_leaves_everything_as_it_was(
    lab: Lab, offer: Callable[..., int], right: ConvertedModel, wrong: ConvertedModel
) -> None:
    lab.updates_to(offer(right))
    offer(wrong)
    report = lab.fails(INTEGRITY, "The new model digits does not answer as its golden data says: its output 'class")
    assert (report.installed, report.offered) == (1, 2)
    assert "differs by" in report.detail
    assert "gives another label to 8 of 8 samples, allowed 0" in report.detail
    assert report.self_tests["digits"].startswith("failed: its output ")
    assert [folder.name[0] for folder in (lab.phone / "releases").iterdir()] == ["1"]


def test_what_was_refused_costs_no_second_download_and_makes_way_for_the_next_release(
    lab: Lab, offer: Callable[..., int], right: ConvertedModel, wrong: ConvertedModel
) -> None:
    offer(wrong)
    first = lab.fails(INTEGRITY)
    assert first.downloaded > 0
    assert lab.fails(INTEGRITY).downloaded == 0
    lab.updates_to(offer(right))
    assert not any((lab.phone / "downloads").iterdir())


def test_without_the_self_test_the_same_release_is_taken(lab: Lab, offer: Callable[..., int], wrong: ConvertedModel) -> None:
    report = lab.updates_to(offer(wrong), self_test=False)
    assert (report.self_tests, "self-test" in report.phases) == ({}, False)


def test_golden_data_of_other_inputs_is_not_this_models(
    lab: Lab, offer: Callable[..., int], right: ConvertedModel, tmp_path: Path
) -> None:
    half = LogisticRegression().fit(ROWS[:, :32] / 16, LABELS)
    other = convert(half, name="digits", samples=ROWS[:9, :32] / 16, out=tmp_path / "half", progress=False)
    offer(with_evidence_of(right, other))
    lab.fails(INTEGRITY, "A row of the input 'input' has the shape (64,), the model takes (1, 32)")


def unknown(model: Path) -> None:
    """A model of a type that the evaluator does not know."""
    from mlpublish.coreml.schema import schema

    spec = schema("Model").Model(specificationVersion=1)
    spec.description.output.add(name="prediction").type.doubleType.SetInParent()
    spec.textClassifier.SetInParent()
    model.write_bytes(spec.SerializeToString())


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (unknown, "digits.mlmodel needs what the evaluator does not know: textClassifier."),
        (lambda model: model.write_bytes(b"weights"), "digits.mlmodel is not a Core ML model"),
    ],
    ids=["an unknown type", "no Core ML file"],
)
def test_a_model_that_cannot_be_asked_here_is_not_the_worse_for_it(
    lab: Lab,
    new_model: Callable[..., ConvertedModel],
    right: ConvertedModel,
    offer: Callable[..., int],
    prepare: Callable[[Path], object],
    why: str,
) -> None:
    shipped = new_model()
    prepare(shipped.path)
    entry = FileEntry.of(PurePosixPath(shipped.path.name), shipped.path)
    offer(with_evidence_of(right, replace(shipped, files=(entry,))))
    assert lab.updates_to(1).self_tests["digits"].startswith(f"not run: {why}")


def test_a_model_without_golden_data_is_not_asked(lab: Lab) -> None:
    lab.release()
    assert lab.updates_to(1).self_tests == {"digits": "not run: it comes without golden data"}


def test_golden_data_of_a_later_format_is_not_read(
    lab: Lab, offer: Callable[..., int], right: ConvertedModel, tmp_path: Path
) -> None:
    assert right.golden is not None
    later = tmp_path / "later"
    later.mkdir()
    for file in right.golden.iterdir():
        (later / file.name).write_bytes(file.read_bytes().replace(b'"format": 1', b'"format": 2'))
    entries = tuple(FileEntry.of(PurePosixPath(file.name), file) for file in later.iterdir())
    offer(replace(right, golden=later, evidence=entries))
    assert lab.updates_to(1).self_tests["digits"].startswith("not run: golden.json: format is 2")


def test_a_model_that_this_machine_cannot_hold_is_not_asked(lab: Lab, offer: Callable[..., int], right: ConvertedModel) -> None:
    path = lab.updates_to(offer(right)).path
    assert path is not None
    with Device.opened(lab.phone, lab.app.id) as device:
        manifest = Manifest.from_bytes((path / MANIFEST_PATH).read_bytes())
        huge = tuple(replace(entry, length=2**50 if entry.path.name == "weight.bin" else 0) for entry in manifest.files)
        way = transport_for(lab.web.url, lab.app.id, patience=Patience())
        play = Play(app=lab.app, device=device, transport=way, asked=Asked(), listener=None, cancel=threading.Event())
        self_test(play, path, replace(manifest, files=huge))
    assert f"it has {2**50} bytes, and takes up to 3 times as much memory" in play.self_tests["digits"]


class Stopper:
    """Asks for the end when the last byte is unpacked."""

    def __init__(self) -> None:
        self.cancel = threading.Event()

    def on_start(self, total: int) -> None:
        """Nothing to do."""

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        if status is ProgressStatus.UNZIP_IN_PROGRESS and done == total:
            self.cancel.set()

    def on_finish(self, status: UpdateStatus) -> None:
        assert status is UpdateStatus.CANCELED


def test_a_check_is_canceled_before_the_self_test(
    lab: Lab, offer: Callable[..., int], right: ConvertedModel, wrong: ConvertedModel
) -> None:
    lab.updates_to(offer(right))
    offer(wrong)
    stopper = Stopper()
    report = lab.fails(UpdateStatus.CANCELED, listener=stopper, cancel=stopper.cancel)
    assert (report.installed, report.self_tests) == (1, {})
    assert [folder.name[0] for folder in (lab.phone / "releases").iterdir()] == ["1"]


def test_a_network_in_float16_passes_by_the_bound_that_it_was_proven_with(
    lab: Lab, offer: Callable[..., int], tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 10))
    samples = ROWS[:32].reshape(-1, 1, 8, 8).astype(np.float32)
    made = convert(network.eval(), name="digits", samples=samples, precision="float16", out=tmp_path / "cnn", progress=False)
    assert lab.updates_to(offer(made)).self_tests["digits"].startswith("passed: 8 golden samples")


# ── what counts as another answer ───────────────────────────────────────────────────────────────────────────────────────────


def parity(*, rel: float = 1e-2, labels: float = 0.99, measured: float = 1e-3) -> ParityReport:
    return ParityReport(
        samples=1000,
        max_abs_diff=measured,
        max_rel_diff=rel,
        label_agreement=1.0,
        tolerance=Tolerance(rel=rel, labels=labels),
        executor="a test",
    )


@pytest.mark.parametrize(
    ("max_abs", "max_rel", "holds"),
    [
        (0.0, 0.0, True),
        (5.0, 1e-2, True),
        (5.0, 1.1e-2, False),
        (2e-3, 0.5, True),  # the few samples are small; over all of them this difference was measured and allowed
        (2.1e-3, 0.5, False),
        (math.nan, math.nan, False),
        (math.inf, math.inf, False),
    ],
)
def test_numbers_are_held_to_the_bound_of_the_parity_report(max_abs: float, max_rel: float, holds: bool) -> None:
    told = wrong_with("scores", Difference(max_abs=max_abs, max_rel=max_rel, labels=None), parity(), samples=8)
    assert (told is None) == holds
    assert told is None or f"its output 'scores' differs by {max_rel:.1e} (relative), allowed 1.0e-02" in told


@pytest.mark.parametrize(
    ("samples", "share", "missed"),
    [(8, 0.99, 1), (8, 1.0, 0), (1, 0.99, 1), (8, 0.75, 2), (8, 0.74, 3), (5, 0.8, 1), (8, 0.0, 8)],
)
def test_the_labels_that_may_differ_are_rounded_up(samples: int, share: float, missed: int) -> None:
    def told(misses: int) -> str | None:
        found = Difference(max_abs=0.0, max_rel=0.0, labels=1 - misses / samples)
        return wrong_with("classLabel", found, parity(labels=share), samples)

    assert told(missed) is None
    if missed < samples:
        assert told(missed + 1) == (
            f"its output 'classLabel' gives another label to {missed + 1} of {samples} samples, allowed {missed}"
        )


def test_the_work_ends_between_two_rows(right: ConvertedModel) -> None:
    from mlpublish.coreml.evaluate import Model

    assert right.golden is not None
    asked: list[int] = []

    def before_row() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        golden.read(right.golden).ask(Model(right.path), before_row)
    assert len(asked) == 3


# ── what it loads ───────────────────────────────────────────────────────────────────────────────────────────────────────────

CHECK = """
import sys
from mlpublish.checking.check import check
at, device, root, self_test = sys.argv[1:]
report = check("com.acme.digits", app_version="2.0", at=at, device=device, root=root, self_test=self_test == "on")
assert report.installed == 1, report.detail
assert bool(report.self_tests) == (self_test == "on")
assert self_test == "off" or report.self_tests["digits"].startswith("passed"), report.self_tests
print(*sorted(sys.modules))
"""
NEVER = {"torch", "mlflow", "coremltools", "sklearn", "pandas"}


@pytest.mark.parametrize(("self_test", "heavy"), [("on", NEVER), ("off", NEVER | {"numpy", "scipy", "google.protobuf"})])
def test_a_check_loads_no_library_of_training(
    lab: Lab, offer: Callable[..., int], right: ConvertedModel, self_test: str, heavy: set[str]
) -> None:
    offer(right)
    root = lab.store.folder / "metadata" / "1.root.json"
    command = [sys.executable, "-c", CHECK, lab.web.url, str(lab.phone), str(root), self_test]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.split())
    assert loaded & heavy == set()
    assert ("numpy" in loaded) == (self_test == "on")
