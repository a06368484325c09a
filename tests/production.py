"""A production place as several people hold it: root 2 of 3, app role 2 of 3, two operators, one online key.

Every key lies in a file of its own, outside the place, as if on its holder's machine; whoever acts is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata

from mlpublish.artifacts import App, Bundle, Receipt, Release
from mlpublish.checking.check import check
from mlpublish.formats.policy import Policy
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels, production, review
from mlpublish.repository.apps import Apps
from mlpublish.repository.change_report import ChangeReport
from mlpublish.repository.changes import Changes
from mlpublish.repository.edits import edits_for
from mlpublish.repository.endpoint import endpoint_for
from mlpublish.repository.founding import Held, Holders
from mlpublish.repository.head import Head
from mlpublish.repository.place import Place
from mlpublish.repository.repository import AppRepository
from mlpublish.repository.review import Where
from mlpublish.signing.sign import sign
from mlpublish.storage.in_folder import FolderStore
from mlpublish.trust import roles
from mlpublish.trust.changes import Change, reviewed
from mlpublish.trust.intents import Intent
from mlpublish.trust.keys import new_key_file, read_public
from mlpublish.trust.signer import Signer, signer_for

APP = App(id="com.acme.digits", version="2.0")
TRIO, OPERATORS = ("alice", "bob", "carol"), ("olga", "otto")


@dataclass(frozen=True, kw_only=True)
class Production:
    """A place, and everybody's keys.

    Args:
        folder: the place, with ``server.toml``.
        keys: one file per holder, ``<name>.pem``.
        new_bundle: makes a bundle with this content.
        at: where people reach it: the folder, or a server's URL.
        token: what they show a server.
    """

    folder: Path
    keys: Path
    new_bundle: Callable[..., Bundle]
    at: str
    token: str | None = None
    app: App = APP

    # who is who

    def uri(self, name: str) -> str:
        """The key URI of a holder, whose key is made when it is first asked for (``rsa-…`` is an RSA key)."""
        file = self.keys / f"{name}.pem"
        if not file.is_file():
            new_key_file(file, "rsa" if name.startswith("rsa") else "ecdsa", bits=2048)
        return f"file:{file}"

    def public(self, name: str) -> SSlibKey:
        return read_public(self.uri(name))

    def signer(self, name: str) -> Signer:
        return signer_for(self.uri(name))

    def pin_file(self, name: str) -> Path:
        """The public half of a key as an app pins it."""
        file = self.keys / f"{name}.pub"
        file.write_text(str(self.public(name).keyval["public"]))
        return file

    def id(self, name: str) -> str:
        return self.public(name).keyid

    def holders(self, **held: Held) -> Holders:
        """The usual holders, some of them others."""
        usual = {
            "root": Held(keys=self.publics(TRIO), threshold=2),
            "targets": Held(keys=self.publics(TRIO), threshold=2),
            "channels": Held(keys=self.publics(OPERATORS)),
            "snapshot": Held(keys=self.publics(("online",))),
            "timestamp": Held(keys=self.publics(("online",))),
        }
        return Holders(roles=usual | held)

    def publics(self, names: Iterable[str]) -> tuple[SSlibKey, ...]:
        return tuple(self.public(name) for name in names)

    def served(self, url: str, token: str | None = "admin") -> Production:
        """The same place, reached through its server with the token of a role."""
        return replace(self, at=url, token=None if token is None else (self.folder / "tokens" / token).read_text().strip())

    def for_app(self, app_id: str) -> Production:
        return replace(self, app=App(id=app_id, version="2.0"))

    # what stands there

    @property
    def tree(self) -> Path:
        return self.folder / "repository"

    @property
    def repository(self) -> AppRepository:
        return Apps(self.tree).place_of(self.app.id)

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.tree / self.app.id)

    @property
    def changes(self) -> Changes:
        return Changes(self.repository)

    @property
    def first_root(self) -> Path:
        """What an app build embeds, and reviewers trust."""
        return self.tree / self.app.id / "metadata" / "1.root.json"

    def head(self) -> Head:
        return self.repository.head()

    def policy(self) -> Policy:
        return self.head().policy

    def trusted_in(self, folder: Path, *app_ids: str) -> None:
        """Write what whoever signs has in a folder: the first root of each app (of this one, by default)."""
        known = [self.for_app(app_id) for app_id in app_ids] or [self]
        written = (f'[apps."{each.app.id}"]\nroot = "{each.first_root}"\n' for each in known)
        (folder / "mlpublish.toml").write_text("".join(written))

    # what people do

    def make(self, **held: Held) -> None:
        """``repo init``: the place alone."""
        production.make(self.folder, self.holders(**held), snapshot=self.uri("online"), timestamp=self.uri("online"))

    def add_app(self, *names: str, **policy: Any) -> ChangeReport:
        """``repo add-app``, signed at once by these."""
        wanted = Policy(**({"app_id": self.app.id} | policy))
        return production.add_app(self.folder, wanted, signers=[self.uri(name) for name in names])

    def stand(self, *names: str, **policy: Any) -> Production:
        """An app's repository, made by alice, bob and olga."""
        assert self.add_app(*(names or ("alice", "bob", "olga")), **policy).state == "committed"
        return self

    def where(self, name: str | None = None, **other: Any) -> Where:
        """One holder's side of it; everybody trusts the app's first root once there is one."""
        given: dict[str, Any] = {"app": self.app.id, "at": self.at, "token": self.token}
        given |= {"root": self.first_root} if self.first_root.is_file() else {}
        given |= {} if name is None else {"signer": self.uri(name)}
        return Where(**(given | other))

    def propose(self, name: str, intent: Intent, **keywords: Any) -> ChangeReport:
        return review.propose(self.where(name), intent, **keywords)

    def sign(self, name: str, change_id: str | None = None, **keywords: Any) -> ChangeReport:
        return review.sign(self.where(name), change_id, **keywords)

    def agree(self, intent: Intent, *names: str, **keywords: Any) -> ChangeReport:
        """The first one proposes, the others sign; it must be committed then."""
        first, *others = names
        report = self.propose(first, intent, **keywords)
        for name in others:
            report = self.sign(name, report.change.id)
        assert report.state == "committed", [need.sentence for need in report.needs]
        return report

    def overtake(self) -> None:
        """Bob and carol change the policy at once, past a change that waits for one more signature."""
        intent = policy(expiry_days=60)
        edits = edits_for(intent, self.head(), self.store.read)
        change = Change(app_id=self.app.id, intent=intent, proposed_by="", edits=edits)
        reviews = tuple(reviewed(change, ("targets",), self.signer(name)) for name in ("bob", "carol"))
        endpoint_for(self.at).propose(self.app.id, change, reviews, review.policy_blob(change))

    def signed(self, content: bytes, by: str = "alice", *, number: int | None = None) -> Release:
        out = (
            self.folder.parent / "signed" / f"{self.app.id}-{digest_of(content)[:8]}-{by}-{self.head().targets.signed.version}"
        )
        bundle, signer = self.new_bundle(content), self.signer(by)
        where: dict[str, Any] = {"repository": self.tree, "root": self.first_root}
        return sign(bundle, app=self.app, signer=signer, number=number, out=out, **where)

    def publish(self, content: bytes, by: str = "alice") -> Receipt:
        return publish(self.signed(content, by), to=self.at, token=self.token)

    def release(self, content: bytes, *names: str) -> int:
        """A release that these (alice and bob) approved."""
        first, *others = names or ("alice", "bob")
        receipt = self.publish(content, first)
        for name in others:
            self.sign(name, receipt.change)
        assert receipt.number in self.head().releases
        return receipt.number

    def offer(self, release: int, by: str = "olga", **keywords: Any) -> None:
        given: dict[str, Any] = {"to": self.folder, "root": self.first_root}
        given |= {"app_version": self.app.version, "signer": self.signer(by)}
        channels.set(self.app.id, release=release, **(given | keywords))

    # what devices see, and what time does

    def checked(self, device: str = "phone", **keywords: Any) -> tuple[UpdateStatus, int | None]:
        """How a check of a device ends that embeds the first root, and what it has then."""
        trusted = {} if keywords.keys() & {"pin", "root"} else {"root": self.first_root.read_bytes()}
        place = self.folder.parent / "devices" / device
        report = check(self.app, **({"at": f"file:{self.tree}", "device": place} | trusted | keywords))
        return report.status, report.installed

    def assert_whole(self) -> None:
        """Everything that is current verifies, and every target that it names is there with its bytes."""
        head = self.head()
        for target in (head.targets.signed.targets | head.channels.signed.targets).values():
            target.verify_length_and_hashes(self.store.read(roles.stored_at(target)))

    def expire(self, name: str, *names: str) -> None:
        """Let a role have run out: a version with yesterday's date, signed by these, past every rule of the commit."""
        head, online = self.head(), Place.find(self.folder).online()
        assert online is not None
        if name == "root":
            root = roles.following(head.root, head.root.signed.version + 1, -1)
            self._put(name, roles.signed_by(root, *map(self.signer, names or ("alice", "bob"))))
            return
        versions = {"targets": head.targets.signed.version, roles.CHANNELS: head.channels.signed.version}
        days = {"snapshot": 7.0, "timestamp": 1.0} | ({name: -1.0} if name in ("snapshot", "timestamp") else {})
        if name in versions:
            versions[name] += 1
            role = roles.following(head.role(name), versions[name], -1)
            self._put(
                name, roles.signed_by(role, *map(self.signer, names or ("alice", "bob") if name == "targets" else ("olga",)))
            )
        snapshot = roles.new_snapshot(
            head.snapshot.signed.version + 1, days["snapshot"], versions["targets"], versions["channels"]
        )
        self._put("snapshot", roles.signed_by(snapshot, *online.snapshot))
        stamp = roles.new_timestamp(head.timestamp.signed.version + 1, days["timestamp"], snapshot.signed.version)
        content = roles.signed_by(stamp, *online.timestamp).to_bytes()
        assert self.store.replace_if("metadata/timestamp.json", content, tag=head.tag)

    def _put(self, name: str, role: Metadata[Any]) -> None:
        assert self.store.create(f"metadata/{role.signed.version}.{name}.json", role.to_bytes())


def blobs_of(release: Release) -> dict[str, Path]:
    """sha256 -> what lies in a release's folder: its bundle, and what is signed beside it."""
    return {digest_of(file.read_bytes()): file for file in release.folder.iterdir() if file.is_file()}


def rotation(role: str, *, add: Sequence[SSlibKey] = (), drop: Sequence[str] = (), threshold: int | None = None) -> Intent:
    return Intent(kind="rotate", role=role, add=tuple(add), drop=tuple(drop), threshold=threshold)


def policy(**fields: Any) -> Intent:
    return Intent(kind="policy", **fields)


def withdrawal(*numbers: int, reason: str = "biased") -> Intent:
    return policy(withdraw=dict.fromkeys(numbers, reason))
