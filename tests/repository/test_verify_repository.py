"""A repository is verified whole, from the trusted root down; the first link that is broken is named, with exit code 3."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from mlpublish.artifacts import App, Bundle, Release
from mlpublish.checking.check import check
from mlpublish.errors import (
    EndpointRefused,
    EndpointUnreachable,
    Expired,
    MlpublishError,
    NewerFormat,
    NotFound,
    RecipeError,
    ThresholdNotMet,
    VerificationError,
)
from mlpublish.formats.channel import Channel, Entry, bundle_path, model_signature_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.wire import digest_of
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.repository.development import Development
from mlpublish.repository.sources import InFolder
from mlpublish.repository.verify import verify
from mlpublish.repository.whole import verify_repository
from mlpublish.signing.sign import sign
from mlpublish.trust import roles
from mlpublish.trust.detached import sign_detached
from mlpublish.trust.keys import KeySigner, crypto_signer, new_key, with_holder
from mlpublish.trust.pin import read_pin
from mlpublish.trust.signer import Signer
from mlpublish.trust.trusted import Trust
from tests.authority import Authority
from tests.production import Production
from tests.web import Web

APP = App(id="com.acme.digits", version="2.0")
PIN = crypto_signer(new_key("rsa", bits=2048))
KINDS = {"root": Root, "timestamp": Timestamp, "snapshot": Snapshot, "targets": Targets, "channels": Targets}


@pytest.fixture
def place(development: Development, new_release: Callable[..., Release]) -> Path:
    """An app's repository with two releases, a signature of each kind beside them, and one channel."""
    publish(new_release(b"one"), to=development.folder)
    publish(new_release(b"two", legacy=PIN), to=development.folder)
    channels.set(APP.id, to=development.folder, app_version=APP.version, release=1)
    return development.repository / APP.id


@pytest.fixture
def root(place: Path) -> bytes:
    return (place / "metadata" / "1.root.json").read_bytes()


def current(place: Path, link: str) -> Path:
    """The file that a link names."""
    head = Development(place.parent.parent).app(APP.id).head()
    versions = {"snapshot": head.snapshot, "targets": head.targets, "channels": head.channels}
    name = link.removesuffix(".json")
    if name in versions:
        return place / "metadata" / f"{versions[name].signed.version}.{link}"
    if link in ("timestamp.json", "1.root.json"):
        return place / "metadata" / link
    return place / roles.stored_at((head.targets.signed.targets | head.channels.signed.targets)[link])


def refused(
    place: Path,
    root: bytes | None,
    link: str,
    told: str | None = None,
    kind: type[MlpublishError] = VerificationError,
    **given: Any,
) -> None:
    with pytest.raises(kind, match=told) as caught:
        verify(place, root=root, **given)
    assert (caught.value.exit_code, caught.value.field) == (3, link)
    assert link in caught.value.problem


def resign(place: Path, link: str, change: Callable[[Any], object], signer: Signer | None = None) -> None:
    """Bend what a role says where it stands, and sign it with the key that it is appointed."""
    name, file = link.removesuffix(".json").rpartition(".")[2], current(place, link)
    role: Metadata[Any] = roles.parse(file.read_bytes(), KINDS[name], name)
    change(role.signed)
    role.signatures.clear()
    file.write_bytes(roles.signed_by(role, signer or Development(place.parent.parent).signer(name)).to_bytes())


def swap(place: Path, path: str, content: bytes, role: str = "targets.json", **custom: object) -> None:
    """Put other bytes in the place of a target, and have the role sign them."""

    def change(signed: Targets) -> None:
        before = signed.targets[path]
        told = {**(before.custom or {}), **custom}
        signed.targets[path] = roles.described(path, len(content), digest_of(content), told or None)
        stored = place / roles.stored_at(signed.targets[path])
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(content)

    resign(place, role, change)


# ── what holds ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_whole_repository_is_reported_role_by_role_and_release_by_release(place: Path, root: bytes) -> None:
    report = verify(place, root=root)
    assert (report.kind, report.app_id) == ("repository", APP.id)
    assert [(role.role, role.threshold, role.keys) for role in report.roles] == [
        (name, 1, 1) for name in ("root", "timestamp", "snapshot", "targets", "channels")
    ]
    assert [(part.number, part.app, part.bundle and len(part.bundle.sha256)) for part in report.parts] == [
        (1, APP, 64),
        (2, APP, 64),
    ]
    assert [list(part.signatures) for part in report.parts] == [["model.sig"], ["model.sig"]]
    assert [channel.entries[0].release for channel in report.channels] == [1]
    assert any("releases/2/bundle.zip.sig: it is held against the pinned" in limit for limit in report.parts[1].not_proven)
    assert any("Freshness" in limit for limit in report.not_proven)
    assert report.warnings == ()
    assert json.loads(json.dumps(report.to_dict()))["parts"][1]["files"][-1]["path"] == "manifest.json"


def test_the_development_folder_that_is_named_brings_its_own_root(place: Path, development: Development) -> None:
    for what in (development.folder, f"file:{development.folder}", development.repository, place, str(place)):
        assert verify(what).not_proven[0].startswith("Trust: nobody named a root")
        assert not any(limit.startswith("Trust:") for limit in verify(what, repository=development.folder).not_proven)
    alone = place.parent.parent.parent / "alone" / APP.id
    shutil.copytree(place, alone)
    for what in (alone, alone.parent):
        with pytest.raises(RecipeError, match="no trust on first use"):
            verify(what)
        assert verify(what, repository=development.folder).app_id == APP.id


def test_a_pinned_key_that_signed_the_first_root_stands_for_it(place: Path, root: bytes, development: Development) -> None:
    held = development.signer("root").public_key.keyval["public"]
    assert verify(place, pin=held).parts
    refused(place, None, "1.root.json", "not signed by the pinned key", pin=PIN.public_key.keyval["public"])
    first = roles.parse(root, Root, "root")
    (place / "metadata" / "1.root.json").write_bytes(roles.signed_by(first, PIN).to_bytes())
    report = verify(place, pin=PIN.public_key.keyval["public"])
    assert list(report.parts[1].signatures) == ["releases/2/bundle.zip.sig", "model.sig"]
    assert verify(place, root=root).parts, "a root that was co-signed later says the same"


def test_several_apps_are_verified_each_for_itself(place: Path, root: bytes, development: Development) -> None:
    development.app("com.acme.other")
    report = verify(development.folder)
    assert (report.kind, [part.app_id for part in report.parts]) == ("repositories", [APP.id, "com.acme.other"])
    assert verify(development.folder, app=APP.id).app_id == APP.id
    one = verify(development.folder, root=root)
    assert one.app_id == APP.id, "the root says whose it is"
    assert "no other that may stand here was looked at" in one.not_proven[0]
    with pytest.raises(NotFound, match=r"no repository of com\.acme\.nothing"):
        verify(development.folder, app="com.acme.nothing")
    other = development.repository / "com.acme.other" / "metadata" / "timestamp.json"
    other.write_bytes(other.read_bytes()[:-5])
    with pytest.raises(VerificationError) as caught:
        verify(development.folder)
    assert caught.value.field == "com.acme.other/timestamp.json"


def test_holders_are_told_by_name_and_thresholds_as_they_are(production: Production) -> None:
    named = {name: with_holder(production.public(name), name) for name in ("alice", "bob", "carol")}
    production.stand()
    before = production.head().root

    def by_name(signed: Root) -> None:
        for key in named.values():
            signed.keys[key.keyid] = key

    file = production.first_root
    role = roles.parse(before.to_bytes(), Root, "root")
    by_name(role.signed)
    role.signatures.clear()
    file.write_bytes(roles.signed_by(role, production.signer("alice"), production.signer("carol")).to_bytes())
    report = verify(production.tree / production.app.id, root=file)
    told = report.roles[0]
    assert (told.threshold, told.keys, len(told.signed_by)) == (2, 3, 2)
    assert sorted(each.partition(" ")[0] for each in told.signers) == ["alice", "carol"]


def test_what_ends_soon_is_warned_of(place: Path, root: bytes) -> None:
    def soon(signed: Targets) -> None:
        signed.expires = roles.now() + timedelta(days=13)

    resign(place, "targets.json", soon)
    (warning,) = verify(place, root=root).warnings
    assert warning.startswith("The targets role expires on ")


def test_one_key_under_two_ids_is_told(place: Path, root: bytes, development: Development) -> None:
    """It is one signer, whatever threshold the two ids reach."""
    key = development.signer("targets").public_key
    second = roles.following(roles.parse(root, Root, "root"), 2, 300)
    second.signed.add_key(SSlibKey("ab" * 32, key.keytype, key.scheme, key.keyval), "targets")
    (place / "metadata" / "2.root.json").write_bytes(roles.signed_by(second, development.signer("root")).to_bytes())
    warnings = verify(place, root=root).warnings
    assert any("targets role lists one key under two ids, so one person could sign twice" in each for each in warnings)


def test_a_release_says_of_an_app_only_what_is_an_app_id(new_release: Callable[..., Release], development: Development) -> None:
    """What stands in a folder that somebody handed over becomes no path."""
    release = new_release(b"three")
    outside = development.folder / "metadata"
    outside.mkdir()
    (outside / "1.root.json").write_bytes(development.first_root(APP.id))
    file = release.folder / "release.json"
    for app_id in ("..", "../../x", "a/b", "/etc", ""):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"app": app_id}))
        with pytest.raises(VerificationError, match=r"release\.json: .* is not an app id") as caught:
            verify(release.folder, repository=development.folder)
        assert (caught.value.exit_code, caught.value.field) == (3, "release.json")


def test_a_release_that_was_withdrawn_is_told_where_a_channel_names_it(place: Path, root: bytes) -> None:
    policy = Policy(app_id=APP.id, withdrawn={1: "wrong\nlabels"})
    swap(place, POLICY_PATH, policy.to_bytes(), **policy.to_dict())
    report = verify(place, root=root)
    assert any("names release 1 for 2.0, which is withdrawn" in each for each in report.warnings)
    assert "They withdrew it: wrong\nlabels." in report.parts[0].proven


# ── one byte, at each layer ─────────────────────────────────────────────────────────────────────────────────────────────────

ROLES = ("1.root.json", "timestamp.json", "snapshot.json", "targets.json", "channels.json")
TARGETS = (
    "policy.json",
    "releases/1/bundle.zip",
    "releases/2/bundle.zip",
    "releases/2/bundle.zip.sig",
    "releases/1/model.sig",
    "channels/ios/stable.json",
)


@pytest.mark.parametrize("link", ROLES + TARGETS)
def test_one_byte_that_flips_is_noticed_and_its_link_is_named(place: Path, root: bytes, link: str) -> None:
    file = current(place, link)
    content = file.read_bytes()
    for position in range(0, len(content), max(1, len(content) // 7)):
        for bit in (1, 0x80):
            bent = bytearray(content)
            bent[position] ^= bit
            file.write_bytes(bent)
            refused(place, root, link)
    file.write_bytes(content)
    assert verify(place, root=root).parts


@pytest.mark.parametrize("link", ROLES + TARGETS)
def test_a_link_that_is_cut_missing_or_no_file_is_named(place: Path, root: bytes, link: str) -> None:
    file = current(place, link)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    refused(place, root, link)
    file.unlink()
    refused(place, root, link)
    file.mkdir()
    refused(place, root, link)


# ── links that are signed, and wrong ────────────────────────────────────────────────────────────────────────────────────────


def test_a_foreign_root_and_a_root_of_another_app_prove_nothing(place: Path, root: bytes, development: Development) -> None:
    foreign = Development.make(development.folder.with_name("foreign"))
    foreign.app(APP.id)
    refused(place, foreign.first_root(APP.id), "timestamp.json", kind=ThresholdNotMet)
    development.app("com.acme.other")
    other = development.first_root("com.acme.other")
    with pytest.raises(VerificationError, match=r"is of com\.acme\.other, not of"):
        verify(place, root=other, app=APP.id)
    shutil.copytree(place, place.with_name("com.acme.copy"))
    with pytest.raises(VerificationError, match=r"is of com\.acme\.digits, not of com\.acme\.copy"):
        verify(place.with_name("com.acme.copy"), root=root, app="com.acme.copy")
    resign(place, "channels.json", lambda signed: signed.unrecognized_fields.update({roles.APP_FIELD: "com.acme.other"}))
    refused(place, root, "channels.json", r"of com\.acme\.other, not of")


def test_another_first_root_beside_the_trusted_one_is_noticed(place: Path, root: bytes) -> None:
    """Devices with a root of their own never ask for it; one with a pin would."""
    resign(place, "1.root.json", lambda signed: signed.unrecognized_fields.update(more=1))
    refused(place, root, "1.root.json", "is not the one that is trusted")


def test_a_root_that_nobody_before_it_signed_is_named(place: Path, root: bytes) -> None:
    second = roles.following(roles.parse(root, Root, "root"), 2, 300)
    file = place / "metadata" / "2.root.json"
    file.write_bytes(roles.signed_by(second, PIN).to_bytes())
    refused(place, root, "2.root.json", kind=ThresholdNotMet)
    development = Development(place.parent.parent)
    second.signatures.clear()
    file.write_bytes(roles.signed_by(second, development.signer("root")).to_bytes())
    assert verify(place, root=root).roles[0].version == 2
    assert verify(place, root=file).roles[0].version == 2
    (place / "metadata" / "1.root.json").unlink()
    refused(place, file.read_bytes(), "1.root.json", "cannot be read")


def test_the_roots_before_the_trusted_one_have_to_lead_to_it(place: Path, root: bytes, development: Development) -> None:
    """Apps that were built earlier start from them."""
    second = roles.following(roles.parse(root, Root, "root"), 2, 300)
    trusted = roles.signed_by(second, development.signer("root")).to_bytes()
    (place / "metadata" / "2.root.json").write_bytes(trusted)
    assert verify(place, root=trusted).roles[0].version == 2
    foreign = Development.make(development.folder.with_name("foreign"))
    foreign.app(APP.id)
    (place / "metadata" / "1.root.json").write_bytes(foreign.first_root(APP.id))
    refused(place, trusted, "2.root.json", kind=ThresholdNotMet)
    (place / "metadata" / "1.root.json").write_bytes(trusted)
    refused(place, trusted, "1.root.json", "stands under the number 1")


@pytest.mark.parametrize("link", ["timestamp.json", "snapshot.json", "targets.json", "channels.json"])
def test_a_role_that_ran_out_is_named(place: Path, root: bytes, link: str) -> None:
    resign(place, link, lambda signed: setattr(signed, "expires", roles.now() - timedelta(days=1)))
    refused(place, root, link, "expired on", kind=Expired)


@pytest.mark.parametrize("link", ["snapshot.json", "targets.json", "channels.json"])
def test_a_version_that_nobody_names_is_named(place: Path, root: bytes, link: str) -> None:
    resign(place, link, lambda signed: setattr(signed, "version", signed.version + 7))
    refused(place, root, link, "says version")


def test_a_digest_that_the_timestamp_signs_counts(place: Path, root: bytes) -> None:
    resign(place, "timestamp.json", lambda signed: setattr(signed.snapshot_meta, "length", 7))
    refused(place, root, "snapshot.json", "It is not what is signed")


@pytest.mark.parametrize("link", ["targets.json", "channels.json"])
def test_a_digest_that_the_snapshot_signs_counts(place: Path, root: bytes, link: str) -> None:
    """A device holds a role against it before anything else."""
    resign(place, "snapshot.json", lambda signed: setattr(signed.meta[link], "hashes", {"sha256": "0" * 64}))
    refused(place, root, link, "It is not what is signed")
    said = {"sha256": digest_of(current(place, link).read_bytes())}
    resign(place, "snapshot.json", lambda signed: setattr(signed.meta[link], "hashes", said))
    assert verify(place, root=root).parts


def test_a_policy_file_that_says_something_else_is_named(place: Path, root: bytes) -> None:
    swap(place, POLICY_PATH, Policy(app_id=APP.id, floors={"ios/2.0": 1}).to_bytes())
    refused(place, root, "policy.json", "something else")


@pytest.mark.parametrize(
    ("custom", "told"),
    [
        ({"unpacked_length": 1}, "1 bytes unpacked"),
        ({"manifest_sha256": "0" * 64}, "The app role says"),
        ({"app": "com.acme.other"}, r"signed for com\.acme\.other"),
    ],
)
def test_what_is_signed_of_a_bundle_has_to_be_so(place: Path, root: bytes, custom: dict[str, object], told: str) -> None:
    path = bundle_path(2)
    swap(place, path, current(place, path).read_bytes(), **custom)
    refused(place, root, path, told)


def test_a_bundle_that_was_signed_broken_is_told_by_what_is_broken_in_it(
    place: Path, root: bytes, new_bundle: Callable[..., Bundle]
) -> None:
    from tests.trust.test_verify import alter, rezipped

    swap(place, bundle_path(2), rezipped(new_bundle(b"three"), alter).read_bytes())
    refused(place, root, "models/digits.mlmodel", "altered")
    swap(place, bundle_path(2), b"no zip at all")
    refused(place, root, bundle_path(2), "The archive is refused")


def test_a_model_signature_that_is_signed_and_does_not_hold_is_named(place: Path, root: bytes) -> None:
    swap(place, model_signature_path(1), current(place, model_signature_path(2)).read_bytes())
    refused(place, root, model_signature_path(1), "altered|not listed|is")


def test_a_detached_signature_that_is_not_the_pins_is_named(place: Path, root: bytes) -> None:
    pinned = roles.signed_by(roles.parse(root, Root, "root"), PIN).to_bytes()
    (place / "metadata" / "1.root.json").write_bytes(pinned)
    swap(place, f"{bundle_path(2)}.sig", sign_detached(current(place, bundle_path(1)), PIN))
    pin = PIN.public_key.keyval["public"]
    refused(place, None, f"{bundle_path(2)}.sig", "is not what the key", pin=pin)


def test_a_pin_is_held_against_the_bundle_that_was_read(place: Path, root: bytes) -> None:
    """Whoever writes to the folder meanwhile neither gets another zip told as signed, nor this one as not."""
    pinned = roles.signed_by(roles.parse(root, Root, "root"), PIN).to_bytes()
    (place / "metadata" / "1.root.json").write_bytes(pinned)
    bundle = current(place, bundle_path(2))
    content = bundle.read_bytes()

    class Busy(InFolder):
        def read(self, path: str) -> bytes:
            bundle.write_bytes(b"another" if path.endswith(".bundle.zip.sig") else content)
            return InFolder.read(self, path)

    trust = Trust(pin=read_pin(PIN.public_key.keyval["public"]))
    report = verify_repository(Busy(place), APP.id, trust, what=place, tell=lambda _: None)
    assert list(report.parts[1].signatures) == ["releases/2/bundle.zip.sig", "model.sig"]


def test_a_signature_beside_no_release_is_named(place: Path, root: bytes) -> None:
    resign(place, "targets.json", lambda signed: signed.targets.pop(bundle_path(2)))
    refused(place, root, f"{bundle_path(2)}.sig", "and no release 2")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (Entry(app_version="2.0", release=9), "has no release 9"),
        (Entry(app_version="2.1", release=1), "it is for ios 2.0"),
        (Entry(app_version="2.0", release=2, rollout=5, otherwise=1), "the floor is 2"),
    ],
)
def test_a_channel_that_names_what_devices_refuse_is_named(place: Path, root: bytes, entry: Entry, told: str) -> None:
    policy = Policy(app_id=APP.id, floors={"ios/2.0": 2})
    swap(place, POLICY_PATH, policy.to_bytes(), **policy.to_dict())
    path = "channels/ios/stable.json"
    content = Channel(channel="stable", platform="ios", entries=(entry,)).to_bytes()
    swap(place, path, content, role="channels.json")
    refused(place, root, path, told)


def test_a_role_that_says_what_is_the_others_to_say_is_named(place: Path, root: bytes) -> None:
    target = roles.target_file("releases/3/bundle.zip", b"x")
    resign(place, "channels.json", lambda signed: signed.targets.update({target.path: target}))
    refused(place, root, "channels.json", "has no place there|names")


def test_what_only_a_newer_version_reads_is_not_called_broken(place: Path, root: bytes) -> None:
    content = Channel(channel="stable", platform="ios").to_bytes().replace(b'"format": 1', b'"format": 2')
    swap(place, "channels/ios/stable.json", content, role="channels.json")
    with pytest.raises(NewerFormat) as caught:
        verify(place, root=root)
    assert (caught.value.exit_code, caught.value.field) == (1, "channels/ios/stable.json")


def test_a_path_that_leads_outside_is_not_opened(place: Path, root: bytes) -> None:
    def lead(signed: Targets) -> None:
        signed.targets[bundle_path(2)].hashes["sha256"] = "../../../../private"

    (place.parent.parent / "private.bundle.zip").write_bytes(b"secret")
    resign(place, "targets.json", lead)
    refused(place, root, bundle_path(2), "is no path of a repository")


# ── what is named, and by what way ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_release_takes_its_root_from_what_is_configured(
    new_release: Callable[..., Release], development: Development, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_release(b"one").folder
    with pytest.raises(RecipeError, match="no trust on first use"):
        verify(folder)
    assert verify(folder, repository=development.folder).number == 1
    monkeypatch.setenv("MLPUBLISH_REPOSITORY", str(development.folder))
    assert verify(folder).number == 1
    with pytest.raises(RecipeError, match="no repository of several apps"):
        verify(folder, app=APP.id)


def test_what_is_none_of_all_that_is_told(tmp_path: Path, production: Production) -> None:
    with pytest.raises(NotFound, match="There is no"):
        verify(tmp_path / "nothing")
    with pytest.raises(NotFound, match="holds no repository, no release and no bundle"):
        verify(tmp_path)
    (tmp_path / "change").mkdir()
    (tmp_path / "change" / "change.json").write_text("{}")
    with pytest.raises(NotFound, match="a change that waits") as caught:
        verify(tmp_path / "change")
    assert "mlpublish review show" in caught.value.remedy


def test_a_devices_folder_is_told_with_the_bundles_in_it(
    place: Path, development: Development, root: bytes, tmp_path: Path
) -> None:
    device = tmp_path / "phone"
    checked = check(APP.id, app_version=APP.version, at=f"file:{development.folder}", root=root, device=device)
    assert checked.path is not None
    for given in ({}, {"root": root}):
        with pytest.raises(NotFound, match="is a device's folder, and no bundle") as caught:
            verify(device, **given)
        assert f"mlpublish verify {checked.path}" in caught.value.remedy
    assert verify(checked.path).kind == "unpacked bundle"
    shutil.rmtree(checked.path)
    with pytest.raises(NotFound) as empty:
        verify(device)
    assert f"mlpublish check --device {device}" in empty.value.remedy


def test_a_server_without_an_app_proves_nothing(tmp_path: Path) -> None:
    """Of no repository at all, each holds."""
    web, pin = Web(tmp_path), PIN.public_key.keyval["public"]
    as_json = {"Content-Type": "application/json"}
    web.bend("/v1/apps", body=b'{"apps": []}', headers=as_json)
    with pytest.raises(NotFound, match="has no app"):
        verify(web.url, pin=pin)
    web.bend("/v1/apps", body=b'{"apps": ["../../x"]}', headers=as_json)
    with pytest.raises(VerificationError, match="is not an app id"):
        verify(web.url, pin=pin)
    web.close()


def test_a_server_that_is_busy_is_not_said_to_miss_a_bundle(place: Path, root: bytes) -> None:
    web = Web(place.parent)
    bundle = current(place, bundle_path(2)).name
    web.bend(bundle, status=503)
    with pytest.raises(EndpointUnreachable, match="HTTP 503"):
        verify(f"{web.url}/apps/{APP.id}", root=root)
    web.bend(bundle, page=True)
    with pytest.raises(EndpointRefused, match="text/html"):
        verify(f"{web.url}/apps/{APP.id}", root=root)
    web.close()


def test_an_authority_of_ones_own_is_named(place: Path, root: bytes, new_bundle: Callable[..., Bundle], tmp_path: Path) -> None:
    made, authority = new_bundle(b"one"), Authority(tmp_path)
    shutil.copyfile(made.path, place.parent / "one.zip")
    web = Web(place.parent, tls=authority.server("localhost"))
    for url, given in ((f"{web.url}/apps/{APP.id}", {"root": root}), (f"{web.url}/one.zip", {})):
        with pytest.raises(EndpointUnreachable, match="no authority that is trusted here"):
            verify(url, **given)
        assert verify(url, ca=authority.file, **given).what == url
        with pytest.raises(RecipeError, match="holds no PEM certificate"):
            verify(url, ca=made.path, **given)
    web.close()
    with pytest.raises(RecipeError, match="lies on this disk"):
        verify(made.path, ca=authority.file)


def test_a_server_is_verified_as_its_folder_is(
    place: Path, root: bytes, development: Development, serving: Callable[[Path], AbstractContextManager[Any]]
) -> None:
    with serving(development.folder) as server:
        assert verify(f"{server.url}/apps/{APP.id}", root=root).parts[1].number == 2
        assert verify(server.url, app=APP.id, root=root).what == server.url
        assert verify(server.url, root=root).app_id == APP.id
        assert verify(server.url, repository=development.folder).app_id == APP.id, "the server tells its apps"
        with pytest.raises(RecipeError, match="does not tell which apps") as caught:
            verify(server.url, pin=PIN.public_key.keyval["public"])
        assert "--app" in caught.value.remedy
        with pytest.raises(RecipeError, match="no trust on first use"):
            verify(f"{server.url}/apps/{APP.id}")
        with pytest.raises(NotFound, match="timestamp"):
            verify(f"{server.url}/apps/com.acme.nothing", root=root)
        file = current(place, bundle_path(2))
        file.write_bytes(file.read_bytes() + b"x")
        with pytest.raises(VerificationError, match="more than") as longer:
            verify(server.url, app=APP.id, root=root)
        assert longer.value.field == bundle_path(2)
        server.process.kill()
        server.process.wait()
        with pytest.raises(EndpointUnreachable):
            verify(f"{server.url}/apps/{APP.id}", root=root)


def test_a_zip_at_an_address_is_verified_with_the_signature_beside_it(
    tmp_path: Path, new_bundle: Callable[..., Bundle]
) -> None:
    made = new_bundle(b"one")
    web = Web(made.path.parent)
    url = f"{web.url}/{made.path.name}"
    report = verify(url)
    assert (report.what, report.kind, report.bundle and report.bundle.sha256) == (url, "bundle", made.sha256)
    pin: KeySigner = PIN
    with pytest.raises(VerificationError, match=rf"There is no {url}\.sig, "):
        verify(url, pin=pin.public_key.keyval["public"])
    with pytest.raises(VerificationError, match=f"There is no {web.url}/model.sig, "):
        verify(url, pin=crypto_signer(new_key()).public_key.keyval["public"])
    Path(f"{made.path}.sig").write_bytes(sign_detached(made.path, pin))
    assert verify(url, pin=pin.public_key.keyval["public"]).signatures
    web.bend(made.path.name, cut=100)
    with pytest.raises(EndpointUnreachable):
        verify(url)
    web.bend(made.path.name, page=True)
    with pytest.raises(MlpublishError, match="text/html"):
        verify(url)
    web.bend(made.path.name, status=503)
    with pytest.raises(EndpointUnreachable, match="503"):
        verify(url)
    with pytest.raises(NotFound):
        verify(f"{web.url}/nothing.zip")
    web.close()
    with pytest.raises(EndpointUnreachable):
        verify(url)
    for bad in ("http://user:secret@host/x.zip", "http://host/x.zip?token=secret", "http://", "https://host/a b.zip"):
        with pytest.raises(RecipeError) as caught:
            verify(bad)
        assert "secret" not in str(caught.value)


def test_what_is_read_is_told(place: Path, root: bytes) -> None:
    told: list[str] = []
    verify(place, root=root, progress=told.append)
    assert [each.split(", ")[0] for each in told] == [f"{APP.id}: {bundle_path(number)}" for number in (1, 2)]


def test_an_app_role_of_two_needs_both(production: Production) -> None:
    """The publisher's signature alone is not the app role's, whatever the repository's holder writes there."""
    production.stand()
    place = production.tree / production.app.id
    first = production.first_root.read_bytes()
    assert verify(place, root=first).roles[3].threshold == 2
    file = place / "metadata" / f"{production.head().targets.signed.version}.targets.json"
    role = roles.parse(file.read_bytes(), Targets, "targets")
    kept = next(iter(role.signatures))
    for keyid in list(role.signatures):
        if keyid != kept:
            del role.signatures[keyid]
    file.write_bytes(role.to_bytes())
    refused(place, first, "targets.json", "1 of 2 signatures", kind=ThresholdNotMet)


def test_a_model_signature_of_a_key_that_was_dropped_is_told_as_that(place: Path, root: bytes) -> None:
    development, file = Development(place.parent.parent), current(place, "targets.json")
    new = crypto_signer(new_key())
    second = roles.following(roles.parse(root, Root, "root"), 2, 300)
    second.signed.revoke_key(development.signer("targets").public_key.keyid, "targets")
    second.signed.add_key(new.public_key, "targets")
    (place / "metadata" / "2.root.json").write_bytes(roles.signed_by(second, development.signer("root")).to_bytes())
    role = roles.parse(file.read_bytes(), Targets, "targets")
    role.signatures.clear()
    file.write_bytes(roles.signed_by(role, new).to_bytes())
    report = verify(place, root=root)
    assert any("is none of the app role's by root 2" in limit for limit in report.parts[0].not_proven)
    assert not any("model.sig" in sentence for sentence in report.parts[0].proven)


def test_signing_again_is_verified_as_before(
    new_release: Callable[..., Release], development: Development, tmp_path: Path
) -> None:
    first = new_release(b"one")
    again = sign(first.bundle, repository=development.folder, app=APP, out=tmp_path / "again")
    assert (
        verify(again.folder, repository=development.folder).files == verify(first.folder, repository=development.folder).files
    )
