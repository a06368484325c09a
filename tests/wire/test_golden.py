"""Every format, byte for byte (README.md says what a difference means, and how to write the files anew)."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from tuf.api.metadata import Metadata

from mlpublish.artifacts import App, Bundle, ConvertedModel
from mlpublish.checking.device import Device, Installed, State
from mlpublish.checking.unpacked import RECORD, Unpacked, unpack_plain
from mlpublish.coreml import golden
from mlpublish.coreml.compare import Answers
from mlpublish.errors import AlreadyPublished
from mlpublish.formats import archive, problem
from mlpublish.formats.channel import Channel, Entry, ReleaseFacts, model_signature_path, signature_path
from mlpublish.formats.evidence import Feature, Flexible, Interface, MlflowLineage, ParityReport, Provenance, Tolerance
from mlpublish.formats.legacy_zip import LegacyArchive
from mlpublish.formats.mac_result import Compared, Mac, MacResult, ModelOnMac
from mlpublish.formats.manifest import FileEntry, Manifest, ModelEntry, digest_of_files
from mlpublish.formats.policy import Policy
from mlpublish.formats.wire import Reader, digest_of, dump
from mlpublish.repository import commits
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.founding import Held, Holders
from mlpublish.repository.records import Closed, Received
from mlpublish.trust.approval import Present
from mlpublish.trust.bundles import open_bundle
from mlpublish.trust.changes import Change, Review, reviewed
from mlpublish.trust.intents import Intent
from mlpublish.trust.model_signature import sign_model, verify_model_signature
from mlpublish.trust.releases import write_release
from mlpublish.trust.roles import S
from tests import hands

FOLDER = Path(__file__).with_name("v1")
UPDATE = "MLPUBLISH_UPDATE_GOLDENS"
GOLDENS_ARE_WRITTEN = os.environ.get(UPDATE) == "1"  # read before the environment is made quiet

MODEL, LABELS = b"not really weights\n" * 3, b"Katze\nHund\n"
INTERFACE = Interface(
    inputs=(Feature(name="input", kind="multiArray", shape=(1, 64)),),
    outputs=(
        Feature(name="classLabel", kind="int64", dtype="int64"),
        Feature(name="classProbability", kind="dictionary", dtype="int64"),
    ),
)
PROVENANCE = Provenance(
    framework="scikit-learn",
    framework_version="1.9.0",
    source="Pipeline(StandardScaler, LogisticRegression)",
    converters={"coremltools": "9.0"},
    mlflow=MlflowLineage(
        registered_model="digits",
        version="3",
        model_id="m-0123",
        run_id="r-0123",
        git_commit="0" * 40,
        metrics={"accuracy": "0.97"},
        params={"C": "1.0"},
        datasets={"train": "abcd1234"},
    ),
)
TWIN = ParityReport(
    samples=8,
    max_abs_diff=1e-7,
    max_rel_diff=2e-7,
    label_agreement=1.0,
    tolerance=Tolerance(rel=1e-4),
    executor="mlpublish evaluator 1",
)
PARITY = ParityReport(
    samples=8,
    max_abs_diff=0.001,
    max_rel_diff=0.0025,
    label_agreement=0.995,
    tolerance=Tolerance(rel=0.02, labels=0.99),
    executor="mlpublish evaluator 1",
    twin=TWIN,
)
MANIFEST = Manifest(
    name="digits",
    version="3",
    models=(
        ModelEntry(
            name="digits",
            path=PurePosixPath("models/digits.mlmodel"),
            kind="mlProgram",
            specification_version=7,
            precision="float16",
            interface=INTERFACE,
            provenance=PROVENANCE,
            parity=PARITY,
            golden=PurePosixPath("evidence/digits"),
        ),
    ),
    files=(
        FileEntry(path=PurePosixPath("files/labels.txt"), length=len(LABELS), sha256=digest_of(LABELS)),
        FileEntry(path=PurePosixPath("models/digits.mlmodel"), length=len(MODEL), sha256=digest_of(MODEL)),
    ),
    created_by="mlpublish 1",
)
LINEAGE = replace(PROVENANCE.mlflow, flavor="sklearn", mlflow_version="3.17.2", left_out={"params": 412, "metrics": 3})
TOLD = replace(MANIFEST, models=(replace(MANIFEST.models[0], provenance=replace(PROVENANCE, mlflow=LINEAGE)),))
EVERY_FEATURE = Interface(
    inputs=(
        Feature(name="photo", kind="image", shape=(8, 6), dtype="uint8", color_space="BGR"),
        Feature(name="tokens", kind="multiArray", shape=(1, 8), dtype="int32", flexible=Flexible(ranges=((1, 1), (8, None)))),
        Feature(
            name="mask",
            kind="multiArray",
            shape=(1, 8),
            flexible=Flexible(shapes=((1, 8), (1, 16))),
            optional=True,
            default=1.0,
        ),
    ),
    outputs=(Feature(name="words", kind="sequence", dtype="string"),),
    states=(Feature(name="cache", kind="state", shape=(1, 4, 8), dtype="float16"),),
)
ON_A_MAC = MacResult(
    bundle_name="digits",
    bundle_version="3",
    bundle_sha256="1b" * 32,
    manifest_sha256=digest_of(MANIFEST.to_bytes()),
    mac=Mac(macos="26.1", hardware="Mac15,3 (arm64)", coremltools="9.0", mlpublish="0.1.0"),
    at="2026-01-31T12:00:00Z",
    models=(
        ModelOnMac(
            name="digits",
            digest=digest_of_files(MANIFEST.files_of(MANIFEST.models[0])),
            samples=8,
            compared=(
                Compared(output="classLabel", left="golden data", right="apple ALL", labels=1.0),
                Compared(
                    output="classProbability", left="golden data", right="apple ALL", max_abs=0.001, max_rel=0.002, labels=1.0
                ),
                Compared(output="scores", left="mlpublish exact", right="apple ALL", problem="not finite"),
            ),
            failed={"apple CPU_ONLY": "It was not opened."},
        ),
    ),
)
CHANNEL = Channel(
    channel="stable",
    platform="ios",
    entries=(
        Entry(app_version="1.9", release=16, paused=True),
        Entry(app_version="2.0", release=17, rollout=25, otherwise=16),
    ),
)
CHANNEL_SINCE = replace(CHANNEL, entries=(Entry(app_version="2.0", release=17, since="2026-01-31T12:00:00Z"),))
POLICY = Policy(app_id="com.acme.digits", floors={"ios/2.0": 15}, withdrawn={14: "biased on night images"})
FACTS = ReleaseFacts(
    app_id="com.acme.digits",
    platform="ios",
    app_versions=("2.0", "2.1"),
    number=17,
    name="digits",
    version="3",
    minimum_os="16.0",
    unpacked_length=68,
    manifest=digest_of(MANIFEST.to_bytes()),
)
APP = App(id="com.acme.digits", version="2.0")
INSTALLED = Installed(release=17, sha256="17" * 32, platform="ios", app_version="2.0")
STATE = State(
    current=INSTALLED,
    previous=Installed(release=16, sha256="16" * 32, platform="ios", app_version="2.0"),
    floors={"ios/2.0": 15},
)
PINNED_STATE = State(current=replace(INSTALLED, release=None, manifest_sha256="18" * 32))
ERROR = AlreadyPublished(
    "Release 17 stands for other bytes already.", remedy="Leave out --number to take the next one.", field="number"
)
EDITS = {"targets": Edit(base=5, metadata=b'{"signed": "caf\xc3\xa9"}\n')}


def dated(role: Metadata[S]) -> Metadata[S]:
    """The role as it would be whenever, and with whatever library, it was made."""
    role.signed.expires, role.signed.spec_version = datetime(2030, 1, 1, tzinfo=UTC), "1.0.31"
    return role


ROOT, APP_ROLE, CHANNELS_ROLE = dated(hands.root()), dated(hands.app_role(POLICY)), dated(hands.channels_role())
BEFORE = Present(root=ROOT, targets=APP_ROLE, channels=CHANNELS_ROLE)
NEXT_APP_ROLE = dated(hands.app_role(POLICY, releases=[17], version=6))
CHANGES = {
    "change-found.json": hands.change(
        {"root": ROOT, "targets": APP_ROLE, "channels": CHANNELS_ROLE}, Intent(kind="found", pin=hands.public("rosa"))
    ),
    "change-release.json": hands.change(
        {"targets": NEXT_APP_ROLE}, Intent(kind="release", release=17), by="alice", before=BEFORE
    ),
    "change-policy.json": hands.change(
        {"targets": NEXT_APP_ROLE},
        Intent(
            kind="policy",
            withdraw={14: "biased"},
            reinstate=(13,),
            floors={"ios/2.0": 15},
            remove=(12,),
            publisher_may_approve=False,
            expiry_days=60,
        ),
        by="bob",
        before=BEFORE,
    ),
    "change-rotate.json": hands.change(
        {"root": dated(hands.root(root=["alice", "dave"], version=2))},
        Intent(kind="rotate", role="root", add=(hands.public("dave"),), drop=(hands.keyid("bob"),), threshold=2),
        by="carol",
        before=BEFORE,
    ),
}


def said(verdict: str, comment: str) -> Review:
    """A review at a fixed moment; Ed25519 signs the same bytes in the same way."""
    change, signer = CHANGES["change-release.json"], hands.signer("alice")
    names = tuple(change.edits) if verdict == "approve" else ()
    made = reviewed(change, names, signer, verdict=verdict, comment=comment)
    moment = replace(made, at="2026-01-31T12:00:00Z")
    return replace(moment, signature=signer.sign(moment.signed_bytes).signature)


APPROVAL, REJECTION = said("approve", ""), said("reject", "The café is closed.")
RECEIVED = Received(review=REJECTION, at="2026-01-31T12:00:01Z")
CLOSED = Closed(outcome="rejected", at="2026-01-31T12:00:01Z", by=hands.keyid("alice"), reason=REJECTION.comment)
HOLDERS = Holders(
    roles={
        "root": Held(keys=tuple(map(hands.public, hands.HOLDERS)), threshold=2),
        "targets": Held(keys=(hands.public("alice"), hands.public("bob"))),
        **{name: Held(keys=(hands.public(name),)) for name in ("channels", "snapshot", "timestamp")},
    },
    pin=hands.public("rosa"),
)
SIGNER, CONTENTS = hands.ECSigner("alice"), {str(each.path): each.sha256 for each in MANIFEST.files}
CONTENTS["manifest.json"] = digest_of(MANIFEST.to_bytes())
MODEL_SIGNATURE = sign_model(CONTENTS, SIGNER, name="digits-3")
FULL_POLICY = replace(POLICY, retired=(3, 12), expiry_days=365, publisher_may_approve=False)


def bundle(scratch: Path) -> bytes:
    files = [("models/digits.mlmodel", MODEL), ("manifest.json", MANIFEST.to_bytes()), ("files/labels.txt", LABELS)]
    archive.write(scratch / "bundle.zip", files)
    return (scratch / "bundle.zip").read_bytes()


def converted(scratch: Path) -> bytes:
    path = scratch / "digits.mlmodel"
    path.write_bytes(MODEL)
    (scratch / "digits.golden").mkdir()
    model = ConvertedModel(
        path=path,
        name="digits",
        kind="mlProgram",
        specification_version=7,
        precision="float16",
        interface=INTERFACE,
        provenance=PROVENANCE,
        parity=PARITY,
        files=(FileEntry(path=PurePosixPath(path.name), length=len(MODEL), sha256=digest_of(MODEL)),),
        golden=scratch / "digits.golden",
        evidence=(FileEntry(path=PurePosixPath("golden.json"), length=2, sha256=digest_of(b"{}")),),
    ).write()
    assert ConvertedModel.read(model.record) == model
    return model.record.read_bytes()


def release(scratch: Path) -> bytes:
    (scratch / "digits-3.zip").write_bytes(bundle(scratch))
    made = Bundle(path=scratch / "digits-3.zip", manifest=MANIFEST, length=1, sha256="0" * 64)
    return Path(_released(scratch, made), "release.json").read_bytes()


def release_folder(scratch: Path) -> bytes:
    """The names of everything in it."""
    (scratch / "digits-3.zip").write_bytes(bundle(scratch))
    made = _released(scratch, Bundle(path=scratch / "digits-3.zip", manifest=MANIFEST, length=1, sha256="0" * 64))
    return dump({"files": sorted(file.relative_to(made).as_posix() for file in made.rglob("*") if file.is_file())})


def _released(scratch: Path, made: Bundle) -> Path:
    change = CHANGES["change-release.json"]
    written = write_release(
        scratch / "release",
        bundle=made,
        app=APP,
        number=17,
        change=change,
        review=APPROVAL,
        present=Present(root=ROOT, targets=APP_ROLE, channels=CHANNELS_ROLE),
        roots=[ROOT.to_bytes()],
        beside={signature_path(17): b"signature", model_signature_path(17): MODEL_SIGNATURE},
        model_signed_by=SIGNER.public_key.keyid,
    )
    return written.folder


def device(scratch: Path) -> bytes:
    """A device draws its id; what stands around it is fixed."""
    with Device.opened(scratch / "device", APP.id) as opened:
        return (opened.folder / "device.json").read_bytes().replace(opened.id.encode(), b"d" * len(opened.id))


def unpacked(scratch: Path) -> bytes:
    """What a device writes down of a plain zip of the predecessor."""
    with zipfile.ZipFile(scratch / "plain.zip", "w") as plain:
        plain.writestr("Model.mlmodel", MODEL)
        plain.writestr("für alle.txt", LABELS)
    with (scratch / "plain.zip").open("rb") as stream:
        unpack_plain(LegacyArchive.read(stream), scratch / "plain", lambda _: None)
    return (scratch / "plain" / RECORD).read_bytes()


FORMATS: dict[str, Callable[[Path], bytes]] = {
    "manifest.json": lambda _: MANIFEST.to_bytes(),
    "manifest-lineage.json": lambda _: TOLD.to_bytes(),
    "interface.json": lambda _: dump(EVERY_FEATURE.to_dict()),
    "mac-result.json": lambda _: ON_A_MAC.to_bytes(),
    "bundle.zip": bundle,
    "channel.json": lambda _: CHANNEL.to_bytes(),
    "channel-since.json": lambda _: CHANNEL_SINCE.to_bytes(),
    "policy.json": lambda _: POLICY.to_bytes(),
    "policy-full.json": lambda _: FULL_POLICY.to_bytes(),
    "release-facts.json": lambda _: dump(FACTS.to_dict()),
    "release.json": release,
    "release-folder.json": release_folder,
    **{name: lambda _, change=change: change.to_bytes() for name, change in CHANGES.items()},
    "review-approve.json": lambda _: APPROVAL.to_bytes(),
    "review-reject.json": lambda _: REJECTION.to_bytes(),
    "review-received.json": lambda _: dump(RECEIVED.to_dict()),
    "closed.json": lambda _: dump(CLOSED.to_dict()),
    "holders.json": lambda _: HOLDERS.to_bytes(),
    "commit.json": lambda _: commits.to_document(EDITS),
    "converted.json": converted,
    "model.sig": lambda _: MODEL_SIGNATURE,
    "device.json": device,
    "state.json": lambda _: STATE.to_bytes(),
    "state-pinned.json": lambda _: PINNED_STATE.to_bytes(),
    "unpacked.json": unpacked,
    "problem.json": lambda _: problem.to_document(ERROR),
}


@pytest.mark.parametrize("name", FORMATS)
def test_is_written_as_ever(name: str, tmp_path: Path) -> None:
    written = FORMATS[name](tmp_path)
    if GOLDENS_ARE_WRITTEN:
        (FOLDER / name).write_bytes(written)
    assert written == (FOLDER / name).read_bytes(), f"{name} changed; see tests/wire/README.md"


INPUTS = {"input": np.arange(12, dtype=np.float32).reshape(3, 1, 4) / 8}
ANSWERS = Answers(
    outputs={
        "classLabel": np.array([0, 1, 1], dtype=np.int64),
        "classProbability": np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]], dtype=np.float32),
    },
    classes=(0, 1),
    scores=("classProbability",),
)


def test_golden_data_is_written_as_ever_and_read_back(tmp_path: Path) -> None:
    golden.write(tmp_path / "golden", INPUTS, ANSWERS)
    written = {file.name: file.read_bytes() for file in (tmp_path / "golden").iterdir()}
    if GOLDENS_ARE_WRITTEN:
        (FOLDER / "golden").mkdir(exist_ok=True)
        for name, content in written.items():
            (FOLDER / "golden" / name).write_bytes(content)
    assert written == {file.name: file.read_bytes() for file in (FOLDER / "golden").iterdir()}
    read = golden.read(FOLDER / "golden")
    assert read.answers.classes == ANSWERS.classes
    assert np.array_equal(read.inputs["input"], INPUTS["input"])
    assert all(np.array_equal(read.answers.outputs[name], values) for name, values in ANSWERS.outputs.items())


def golden_bytes(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def test_every_golden_file_is_read_back_as_what_it_was_written_from(tmp_path: Path) -> None:
    assert Manifest.from_bytes(golden_bytes("manifest.json")) == MANIFEST
    assert Manifest.from_bytes(golden_bytes("manifest-lineage.json")) == TOLD
    assert Interface.from_reader(Reader.parse(golden_bytes("interface.json"), what="interface")) == EVERY_FEATURE
    assert MacResult.from_bytes(golden_bytes("mac-result.json")) == ON_A_MAC
    assert Channel.from_bytes(golden_bytes("channel.json")) == CHANNEL
    assert Channel.from_bytes(golden_bytes("channel-since.json")).to_bytes() == CHANNEL_SINCE.to_bytes()
    assert Policy.from_dict(json.loads(golden_bytes("policy.json"))) == POLICY
    assert Policy.from_dict(json.loads(golden_bytes("policy-full.json"))) == FULL_POLICY
    for name, change in CHANGES.items():
        assert Change.from_bytes(golden_bytes(name)) == change
    for name, review in (("review-approve.json", APPROVAL), ("review-reject.json", REJECTION)):
        assert Review.from_bytes(golden_bytes(name)) == review
        review.verify(hands.public("alice"))
    assert Received.from_reader(Reader.parse(golden_bytes("review-received.json"), what="review")) == RECEIVED
    assert Closed.from_reader(Reader.parse(golden_bytes("closed.json"), what="closed.json")) == CLOSED
    assert Holders.from_bytes(golden_bytes("holders.json")) == HOLDERS
    assert ReleaseFacts.from_dict(json.loads(golden_bytes("release-facts.json"))) == FACTS
    assert commits.from_document(golden_bytes("commit.json")) == EDITS
    assert State.from_bytes(golden_bytes("state.json")) == STATE
    assert State.from_bytes(golden_bytes("state-pinned.json")) == PINNED_STATE
    (tmp_path / RECORD).write_bytes(golden_bytes("unpacked.json"))
    plain = Unpacked.of(tmp_path)
    assert plain.files == {"Model.mlmodel": (len(MODEL), digest_of(MODEL)), "für alle.txt": (len(LABELS), digest_of(LABELS))}
    assert plain.models == {"Model": PurePosixPath("Model.mlmodel")}
    signed_by = verify_model_signature(golden_bytes("model.sig"), CONTENTS, [SIGNER.public_key], name="digits-3")
    assert signed_by == SIGNER.public_key
    error = problem.from_document(golden_bytes("problem.json"), status=409)
    assert (type(error), error.problem, error.remedy, error.field) == (type(ERROR), ERROR.problem, ERROR.remedy, ERROR.field)


def test_the_golden_bundle_opens() -> None:
    opened = open_bundle(FOLDER / "bundle.zip")
    assert opened.manifest == MANIFEST
    assert opened.sha256 == digest_of(golden_bytes("bundle.zip"))


def test_no_golden_file_is_left_over() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {*FORMATS, "golden"}
