"""What is live: a channel's offer as MLflow shows a deployment, its released bundle, and the change that waits for people."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpublish.errors import EndpointRefused, MlpublishError, NotFound, RecipeError
from mlpublish.formats.archive import Archive
from mlpublish.formats.channel import Channel, Entry, ReleaseFacts, bundle_path
from mlpublish.mlflow_plugin.deployments_named import Deployment, name_of
from mlpublish.repository.access import Access, access
from mlpublish.repository.change_report import listed
from mlpublish.repository.change_state import state_of
from mlpublish.repository.endpoint import Endpoint
from mlpublish.repository.head import Head, channel_in, channels_of
from mlpublish.repository.looking import added_by, found
from mlpublish.repository.offering import Approved
from mlpublish.repository.records import Kept
from mlpublish.trust import roles
from mlpublish.trust.releases import held_bundle

FLAVOR = "coreml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """An app's repository as it is verified now, looked at for one deployment.

    Args:
        entry: what the channel offers the app version; None if there is no such deployment.
    """

    wanted: Deployment
    reached: Access
    head: Head
    channel: Channel
    entry: Entry | None

    @property
    def sha256(self) -> str | None:
        """Of the bundle that is offered."""
        return None if self.entry is None else _sha256(self.head, self.entry.release)

    def row(self) -> dict[str, Any]:
        """What ``get`` shows.

        Raises:
            NotFound: there is no such deployment, and no change waits that adds a release for it.
        """
        waiting, adds = self._waiting()
        if self.entry is None and not adds:
            raise NotFound(
                f"There is no deployment {self.wanted.name}.",
                remedy="See mlflow deployments list; or release a model to the channel: mlflow deployments create.",
                field="name",
            )
        entry = self.entry or Entry(app_version=self.wanted.app.version, release=0)
        shown = row_of(self.reached, self.head, self.channel, entry)
        if self.entry is None:
            shown |= dict.fromkeys(("release", "rollout", "paused"))
        return shown | {"waiting": waiting}

    def _waiting(self) -> tuple[list[dict[str, Any]], bool]:
        """The app's open change, if there is one, and whether it adds a release for this app version."""
        try:
            kept = found(self.reached, None)
        except NotFound:
            return [], False
        except EndpointRefused as refusal:  # a channel is read without a token, changes are not
            return [{"problem": str(refusal)}], False
        added = _added(kept, self.head)
        app = self.wanted.app
        return [_change_row(self.reached, self.head, kept, added)], any(
            facts.platform == app.platform and app.version in facts.app_versions for facts in added
        )

    @contextmanager
    def unpacked(self) -> Iterator[Mapping[str, Path]]:
        """Fetch the bundle that is offered, hold it against what is signed, unpack it; gone afterwards.

        Yields:
            Model name -> the model.

        Raises:
            NotFound: there is no such deployment.
            RecipeError: a device would not take the release (withdrawn, below the floor).
            Expired, DigestMismatch, VerificationError: nor what is signed, or what was fetched.
        """
        if self.entry is None:
            raise NotFound(f"There is no deployment {self.wanted.name}.", remedy="See mlflow deployments list.", field="name")
        self.head.refuse_expired()
        number = self.entry.release
        Approved.of(self.head).check(self.wanted.app, number)
        target = self.head.targets.signed.targets[bundle_path(number)]
        with tempfile.TemporaryDirectory(prefix="mlpublish-predict-") as scratch:
            file, folder = Path(scratch, "bundle.zip"), Path(scratch, "bundle")
            self.reached.endpoint.download(self.reached.app_id, roles.stored_at(target), file, length=target.length)
            bundle = held_bundle(self.head.targets.signed, number, file)
            with file.open("rb") as stream:
                Archive.read(stream).unpack(folder)
            yield {model.name: folder / model.path for model in bundle.manifest.models}


def look(wanted: Deployment) -> Live | None:
    """What stands at the endpoint, verified; None if the app has no repository there."""
    reached = reach(wanted)
    if not reached.stands():
        return None
    head = reached.head()
    platform, version = wanted.app.platform, wanted.app.version
    channel = channel_in(head, reached.read, platform, wanted.channel) or Channel(channel=wanted.channel, platform=platform)
    return Live(wanted=wanted, reached=reached, head=head, channel=channel, entry=channel.entry(version))


def must_stand(wanted: Deployment) -> Live:
    """What stands at the endpoint.

    Raises:
        NotFound: the app has no repository there.
    """
    live = look(wanted)
    if live is None:
        raise NotFound(
            f"There is no deployment {wanted.name}: {wanted.app.id} has no repository at {wanted.to}.",
            remedy="Check name and target; mlflow deployments list shows what there is.",
            field="name",
        )
    return live


def reach(wanted: Deployment) -> Access:
    """How the app's repository is read and steered."""
    options = wanted.options
    return access(wanted.app.id, wanted.to, repository=options.get("repository"), signer=options.get("key"), root=wanted.root)


def rows_of(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Everything that the channels of an endpoint's apps offer; an app that cannot be read is a row that says why."""
    shown: list[dict[str, Any]] = []
    for app_id in endpoint.apps():
        try:
            reached = access(app_id, endpoint.uri)
            head = reached.head()
            offered = channels_of(head, reached.read)
            shown += [row_of(reached, head, channel, entry) for channel in offered for entry in channel.entries]
        except MlpublishError as error:
            shown.append({"name": app_id, "flavor": FLAVOR, "endpoint": endpoint.uri, "app": app_id, "problem": str(error)})
    return shown


def row_of(reached: Access, head: Head, channel: Channel, entry: Entry) -> dict[str, Any]:
    """One deployment as MLflow shows it."""
    facts = head.releases.get(entry.release)
    return {
        "name": name_of(reached.app_id, entry.app_version, channel.channel, channel.platform),
        "flavor": FLAVOR,
        "endpoint": reached.endpoint.uri,
        "app": reached.app_id,
        "platform": channel.platform,
        "channel": channel.channel,
        "since": None,
        **entry.to_dict(),
        "bundle": None if facts is None else facts.name,
        "version": None if facts is None else facts.version,
        "sha256": _sha256(head, entry.release),
    }


def chosen(models: Mapping[str, Path], name: str | None, deployment: str) -> Path:
    """The model of a bundle that is meant: its only one, or the one named.

    Raises:
        RecipeError: there are several and none is named, or there is none of that name.
    """
    if name is None and len(models) == 1:
        return next(iter(models.values()))
    if name is not None and name in models:
        return models[name]
    known = ", ".join(models) or "none"
    fact = f"holds {len(models)} models" if name is None else f"holds no model {name!r}"
    example = f"{deployment}#{next(iter(models), 'NAME')}"
    raise RecipeError(f"The bundle {fact}: {known}.", remedy=f"Name one behind the deployment: {example}.", field="name")


def _sha256(head: Head, number: int) -> str | None:
    target = head.targets.signed.targets.get(bundle_path(number))
    return None if target is None else target.hashes["sha256"]


def _added(kept: Kept, head: Head) -> list[ReleaseFacts]:
    """The releases that a change adds to what is current."""
    targets = kept.change.targets()
    facts = {} if targets is None else roles.releases_of(targets.signed)
    return [facts[number] for number in added_by(kept.change, head.present) if number in facts]


def _change_row(reached: Access, head: Head, kept: Kept, added: list[ReleaseFacts]) -> dict[str, Any]:
    report = listed(kept, head.present, state_of(kept, head, reached.read))
    return {
        "change": kept.change.id,
        "what": report.change.intent.summary,
        "state": report.state,
        "signatures": ", ".join(f"{need.role} {len(need.signed)} of {need.threshold}" for need in report.needs),
        "releases": {facts.number: f"{facts.name} {facts.version}" for facts in added},
    }
