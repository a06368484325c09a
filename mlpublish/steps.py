"""One step per verb, JSON in and JSON out, for any orchestrator: files by URI, sha256 and size; secrets by reference.

A payload is what the step's input class says (``schema(name)``); the answer is what its output class says. Errors are
mlpublish's own; ``retryable`` tells an engine whether trying again can help.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpublish import recipe
from mlpublish.artifacts import App
from mlpublish.bundling.bundle import bundle as bundle_verb
from mlpublish.checking.check import check as check_verb
from mlpublish.converting.convert import convert as convert_verb
from mlpublish.converting.samples import read_samples
from mlpublish.errors import FormatError, RecipeError
from mlpublish.formats import payload as wire
from mlpublish.formats.wire import is_relative_path
from mlpublish.payloads import (
    BundleIn,
    BundleOut,
    ChannelIn,
    ChannelOut,
    CheckIn,
    CheckOut,
    ConvertIn,
    ConvertOut,
    PublishIn,
    PublishOut,
    ReleaseIn,
    SignIn,
    SignOut,
    VerifyIn,
    VerifyOut,
)
from mlpublish.publishing.publish import publish as publish_verb
from mlpublish.repository import channels, defaults
from mlpublish.repository.tokens import token_at
from mlpublish.signing.sign import sign as sign_verb
from mlpublish.storage.artifacts import Artifact, ArtifactStore
from mlpublish.trust.releases import read_release
from mlpublish.trust.verify import verify as verify_verb

BUNDLE_TYPE = "application/zip"
TABLES = {"text/csv": ".csv", "application/vnd.apache.parquet": ".parquet", "application/x-parquet": ".parquet"}
"""Media types of tables; a content-addressed store keeps no suffixes."""


@dataclass(frozen=True, slots=True)
class Work:
    """Where a step works: a scratch folder that goes with it, and the store that stays."""

    folder: Path
    store: ArtifactStore

    def fetch(self, artifact: Artifact, name: str) -> Path:
        return self.store.fetch(artifact, self.folder / name)

    def samples(self, artifact: Artifact) -> object:
        """Samples, read as what the artifact's media type says that they are, or else its name."""
        kind = artifact.media_type.partition(";")[0].strip().lower()
        suffix = TABLES.get(kind) or Path(artifact.uri).suffix.lower()
        return read_samples(self.fetch(artifact, f"samples{suffix if suffix in TABLES.values() else '.npz'}"))


def run_json(name: str, payload: Mapping[str, Any], *, store: str = "file:artifacts") -> dict[str, Any]:
    """Run one step.

    Args:
        name: convert, bundle, sign, verify, publish, channel, check or release.
        payload: what ``schema(name)`` describes.
        store: where the files of this and other steps lie, ``file:DIR``.

    Returns:
        The step's answer, of JSON values only.

    Raises:
        RecipeError: there is no such step.
        FormatError: the payload is not what the step takes; the field is named.
        MlpublishError: what the verb raises.
    """
    step = _step(name)
    given = wire.read(step.takes, payload, where=name)
    with tempfile.TemporaryDirectory(prefix="mlpublish-step-") as scratch:
        answer: dict[str, Any] = wire.write(step.run(given, Work(Path(scratch), ArtifactStore(store))))
    return answer


def schema(name: str) -> dict[str, Any]:
    """A step's JSON Schemas: what it takes and what it gives."""
    step = _step(name)
    return {"input": wire.schema(step.takes), "output": wire.schema(step.gives)}


def _token(reference: str | None) -> str | None:
    """The token that a payload names; it never carries one itself."""
    return None if reference is None else token_at(reference)


def _convert(given: ConvertIn, work: Work) -> ConvertOut:
    samples = None if given.samples is None else work.samples(given.samples)
    converted = convert_verb(
        given.model,
        name=given.name,
        samples=samples,
        target=given.target,
        precision=given.precision,
        tolerance=given.tolerance,
        trust_pickle=given.trust_pickle,
        out=work.folder / "converted",
        progress=False,
    )
    parity = {} if converted.parity is None else converted.parity.to_dict()
    return ConvertOut(
        model=work.store.keep(work.folder / "converted", ""),
        name=converted.name,
        kind=converted.kind,
        max_rel_diff=parity.get("max_rel_diff"),
        label_agreement=parity.get("label_agreement"),
    )


def _bundle(given: BundleIn, work: Work) -> BundleOut:
    models = [work.fetch(model, f"model-{index}") for index, model in enumerate(given.models)]
    files = [work.fetch(file.content, f"files/{place}/{_plain(file.name, place)}") for place, file in enumerate(given.files)]
    made = bundle_verb(*models, name=given.name, version=given.version, files=files, out=work.folder / "out")
    return BundleOut(bundle=work.store.keep(made.path, BUNDLE_TYPE), name=made.manifest.name, version=made.manifest.version)


def _plain(name: str, place: int) -> str:
    """A payload says what a file is called, never where it is written."""
    if "/" in name or not is_relative_path(name):
        where = f"bundle.files[{place}].name"
        raise FormatError(f"{name!r} is no file name.", remedy="Give a name without folders.", field=where)
    return name


def _sign(given: SignIn, work: Work) -> SignOut:
    signed = sign_verb(
        work.fetch(given.bundle, "bundle.zip"),
        repository=given.repository,
        app=App(id=given.app, version=given.app_version, platform=given.platform),
        signer=given.key,
        number=given.number,
        out=work.folder / "release",
    )
    return SignOut(release=work.store.keep(signed.folder, ""), number=signed.number)


def _verify(given: VerifyIn, work: Work) -> VerifyOut:
    folder = work.fetch(given.release, "release")
    development = defaults.development_among(defaults.repository_for(given.repository))
    root = defaults.root_of(read_release(folder).release.app.id, given.root, development)
    report = verify_verb(folder, root=root)
    return VerifyOut(
        number=report.number or 0,
        sha256="" if report.bundle is None else report.bundle.sha256,
        proven=report.proven,
        not_proven=report.not_proven,
    )


def _publish(given: PublishIn, work: Work) -> PublishOut:
    receipt = publish_verb(
        work.fetch(given.release, "release"), to=given.to, token=_token(given.token), repository=given.repository
    )
    return PublishOut(
        endpoint=receipt.endpoint, number=receipt.number, sha256=receipt.sha256, created=receipt.created, change=receipt.change
    )


def _channel(given: ChannelIn, work: Work) -> ChannelOut:  # noqa: ARG001 - every step has the same form
    state = channels.set(
        given.app,
        to=given.to,
        app_version=given.app_version,
        release=given.release,
        platform=given.platform,
        channel=given.channel,
        rollout=given.rollout,
        otherwise=given.otherwise,
        repository=given.repository,
        signer=given.key,
        token=_token(given.token),
        if_current=given.if_current,
    )
    return ChannelOut(
        channel=state.channel.channel,
        release=given.release,
        rollout=given.rollout,
        version=state.version,
        changed=state.changed,
    )


def _check(given: CheckIn, work: Work) -> CheckOut:
    report = check_verb(
        given.app,
        at=given.at,
        app_version=given.app_version,
        platform=given.platform,
        channel=given.channel,
        device=given.device or work.folder / "device",
        root=given.root,
        repository=given.repository,
    )
    return CheckOut(
        status=report.status.value,
        installed=report.installed,
        offered=report.offered,
        reason=None if report.reason is None else report.reason.value,
        detail=report.detail,
    )


def _release(given: ReleaseIn, work: Work) -> PublishOut:
    receipt = recipe.release(
        *given.models,
        app=given.app,
        app_version=given.app_version,
        to=given.to,
        name=given.name,
        version=given.version,
        platform=given.platform,
        channel=given.channel,
        samples=None if given.samples is None else work.samples(given.samples),
        repository=given.repository,
        signer=given.key,
        token=_token(given.token),
        progress=False,
    )
    return PublishOut(
        endpoint=receipt.endpoint, number=receipt.number, sha256=receipt.sha256, created=receipt.created, change=receipt.change
    )


@dataclass(frozen=True, slots=True)
class Step:
    """A step: what it takes, what it gives, what it does."""

    takes: type[Any]
    gives: type[Any]
    run: Callable[[Any, Work], Any]


STEPS: dict[str, Step] = {
    "convert": Step(ConvertIn, ConvertOut, _convert),
    "bundle": Step(BundleIn, BundleOut, _bundle),
    "sign": Step(SignIn, SignOut, _sign),
    "verify": Step(VerifyIn, VerifyOut, _verify),
    "publish": Step(PublishIn, PublishOut, _publish),
    "channel": Step(ChannelIn, ChannelOut, _channel),
    "check": Step(CheckIn, CheckOut, _check),
    "release": Step(ReleaseIn, PublishOut, _release),
}


def _step(name: str) -> Step:
    found = STEPS.get(name)
    if found is None:
        raise RecipeError(f"There is no step {name!r}.", remedy=f"Use one of: {', '.join(STEPS)}.", field="step")
    return found
