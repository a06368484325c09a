"""Every layer of a release is held against what was signed; whatever does not fit ends the check and changes nothing."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlpublish.errors import MlpublishError, RecipeError
from mlpublish.formats import archive
from mlpublish.formats.channel import bundle_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.formats.status import UpdateStatus
from mlpublish.repository.development import Development
from mlpublish.trust import roles

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

INTEGRITY, UNZIPPING, UNKNOWN = UpdateStatus.FAILURE_INTEGRITY, UpdateStatus.FAILURE_UNZIPPING, UpdateStatus.FAILURE_UNKNOWN


@pytest.fixture
def waiting(lab: Lab) -> Lab:
    """Release 1 is in use, and release 2 waits."""
    lab.release()
    lab.updates_to(1)
    lab.release()
    return lab


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def newest(lab: Lab, name: str) -> Path:
    head = lab.head()
    number = head.snapshot.signed.version if name == "snapshot" else head.role(name).signed.version
    return lab.store.folder / "metadata" / f"{number}.{name}.json"


def flip_bundle(lab: Lab) -> None:
    flip(lab.stored(2))


def flip_channel_file(lab: Lab) -> None:
    flip(lab.store.folder / roles.stored_at(lab.head().channels.signed.targets["channels/ios/stable.json"]))


def alter(name: str) -> Callable[[Lab], None]:
    def altered(lab: Lab) -> None:
        file = lab.store.folder / "metadata/timestamp.json" if name == "timestamp" else newest(lab, name)
        document = json.loads(file.read_bytes())
        document["signed"]["expires"] = "2099-01-01T00:00:00Z"
        file.write_text(json.dumps(document))

    return altered


def longer_bundle(lab: Lab) -> None:
    lab.stored(2).write_bytes(lab.stored(2).read_bytes() + bytes(1_000_000))


def other_release(lab: Lab) -> None:
    lab.stored(2).write_bytes(lab.stored(1).read_bytes())


def expire(name: str) -> Callable[[Lab], None]:
    def expired(lab: Lab) -> None:
        bent: dict[str, Any] = {name: lambda role: setattr(role, "expires", roles.now() - timedelta(days=1))}
        lab.bend(**bent)

    return expired


def drop_channels(lab: Lab) -> None:
    lab.bend(snapshot=lambda snapshot: snapshot.meta.pop("channels.json"))


def drop_policy(lab: Lab) -> None:
    lab.bend(targets=lambda role: role.targets.pop(POLICY_PATH))


def drop_release(lab: Lab) -> None:
    lab.bend(targets=lambda role: role.targets.pop(bundle_path(2)))


def wrong_channel_file(lab: Lab) -> None:
    lab.channel_file(b"no channel")


def channel_file_of_another_name(lab: Lab) -> None:
    lab.offer(2, channel="beta")
    target = lab.head().channels.signed.targets["channels/ios/beta.json"]
    lab.channel_file(lab.store.read(roles.stored_at(target)))


def endless(lab: Lab) -> None:
    lab.web.bend("timestamp.json", body=b" " * 1_000_000)


def endless_channel_file(lab: Lab) -> None:
    lab.web.bend("stable.json", body=b" " * 1_000_000)


LAYERS: dict[str, Callable[[Lab], object]] = {
    "a byte of the bundle": flip_bundle,
    "a bundle longer than signed": longer_bundle,
    "another release's bundle": other_release,
    "a byte of the channel file": flip_channel_file,
    "altered timestamp": alter("timestamp"),
    "altered snapshot": alter("snapshot"),
    "altered app role": alter("targets"),
    "altered channels role": alter("channels"),
    "expired timestamp": expire("timestamp"),
    "expired snapshot": expire("snapshot"),
    "expired app role": expire("targets"),
    "expired channels role": expire("channels"),
    "channels role dropped from the snapshot": drop_channels,
    "policy dropped from the app role": drop_policy,
    "an unapproved release": drop_release,
    "a release for another app version": lambda lab: lab.facts(2, app_versions=["3.0"]),
    "a release for another platform": lambda lab: lab.facts(2, platform="android"),
    "a release of another app": lambda lab: lab.facts(2, app="com.acme.other"),
    "a release under another number": lambda lab: lab.facts(2, release=3),
    "a release whose facts are broken": lambda lab: lab.facts(2, minimum_os="new"),
    "another manifest than signed": lambda lab: lab.facts(2, manifest_sha256="0" * 64),
    "a channel file that is none": wrong_channel_file,
    "a channel file under another's name": channel_file_of_another_name,
    "a release below the floor": lambda lab: lab.policy(floors={"ios/2.0": 3}),
    "a timestamp without an end": endless,
    "a channel file without an end": endless_channel_file,
    "timestamp that is none": lambda lab: lab.web.bend("timestamp.json", body=b"not signed"),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_is_a_matter_of_integrity_and_changes_nothing(waiting: Lab, layer: str) -> None:
    LAYERS[layer](waiting)
    assert waiting.fails(INTEGRITY).installed == 1
    fresh = waiting.fails(INTEGRITY, device=waiting.folder / "fresh")
    assert (fresh.installed, fresh.path) == (None, None)


def test_the_detail_of_an_expired_role_says_so_and_a_renewal_heals(waiting: Lab) -> None:
    expire("timestamp")(waiting)
    waiting.fails(INTEGRITY, "expired")
    waiting.development.app(waiting.app.id).commit({}, waiting.development.online(), lambda _: None)
    waiting.updates_to(2)


def test_a_flipped_bundle_is_dropped_and_the_repaired_one_is_taken(waiting: Lab) -> None:
    whole = waiting.stored(2).read_bytes()
    flip_bundle(waiting)
    waiting.fails(INTEGRITY, "signed was")
    assert not any((waiting.phone / "downloads").iterdir())
    waiting.stored(2).write_bytes(whole)
    waiting.updates_to(2)


def test_a_bundle_without_an_end_is_not_read_to_its_end(waiting: Lab) -> None:
    length = waiting.stored(2).stat().st_size
    waiting.web.bend("bundle.zip", body=waiting.stored(2).read_bytes() + bytes(64_000_000), length=False)
    waiting.fails(INTEGRITY, "more than was signed")
    assert [part.stat().st_size for part in (waiting.phone / "downloads").iterdir()] == []
    waiting.web.heal()
    assert waiting.updates_to(2).downloaded == length


def test_another_apps_repository_with_the_same_keys_is_refused(waiting: Lab) -> None:
    other = Policy(app_id="com.acme.other")

    def rename(role: Any) -> None:
        role.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, other.to_bytes(), other.to_dict())

    waiting.bend(targets=rename)
    waiting.fails(INTEGRITY, "is for com.acme.other")
    waiting.fails(INTEGRITY, "is for com.acme.other", device=waiting.folder / "fresh")


def python_zip(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, content in files.items():
            made.writestr(name.replace("__", "/"), content)
    return stream.getvalue()


def slip(data: bytes) -> bytes:
    return data.replace(b"models/digits.mlmodel", b"../../../../tmp/digit")


def written(tmp_path: Path, *files: tuple[str, bytes]) -> bytes:
    archive.write(tmp_path / "made.zip", list(files))
    return (tmp_path / "made.zip").read_bytes()


@pytest.mark.parametrize(
    "hostile",
    [
        lambda good, tmp_path: b"",
        lambda good, tmp_path: b"no zip at all",
        lambda good, tmp_path: good[:-1],
        lambda good, tmp_path: good + b"\0",
        lambda good, tmp_path: slip(good),
        lambda good, tmp_path: good.replace(b"weights", b"Weights"),
        lambda good, tmp_path: python_zip(models__digits=b"x"),
        lambda good, tmp_path: written(tmp_path, ("models/digits.mlmodel", b"x")),
    ],
    ids=["nothing", "no zip", "cut", "one byte more", "zip-slip", "wrong CRC", "another writer's", "no manifest"],
)
def test_a_signed_archive_that_is_not_ours_is_not_unzipped(
    waiting: Lab, tmp_path: Path, hostile: Callable[[bytes, Path], bytes]
) -> None:
    waiting.signed_bytes(hostile(waiting.stored(1).read_bytes(), tmp_path))
    report = waiting.fails(UNZIPPING)
    assert (report.installed, report.offered) == (1, 3)
    assert [folder.name[0] for folder in (waiting.phone / "releases").iterdir()] == ["1"]


def test_a_signed_archive_whose_manifest_does_not_say_what_is_inside_is_a_matter_of_integrity(
    waiting: Lab, tmp_path: Path
) -> None:
    with waiting.stored(1).open("rb") as stream:
        opened = archive.Archive.read(stream)
        manifest = opened.content("manifest.json", at_most=10**6)
    smuggled = written(tmp_path, ("models/digits.mlmodel", b"x"), ("files/smuggled", b"y"), ("manifest.json", manifest))
    waiting.signed_bytes(smuggled)
    assert waiting.fails(INTEGRITY, "files/smuggled").installed == 1
    assert [folder.name[0] for folder in (waiting.phone / "releases").iterdir()] == ["1"]


def newer_channel(lab: Lab) -> None:
    target = lab.head().channels.signed.targets["channels/ios/stable.json"]
    document = json.loads(lab.store.read(roles.stored_at(target)))
    lab.channel_file(json.dumps(document | {"format": 2}).encode())


def newer_policy(lab: Lab) -> None:
    lab.bend(targets=lambda role: role.targets[POLICY_PATH].unrecognized_fields["custom"].update(format=2))


@pytest.mark.parametrize("newer", [newer_channel, newer_policy])
def test_a_newer_format_is_unknown_and_asks_for_an_upgrade(waiting: Lab, newer: Callable[[Lab], None]) -> None:
    newer(waiting)
    assert waiting.fails(UNKNOWN, "Upgrade").installed == 1


def test_a_newer_manifest_is_unknown_too(waiting: Lab, tmp_path: Path) -> None:
    manifest = json.dumps({"format_version": 2}).encode()
    waiting.signed_bytes(written(tmp_path, ("manifest.json", manifest)))
    assert waiting.fails(UNKNOWN, "Upgrade").installed == 1


def test_a_listener_that_fails_is_unknown_and_named(waiting: Lab) -> None:
    class Deaf:
        def on_start(self, total: int) -> None:
            raise ZeroDivisionError("nobody listens")

        def on_progress(self, *_: object) -> None:
            raise AssertionError

        def on_finish(self, status: UpdateStatus) -> None:
            assert status is UNKNOWN

    assert waiting.fails(UNKNOWN, "ZeroDivisionError", listener=Deaf()).installed == 1


def test_no_failure_of_a_device_is_an_exception() -> None:
    """Which error ends in which status is one table (checking/outcome.py); every error of ours is in it."""
    from mlpublish.checking.outcome import outcome_of

    def below(kind: type[MlpublishError]) -> list[type[MlpublishError]]:
        return [kind, *(each for inner in kind.__subclasses__() for each in below(inner))]

    for kind in below(MlpublishError):
        status, detail = outcome_of(kind("It is so.", remedy="Do that."))
        assert status is not UpdateStatus.SUCCESS
        assert "It is so." in detail


def test_a_root_of_another_app_is_the_callers_mistake(waiting: Lab, tmp_path: Path) -> None:
    other = Development.make(tmp_path / "other").app("com.acme.other").head().root
    waiting.web.asked.clear()
    with pytest.raises(RecipeError, match=r"not one of com\.acme\.digits: Root 1 is of com\.acme\.other") as refused:
        waiting.check(root=other.to_bytes(), **waiting.fresh())
    assert (refused.value.field, waiting.web.asked) == ("root", [])
