"""``verify`` gives a report only if every link holds; each broken link is an error that names it. No network, no keys."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import Signature, SSlibKey
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.artifacts import App, Bundle, Release
from mlpublish.errors import (
    BundleError,
    DigestMismatch,
    Expired,
    MlpublishError,
    NewerFormat,
    NotFound,
    RecipeError,
    ThresholdNotMet,
    VerificationError,
)
from mlpublish.formats import archive
from mlpublish.formats.manifest import Manifest
from mlpublish.formats.wire import digest_of
from mlpublish.publishing.publish import publish
from mlpublish.repository.development import Development
from mlpublish.trust import roles
from mlpublish.trust.bundles import open_bundle
from mlpublish.trust.chain import follow_roots
from mlpublish.trust.keys import crypto_signer
from mlpublish.trust.signer import Signer
from mlpublish.trust.verify import evidence_limits, verify
from tests import hands

APP = App(id="com.acme.digits", version="2.0")


@pytest.fixture
def release(new_release: Callable[..., Release]) -> Release:
    return new_release(b"weights of one")


@pytest.fixture
def root(release: Release, development: Development) -> bytes:
    return development.first_root(APP.id)


def refused(kind: type[MlpublishError], release: Release, root: bytes, told: str | None = None) -> None:
    with pytest.raises(kind, match=told):
        verify(release.folder, root=root)


def resign(release: Release, signer: Signer, change: Callable[[Targets], None]) -> None:
    """Bend what the app role says, and sign it with a real key, as an mlpublish that knew no changes wrote it."""
    (release.folder / "change.json").unlink(missing_ok=True)
    file = release.folder / "targets.json"
    role: Metadata[Targets] = roles.parse(file.read_bytes(), Targets, "targets")
    change(role.signed)
    role.signatures.clear()
    file.write_bytes(roles.signed_by(role, signer).to_bytes())


def test_a_whole_release_is_reported_with_who_signed_it_and_what_that_does_not_show(release: Release, root: bytes) -> None:
    report = verify(release.folder, root=root)
    assert (report.kind, report.app, report.number) == ("release", APP, 1)
    assert [(role.role, role.version, role.threshold, len(role.signed_by)) for role in report.roles] == [
        ("root", 1, 1, 1),
        ("targets", 2, 1, 1),
    ]
    assert any("Freshness" in limit for limit in report.not_proven)
    assert any("not from Apple's runtime" in limit for limit in report.not_proven)
    assert json.dumps(report.to_dict())


def test_where_evidence_comes_from_is_what_the_bundle_says_and_no_more(release: Release) -> None:
    (model,) = release.bundle.manifest.models
    assert model.parity is not None

    def told(executor: str) -> str:
        said = replace(model, parity=replace(model.parity, executor=executor))
        (limit,) = evidence_limits(replace(release.bundle, manifest=replace(release.bundle.manifest, models=(said,))))
        return limit

    assert told("mlpublish evaluator 1") == "digits: its evidence comes from mlpublish evaluator 1, not from Apple's runtime."
    assert told("coremltools 9 on macOS 15") == "digits: its evidence comes from coremltools 9 on macOS 15, as the bundle says."
    assert len(told("macOS" * 1000)) < 700


def test_a_root_is_given_as_bytes_or_as_a_file(tmp_path: Path, release: Release, root: bytes) -> None:
    (tmp_path / "1.root.json").write_bytes(root)
    assert verify(release.folder, root=tmp_path / "1.root.json") == verify(str(release.folder), root=root)
    with pytest.raises(NotFound, match="nothing"):
        verify(release.folder, root=tmp_path / "nothing")


def test_without_root_or_pin_nothing_is_trusted(release: Release) -> None:
    with pytest.raises(RecipeError, match="no trust on first use"):
        verify(release.folder)


def test_any_altered_byte_of_the_bundle_is_noticed(release: Release, root: bytes) -> None:
    data = bytearray(release.bundle.path.read_bytes())
    for position in range(0, len(data), 7):
        data[position] ^= 1
        release.bundle.path.write_bytes(data)
        with pytest.raises(DigestMismatch):
            verify(release.folder, root=root)
        data[position] ^= 1
    release.bundle.path.write_bytes(data)
    assert verify(release.folder, root=root)


def test_another_whole_bundle_in_its_place_is_noticed(release: Release, root: bytes, new_bundle: Callable[..., Bundle]) -> None:
    release.bundle.path.write_bytes(new_bundle(b"weights of two").path.read_bytes())
    refused(DigestMismatch, release, root, "not the one that was signed as release 1")


def test_an_altered_role_is_noticed(release: Release, root: bytes) -> None:
    file = release.folder / "targets.json"
    file.write_bytes(file.read_bytes().replace(b'"16.0"', b'"11.0"').replace(b'"13.0"', b'"11.0"'))
    refused(VerificationError, release, root, r"change\.json .* and targets\.json do not say the same")
    (release.folder / "change.json").unlink()
    refused(ThresholdNotMet, release, root, "0 of 1")


def test_a_foreign_key_or_a_foreign_root_proves_nothing(release: Release, root: bytes, tmp_path: Path) -> None:
    foreign = Development.make(tmp_path / "foreign")
    foreign.app(APP.id)
    refused(ThresholdNotMet, release, foreign.first_root(APP.id))
    resign(release, foreign.signer("targets"), lambda _: None)
    refused(ThresholdNotMet, release, root)


def test_expired_roles_are_named(release: Release, root: bytes, development: Development) -> None:
    def ran_out(role: Targets) -> None:
        role.expires = roles.now() - timedelta(days=1)

    resign(release, development.signer("targets"), ran_out)
    refused(Expired, release, root, "targets role expired")
    old = roles.parse(root, Root, "root")
    old.signed.expires = roles.now() - timedelta(days=1)
    old.signatures.clear()
    bygone = roles.signed_by(old, development.signer("root")).to_bytes()
    (release.folder / "roots" / "1.root.json").write_bytes(bygone)
    refused(Expired, release, bygone, "root role expired")


def test_a_role_of_another_app_does_not_count(release: Release, root: bytes, development: Development) -> None:
    development.app("com.acme.other")
    other = roles.parse((development.repository / "com.acme.other/metadata/1.targets.json").read_bytes(), Targets, "targets")

    def swap_policy(role: Targets) -> None:
        role.targets["policy.json"] = other.signed.targets["policy.json"]

    resign(release, development.signer("targets"), swap_policy)
    refused(VerificationError, release, root, "is for com.acme.other")


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("app", "com.acme.other", VerificationError),
        ("platform", "android", VerificationError),
        ("app_version", "2.1", VerificationError),
        ("number", 2, VerificationError),
        ("number", 0, VerificationError),
        ("app", "../etc", VerificationError),
        ("bundle", "../../etc/passwd", VerificationError),
        ("format", 2, NewerFormat),
    ],
)
def test_the_record_only_says_where_to_look(
    release: Release, root: bytes, field: str, value: object, kind: type[MlpublishError]
) -> None:
    file = release.folder / "release.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    refused(kind, release, root)


def test_a_release_that_stands_under_another_number_is_no_release(
    release: Release, root: bytes, development: Development
) -> None:
    def move(role: Targets) -> None:
        role.targets["releases/7/bundle.zip"] = role.targets.pop("releases/1/bundle.zip")

    resign(release, development.signer("targets"), move)
    refused(VerificationError, release, root, "releases/7")


@pytest.mark.parametrize("custom", ["a text", 7, []])
def test_a_release_whose_facts_are_no_object_is_refused(
    release: Release, root: bytes, development: Development, custom: object
) -> None:
    def bend(role: Targets) -> None:
        role.targets["releases/1/bundle.zip"].unrecognized_fields["custom"] = custom

    resign(release, development.signer("targets"), bend)
    refused(VerificationError, release, root, r"^targets\.json: ")


@pytest.mark.parametrize("part", ["release.json", "targets.json", "bundle"])
def test_a_part_that_is_missing_or_cut_is_named(release: Release, root: bytes, part: str) -> None:
    file = release.bundle.path if part == "bundle" else release.folder / part
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(VerificationError) as caught:
        verify(release.folder, root=root)
    assert caught.value.field == file.name
    file.unlink()
    refused(
        NotFound if part == "release.json" else VerificationError, release, root, "There is no|cannot be read|is no release"
    )


@pytest.mark.parametrize("part", ["targets.json", "change.json", "roots/1.root.json", "model.sig", "bundle"])
def test_one_byte_of_a_link_that_flips_is_noticed_and_the_link_is_named(release: Release, root: bytes, part: str) -> None:
    file = release.bundle.path if part == "bundle" else release.folder / part
    content = file.read_bytes()
    link = {"targets.json": "change.json", "roots/1.root.json": "1.root.json", "bundle": file.name}.get(part, part)
    for position in range(0, len(content), len(content) // 12):
        bent = bytearray(content)
        bent[position] ^= 1
        file.write_bytes(bent)
        with pytest.raises(VerificationError) as caught:
            verify(release.folder, root=root)
        assert caught.value.field in (link, part, part.partition("/")[0])
        assert caught.value.field in caught.value.problem


def test_a_model_signature_is_told_by_whoever_the_trusted_root_says(
    release: Release, root: bytes, development: Development
) -> None:
    report = verify(release.folder, root=root)
    assert report.signatures == {"model.sig": development.signer("targets").public_key.keyid}
    assert any("a holder of the app role, signed every file" in sentence for sentence in report.proven)
    assert any("nor that the app role's threshold agreed" in limit for limit in report.not_proven)
    assert [str(entry.path) for entry in report.files][-2:] == ["models/digits.mlmodel", "manifest.json"]


@pytest.mark.parametrize(
    "lie",
    [
        {"name": "other"},
        {"version": "9"},
        {"unpacked_length": 1},
        {"minimum_os": "99.0"},
        {"manifest_sha256": "0" * 64},
    ],
)
def test_what_is_signed_of_a_bundle_has_to_be_so(
    release: Release, root: bytes, development: Development, lie: dict[str, object]
) -> None:
    def bend(role: Targets) -> None:
        custom = role.targets["releases/1/bundle.zip"].unrecognized_fields["custom"]
        assert lie.keys() <= custom.keys()
        custom.update(lie)

    resign(release, development.signer("targets"), bend)
    refused(VerificationError, release, root, "The app role says of release 1")
    with pytest.raises(VerificationError, match="The app role says of release 1"):
        publish(release, to=development.folder)


def test_one_key_under_two_ids_is_told(release: Release, root: bytes, development: Development) -> None:
    """TUF counts ids, so that its holder reaches a threshold of two alone."""
    role, signer = roles.parse(root, Root, "root"), development.signer("targets")
    key, other = signer.public_key, "ab" * 32
    role.signed.add_key(SSlibKey(other, key.keytype, key.scheme, key.keyval), "targets")
    role.signed.roles["targets"].threshold = 2
    role.signatures.clear()
    twice = roles.signed_by(role, development.signer("root")).to_bytes()
    (release.folder / "roots" / "1.root.json").write_bytes(twice)
    resign(release, signer, lambda _: None)
    file = release.folder / "targets.json"
    targets = roles.parse(file.read_bytes(), Targets, "targets")
    targets.signatures[other] = Signature(other, targets.signatures[key.keyid].signature)
    file.write_bytes(targets.to_bytes())
    report = verify(release.folder, root=twice)
    assert len(report.roles[1].signed_by) == 2
    assert any("targets role lists one key under two ids, so one person could sign twice" in each for each in report.warnings)


def test_what_is_no_root_is_a_call_that_makes_no_sense(release: Release, tmp_path: Path) -> None:
    for wrong in (release.folder / "targets.json", (release.folder / "targets.json").read_bytes(), b""):
        with pytest.raises(RecipeError, match="is no root of an app") as caught:
            verify(release.folder, root=wrong)
        assert (caught.value.exit_code, caught.value.field) == (2, "root")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFound, match="no regular file"):
        verify(release.folder, root=tmp_path / "pipe")


def test_a_release_brings_its_own_signatures(release: Release, root: bytes) -> None:
    with pytest.raises(RecipeError, match="brings its own"):
        verify(release.folder, root=root, signature=release.folder / "model.sig")


def rotated(release: Release, development: Development, old: Signer, new: Signer) -> bytes:
    """Root 2, which hands the app role to a new key; signed by whom it is told."""
    second = roles.parse((release.folder / "roots" / "1.root.json").read_bytes(), Root, "root")
    second.signed.version = 2
    second.signed.revoke_key(development.signer("targets").public_key.keyid, "targets")
    second.signed.add_key(new.public_key, "targets")
    second.signatures.clear()
    (release.folder / "roots" / "2.root.json").write_bytes(roles.signed_by(second, old).to_bytes())
    return second.to_bytes()


def test_a_root_rotation_that_comes_along_is_followed(release: Release, root: bytes, development: Development) -> None:
    new = crypto_signer(ec.generate_private_key(ec.SECP256R1()))
    rotated(release, development, development.signer("root"), new)
    refused(ThresholdNotMet, release, root)
    resign(release, new, lambda _: None)
    assert [role.version for role in verify(release.folder, root=root).roles] == [2, 2]


def test_a_root_rotation_that_the_old_root_did_not_sign_is_refused(
    release: Release, root: bytes, development: Development
) -> None:
    """It holds by its own word alone: the attacker made itself the holder of every role."""
    attacker = crypto_signer(ec.generate_private_key(ec.SECP256R1()))
    second = hands.one_key_root(attacker)
    second.signed.version = 2
    (release.folder / "roots" / "2.root.json").write_bytes(roles.signed_by(second, attacker).to_bytes())
    resign(release, attacker, lambda _: None)
    refused(ThresholdNotMet, release, root, "root role")


def test_a_pin_stands_for_the_root_that_it_signed(release: Release, development: Development, tmp_path: Path) -> None:
    pinned = development.signer("root")
    text = pinned.public_key.keyval["public"]
    assert verify(release.folder, pin=text).number == 1
    in_one_line = "".join(line for line in text.splitlines() if "-----" not in line)
    assert verify(release.folder, pin=in_one_line).number == 1
    (tmp_path / "pin.pem").write_text(text)
    assert verify(release.folder, pin=tmp_path / "pin.pem").number == 1
    other = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(VerificationError, match="not signed by the pinned key"):
        verify(release.folder, pin=other.decode())


def test_a_bare_bundle_is_whole_or_not_and_nobody_signed_it(new_bundle: Callable[..., Bundle], root: bytes) -> None:
    made = new_bundle(b"one")
    report = verify(made.path)
    assert (report.kind, report.app, report.number, report.roles) == ("bundle", None, None, ())
    assert "Nobody's signature was checked" in report.not_proven[0]
    with pytest.raises(RecipeError, match="no root signs one"):
        verify(made.path, root=root)


def test_a_folder_that_is_none_and_a_name_that_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is no release"):
        verify(tmp_path)
    with pytest.raises(NotFound, match="nothing"):
        verify(tmp_path / "nothing")


def rezipped(made: Bundle, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The bundle's archive again, well formed, with other files in it."""
    with made.path.open("rb") as stream:
        opened = archive.Archive.read(stream)
        files = {entry.name: b"".join(opened.chunks(entry)) for entry in opened.entries}
    change(files)
    place = made.path.with_name("bent.zip")
    archive.write(place, list(files.items()))
    return place


def smuggle(files: dict[str, bytes]) -> None:
    files["models/smuggled.mlmodel"] = b"hello"


def lose(files: dict[str, bytes]) -> None:
    del files["models/digits.mlmodel"]


def alter(files: dict[str, bytes]) -> None:
    files["models/digits.mlmodel"] = b"other"


def lose_the_model_and_its_line(files: dict[str, bytes]) -> None:
    lose(files)
    document = json.loads(files["manifest.json"])
    files["manifest.json"] = json.dumps(document | {"files": []}).encode()


@pytest.mark.parametrize(
    ("change", "told"),
    [(smuggle, "not listed"), (lose, "missing"), (alter, "altered"), (lose_the_model_and_its_line, "not in the bundle")],
)
def test_a_bundle_whose_manifest_does_not_say_what_is_inside_is_refused(
    new_bundle: Callable[..., Bundle], change: Callable[[dict[str, bytes]], object], told: str
) -> None:
    with pytest.raises(DigestMismatch, match=told):
        open_bundle(rezipped(new_bundle(b"one"), change))


def test_a_zip_without_a_manifest_and_one_with_a_newer_one(new_bundle: Callable[..., Bundle]) -> None:
    made = new_bundle(b"one")
    with pytest.raises(BundleError, match=r"no manifest\.json"):
        open_bundle(rezipped(made, lambda files: files.pop("manifest.json")))
    made.path.with_name("bent.zip").unlink()

    def newer(files: dict[str, bytes]) -> None:
        files["manifest.json"] = json.dumps(json.loads(files["manifest.json"]) | {"format_version": 2}).encode()

    with pytest.raises(NewerFormat):
        open_bundle(rezipped(made, newer))


@pytest.mark.parametrize("made_by", ["infozip", "bsdtar", "java"])
def test_a_plain_zip_is_told_as_one_with_what_to_do(made_by: str) -> None:
    plain = Path(__file__).parents[1] / "formats" / "zips" / f"{made_by}.zip"
    with pytest.raises(VerificationError, match="a plain zip and no bundle") as caught:
        verify(plain)
    assert caught.value.field == plain.name
    assert "mlpublish bundle" in caught.value.remedy
    assert "mlpublish check --legacy-zip" in caught.value.remedy


def test_an_opened_bundle_is_the_bundle_that_was_made(new_bundle: Callable[..., Bundle]) -> None:
    made = new_bundle(b"one")
    told = list[int]()
    assert open_bundle(made.path, told.append) == made
    assert sum(told) == Manifest.from_bytes(made.manifest.to_bytes()).unpacked_length + len(made.manifest.to_bytes())
    assert made.sha256 == digest_of(made.path.read_bytes())


@pytest.mark.parametrize("foreign", [1, 2])
def test_every_root_on_the_way_is_the_apps_own(root: bytes, development: Development, foreign: int) -> None:
    """Apps of one house share root keys: one of another app in between has good signatures."""
    chain = [roles.parse(root, Root, "root")]
    chain += [roles.following(chain[0], version, 100) for version in (2, 3)]
    chain[foreign - 1].signed.unrecognized_fields[roles.APP_FIELD] = "com.acme.sandbox"
    signed = [roles.signed_by(Metadata(each.signed), development.signer("root")).to_bytes() for each in chain]
    assert follow_roots(signed[0], signed).newest.signed.version == 3
    with pytest.raises(VerificationError, match=rf"Root {foreign} is of com\.acme\.sandbox"):
        follow_roots(signed[0], signed, APP.id)
