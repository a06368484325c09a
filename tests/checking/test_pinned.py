"""Pin-only mode: a zip and a detached RSA signature, made by OpenSSL, on a server or in a folder that know nothing of us."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mlpublish.artifacts import App, Bundle
from mlpublish.checking.check import check
from mlpublish.checking.pinned import names_a_zip
from mlpublish.errors import RecipeError
from mlpublish.formats.status import ProgressStatus, Reason, UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.reports import CheckReport
from tests.checking.conftest import CanceledAt, Lab
from tests.keystores import needs
from tests.web import Web

INTEGRITY, SUCCESS = UpdateStatus.FAILURE_INTEGRITY, UpdateStatus.SUCCESS
BIG = b"weights " * 200_000  # 1.6 MB


def openssl(*words: object) -> None:
    subprocess.run([needs("openssl", "openssl"), *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``rsa.pem``, ``other.pem``, ``long.pem`` (3072 bits), ``ec.pem``, and the public half of each as ``.pub``."""
    folder = tmp_path_factory.mktemp("keys")
    kinds = {"rsa": "rsa_keygen_bits:2048", "other": "rsa_keygen_bits:2048", "long": "rsa_keygen_bits:3072"}
    for name, bits in kinds.items():
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", bits, "-out", folder / f"{name}.pem")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / "ec.pem")
    for name in (*kinds, "ec"):
        openssl("pkey", "-in", folder / f"{name}.pem", "-pubout", "-out", folder / f"{name}.pub")
    return folder


class Plain:
    """A plain server, the key that signs what lies there, and one phone."""

    def __init__(self, folder: Path, keys: Path, app: App, new_bundle: Callable[..., Bundle]) -> None:
        self.folder = folder
        self.served = folder / "served"
        self.served.mkdir(parents=True)
        self.web = Web(self.served)
        self.keys = keys
        self.app = app
        self.new_bundle = new_bundle
        self.phone = folder / "phone"

    @property
    def zip(self) -> Path:
        return self.served / "digits.zip"

    def release(self, content: bytes | Path, key: str = "rsa") -> str:
        """Put a bundle of this model there, or this very file, with its signature; its sha256."""
        shutil.copyfile(content if isinstance(content, Path) else self.new_bundle(content).path, self.zip)
        openssl("dgst", "-sha256", "-sign", self.keys / f"{key}.pem", "-out", f"{self.zip}.sig", self.zip)
        return digest_of(self.zip.read_bytes())

    def check(self, **keywords: Any) -> CheckReport:
        asked: dict[str, Any] = {
            "at": f"{self.web.url}/digits.zip",
            "pin": self.keys / "rsa.pub",
            "device": self.phone,
            "retries": 0,
        }
        self.web.asked.clear()
        return check(self.app, **(asked | keywords))

    def takes(self, **keywords: Any) -> CheckReport:
        report = self.check(**keywords)
        assert report.status is SUCCESS, report.detail
        assert report.sha256 == digest_of(self.zip.read_bytes())
        return report

    def fails(self, status: UpdateStatus, told: str, **keywords: Any) -> CheckReport:
        """A check that ends so; what was in use is in use as before."""
        before = self.in_use()
        report = self.check(**keywords)
        assert report.status is status, report.detail
        assert told in report.detail, report.detail
        assert self.in_use() == before
        return report

    def in_use(self) -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in (self.phone / "releases").rglob("*") if file.is_file()}

    @property
    def asked(self) -> list[str]:
        return [path for path, _ in self.web.asked]

    @property
    def parts(self) -> list[Path]:
        return list((self.phone / "downloads").glob("*"))


@pytest.fixture
def plain(tmp_path: Path, keys: Path, app: App, new_bundle: Callable[..., Bundle]) -> Iterator[Plain]:
    made = Plain(tmp_path / "plain", keys, app, new_bundle)
    yield made
    made.web.close()


@pytest.mark.parametrize("where", ["server", "folder"])
def test_a_zip_that_the_pin_signed_arrives_whole(plain: Plain, where: str) -> None:
    plain.release(b"weights of one")
    report = plain.takes(**({} if where == "server" else {"at": f"file:{plain.zip}"}))
    assert (report.installed, report.offered, report.reason, report.signed_by) == (None, None, None, {})
    assert {name: path.read_bytes() for name, path in report.models.items()} == {"digits": b"weights of one"}
    assert report.downloaded == plain.zip.stat().st_size
    assert list(report.phases) == ["installed", "metadata", "download", "unzip", "self-test", "swap"]
    assert plain.parts == []


def test_the_report_says_what_is_proven_and_what_is_not(plain: Plain) -> None:
    plain.release(b"one")
    for report in (plain.takes(), plain.takes()):
        proven, not_proven = report.verified
        assert "signed the bytes of what is installed" in proven
        assert f"sha256 {plain.takes().sha256}"[:19] in proven
        assert "an older zip that this key signed would be taken too" in not_proven


def test_nothing_new_costs_one_small_request(plain: Plain) -> None:
    plain.release(b"one")
    path = plain.takes().path
    again = plain.takes()
    assert (again.reason, again.path, again.downloaded) == (Reason.ALREADY_INSTALLED, path, 0)
    assert plain.asked == ["/digits.zip.sig"]
    assert again.phases["metadata"].received == 256


def test_the_next_zip_replaces_the_one_in_use_and_the_previous_one_is_kept(plain: Plain) -> None:
    kept = []
    for content in (b"one", b"two", b"three"):
        kept.append(f"pinned-{plain.release(content)[:12]}")
        assert plain.takes().models["digits"].read_bytes() == content
    assert {folder.name for folder in (plain.phone / "releases").iterdir()} == set(kept[1:])


def test_an_older_zip_is_taken_as_the_report_says(plain: Plain) -> None:
    for content in (b"one", b"two", b"one"):
        plain.release(content)
        assert plain.takes().models["digits"].read_bytes() == content


def test_a_download_that_broke_off_is_resumed(plain: Plain) -> None:
    plain.release(BIG)
    plain.web.bend("digits.zip", cut=1_000_000)
    plain.fails(UpdateStatus.FAILURE_DOWNLOADING, "broke off")
    plain.web.heal()
    report = plain.takes()
    assert plain.web.asked[-1][1] == "bytes=1000000-"
    assert report.downloaded == plain.zip.stat().st_size - 1_000_000


def test_a_check_that_ended_after_the_download_does_not_download_again(plain: Plain) -> None:
    plain.release(b"one")
    stopper = Stopper()
    plain.fails(UpdateStatus.CANCELED, "was canceled", listener=stopper, cancel=stopper.cancel)
    assert plain.takes().downloaded == 0
    assert plain.asked == ["/digits.zip.sig"]


def test_a_check_is_canceled_at_every_piece_that_it_hashes_of_a_download(plain: Plain) -> None:
    plain.release(BIG)
    stopper = Stopper()
    plain.fails(UpdateStatus.CANCELED, "was canceled", listener=stopper, cancel=stopper.cancel)
    ended_there = 0
    for look in count(1):
        phases = list(plain.check(cancel=CanceledAt(look)).phases)
        if "unzip" in phases:
            break
        ended_there += "download" in phases
    assert ended_there > len(BIG) // 2**18


def test_what_was_gathered_of_another_zip_is_not_resumed_but_dropped(plain: Plain) -> None:
    plain.release(BIG)
    stopper = Stopper(ProgressStatus.DOWNLOAD_IN_PROGRESS)
    plain.fails(UpdateStatus.CANCELED, "was canceled", listener=stopper, cancel=stopper.cancel)
    left = plain.parts
    assert [part.stat().st_size > 0 for part in left] == [True]
    plain.release(BIG + b"two")
    stopper = Stopper(ProgressStatus.DOWNLOAD_IN_PROGRESS)
    plain.fails(UpdateStatus.CANCELED, "was canceled", listener=stopper, cancel=stopper.cancel)
    assert len(plain.parts) == 1
    assert plain.parts != left
    plain.takes()


def test_a_part_that_the_disk_spoiled_is_fetched_once_more_in_the_same_check(plain: Plain) -> None:
    plain.release(BIG)
    stopper = Stopper(ProgressStatus.DOWNLOAD_IN_PROGRESS)
    plain.fails(UpdateStatus.CANCELED, "was canceled", listener=stopper, cancel=stopper.cancel)
    (part,) = plain.parts
    part.write_bytes(bytes(part.stat().st_size))
    plain.takes()
    assert [span for path, span in plain.web.asked if path == "/digits.zip"][-1] is None


def altered(plain: Plain) -> None:
    data = bytearray(plain.zip.read_bytes())
    data[len(data) // 2] ^= 1
    plain.zip.write_bytes(data)


def signature_of_another_zip(plain: Plain) -> None:
    kept = Path(f"{plain.zip}.sig").read_bytes()
    plain.release(b"three")
    Path(f"{plain.zip}.sig").write_bytes(kept)


def signed_by_another_key(plain: Plain) -> None:
    plain.release(b"two", key="other")


@pytest.mark.parametrize("attack", [altered, signature_of_another_zip, signed_by_another_key])
def test_what_the_pin_did_not_sign_is_never_used(plain: Plain, attack: Callable[[Plain], None]) -> None:
    plain.release(b"one")
    plain.takes()
    plain.release(b"two")
    attack(plain)
    report = plain.fails(INTEGRITY, "digits.zip is not what the pinned key")
    assert report.models["digits"].read_bytes() == b"one"
    assert plain.parts == []


@pytest.mark.parametrize("signature", [b"", b"c2lnbmF0dXJl" * 20, bytes(257), bytes(1025)])
def test_a_signature_of_another_length_is_refused_before_anything_is_downloaded(plain: Plain, signature: bytes) -> None:
    plain.release(b"one")
    Path(f"{plain.zip}.sig").write_bytes(signature)
    plain.fails(INTEGRITY, "raw as openssl dgst -sha256 -sign writes it")
    assert plain.asked == ["/digits.zip.sig"]


def test_a_pin_of_another_length_is_told(plain: Plain) -> None:
    plain.release(b"one")
    plain.fails(INTEGRITY, "digits.zip.sig has 256 bytes; one of the pinned RSA 3072 key", pin=plain.keys / "long.pub")


@pytest.mark.parametrize("where", ["server", "folder"])
def test_nothing_is_taken_without_a_signature(plain: Plain, where: str) -> None:
    plain.release(b"one")
    Path(f"{plain.zip}.sig").unlink()
    at = {} if where == "server" else {"at": f"file:{plain.zip}"}
    plain.fails(UpdateStatus.FAILURE_NETWORK_PROBLEM, "There is no digits.zip.sig beside the zip (404", **at)
    assert plain.parts == []


def test_a_zip_that_is_not_there_is_the_downloads_fault(plain: Plain) -> None:
    plain.release(b"one")
    plain.zip.unlink()
    plain.fails(UpdateStatus.FAILURE_DOWNLOADING, "404")


def test_a_pin_that_is_no_rsa_key_makes_no_sense_here(plain: Plain) -> None:
    plain.release(b"one")
    with pytest.raises(RecipeError, match="The pin is an ECDSA P-256 key; the signature beside a zip is RSA") as told:
        plain.check(pin=plain.keys / "ec.pub")
    assert told.value.field == "pin"
    assert plain.asked == []


def test_an_installed_file_that_was_altered_is_left_for_the_previous_zip(plain: Plain) -> None:
    for content in (b"one", b"two"):
        plain.release(content)
        path = plain.takes().models["digits"]
    path.write_bytes(b"owt")
    report = plain.check()
    assert (report.status, report.models["digits"].read_bytes()) == (INTEGRITY, b"one")
    assert "Something on the device changed the zip " in report.detail
    assert plain.takes().models["digits"].read_bytes() == b"two"


class Stopper:
    """A listener that writes down what it hears, and asks for the end as soon as a phase is heard of."""

    def __init__(self, at: ProgressStatus | None = ProgressStatus.UNZIP_IN_PROGRESS) -> None:
        self.at, self.cancel = at, threading.Event()
        self.heard: list[tuple[Any, ...]] = []

    def on_start(self, total: int) -> None:
        self.heard.append(("start", total))

    def on_progress(self, status: ProgressStatus, total: int, done: int) -> None:
        self.heard.append((status, total, done))
        if self.at is status:
            self.cancel.set()

    def on_finish(self, status: UpdateStatus) -> None:
        self.heard.append(("finish", status))


@pytest.mark.parametrize("says_length", [True, False])
def test_a_listener_hears_the_length_that_the_server_says(plain: Plain, says_length: bool) -> None:
    plain.release(b"one")
    plain.web.bend("digits.zip", length=says_length)
    length = plain.zip.stat().st_size
    ear = Stopper(None)
    plain.takes(listener=ear)
    assert ear.heard[0] == ("start", length if says_length else 0)
    assert (ProgressStatus.DOWNLOAD_IN_PROGRESS, length, length) in ear.heard
    assert [what[0] for what in ear.heard].count("start") == 1
    assert ear.heard[-2][1] == ear.heard[-2][2]
    assert ear.heard[-1] == ("finish", SUCCESS)


@pytest.mark.parametrize(
    ("at", "is_one"),
    [
        ("https://host/digits.zip", True),
        ("HTTP://host.zip/models/digits.zip", True),
        ("https://host.zip", False),
        ("https://host.zip/", False),
        ("https://host/digits.zip?of=me", False),
        ("file:digits.zip", True),
        ("digits.zip", True),
    ],
)
def test_a_zip_is_told_by_its_own_name_and_not_by_its_hosts(at: str, is_one: bool) -> None:
    assert names_a_zip(at) is is_one


@pytest.mark.parametrize("secret", ["/me:secret@host/digits.zip", "me:secret@host/digits.zip", "host/?token=secret.zip"])
@pytest.mark.parametrize("scheme", ["http", "HTTPS", "ftp"])
def test_an_address_of_a_zip_with_a_secret_in_it_is_refused_and_not_shown(plain: Plain, scheme: str, secret: str) -> None:
    with pytest.raises(RecipeError) as caught:
        plain.check(at=f"{scheme}://{secret}")
    assert caught.value.field == "at"
    assert "secret" not in str(caught.value)


DISK = 32 * 1024**2
PLAY = """
import json, sys
from pathlib import Path
from mlpublish.artifacts import App
from mlpublish.checking.check import check
at, pin, disk = sys.argv[1:]
app = App(id="com.acme.digits", version="2.0")
report = check(app, at=at, pin=pin, device=Path(disk, "phone"), retries=0, legacy_zip=True)
parts = [part.stat().st_size for part in Path(disk, "phone", "downloads").iterdir()]
print(json.dumps([report.status.value, report.detail, parts]))
"""


@pytest.mark.parametrize("says_length", [True, False])
def test_a_zip_without_an_end_leaves_room_on_the_disk_and_is_dropped(
    plain: Plain, tmp_path: Path, mounting: Callable[[str, Path], list[str]], says_length: bool
) -> None:
    """Of a disk of 32 MiB a twentieth stays free: 31 MiB are not begun, or taken until then and dropped."""
    plain.release(b"one")
    plain.zip.write_bytes(bytes(DISK - 2**20))
    plain.web.bend("digits.zip", length=says_length)
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [sys.executable, "-c", PLAY, f"{plain.web.url}/digits.zip", str(plain.keys / "rsa.pub"), str(disk)]
    ran = subprocess.run([*mounting(f"tmpfs -o size={DISK} tmpfs", disk), *command], check=True, stdout=subprocess.PIPE)
    status, told, parts = json.loads(ran.stdout)
    assert status == UpdateStatus.FAILURE_NOT_ENOUGH_SPACE.value, told
    assert ("are free on the device" if says_length else "does not say how long the zip is") in told, told
    assert not any(parts)


# ── beside a signed repository ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_repository_may_lie_in_a_folder_that_is_called_as_a_zip_is(lab: Lab, tmp_path: Path) -> None:
    lab.release()
    place = shutil.copytree(lab.development.repository, tmp_path / "all.zip")
    lab.updates_to(1, at=f"file:{place}")


def test_a_device_that_follows_a_repository_does_not_go_back_to_a_bare_zip(lab: Lab, plain: Plain) -> None:
    lab.release()
    lab.updates_to(1)
    plain.release(b"one")
    before = (lab.phone / "state.json").read_bytes()
    with pytest.raises(RecipeError, match="follows a signed repository") as told:
        plain.check(device=lab.phone)
    assert told.value.field == "device"
    assert ((lab.phone / "state.json").read_bytes(), plain.asked) == (before, [])
    lab.updates_to(1)


def test_a_device_moves_on_to_a_signed_repository_and_never_back(lab: Lab, plain: Plain) -> None:
    plain.release(b"one")
    plain.takes(device=lab.phone)
    lab.release(b"signed", offer=False)
    report = lab.check()
    assert (report.status, report.installed) == (SUCCESS, None)
    assert report.models["digits"].read_bytes() == b"one", "until something is offered, the zip stays in use"
    lab.offer(1)
    path = lab.updates_to(1).models["digits"]
    path.write_bytes(b"altered")
    left = lab.check()
    assert (left.status, left.installed, left.path) == (INTEGRITY, None, None)
    assert lab.updates_to(1).reason is None


def test_a_withdrawn_release_is_not_left_for_a_zip_that_no_repository_numbers(lab: Lab, plain: Plain) -> None:
    plain.release(b"one")
    plain.takes(device=lab.phone)
    lab.release()
    lab.updates_to(1)
    lab.policy(withdrawn={1: "biased"})
    report = lab.updates_to(None)
    assert (report.reason, report.path) == (Reason.WITHDRAWN, None)


# ── the predecessor's own zips ──────────────────────────────────────────────────────────────────────────────────────────────


def old_zip(folder: Path, **files: bytes) -> Path:
    """A zip as its tools wrote it: DEFLATE, no manifest, folders as entries."""
    place = folder / "old.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(zipfile.ZipInfo("Model.mlmodelc/"), b"")
        made.writestr("Model.mlmodelc/coremldata.bin", files.get("model", b"weights " * 1000))
        made.writestr("labels.txt", b"Katze\nHund\n")
        made.writestr("für alle #1.txt", b"a name that no bundle has")
        made.writestr("manifest.json", b"not ours")
    return place


def test_a_plain_zip_is_taken_on_request_alone(plain: Plain, tmp_path: Path) -> None:
    plain.release(old_zip(tmp_path))
    plain.fails(UpdateStatus.FAILURE_UNZIPPING, "take zips of other tools with --legacy-zip")
    report = plain.takes(legacy_zip=True)
    assert report.downloaded == 0, "what was refused is kept"
    assert report.path is not None
    assert (report.path / "labels.txt").read_text() == "Katze\nHund\n"
    assert report.models == {"Model": report.path / "Model.mlmodelc"}
    assert plain.takes(legacy_zip=True).reason is Reason.ALREADY_INSTALLED


@pytest.mark.parametrize("trusted", ["root", "pin"])
def test_plain_zips_are_not_asked_for_of_a_signed_repository(lab: Lab, keys: Path, trusted: str) -> None:
    """Nothing there would take one, and nobody would be told."""
    lab.release()
    lab.web.asked.clear()
    what = {} if trusted == "root" else {"pin": keys / "rsa.pub"}
    with pytest.raises(RecipeError, match="is asked as a signed repository") as told:
        lab.check(legacy_zip=True, **what)
    assert told.value.field == "legacy_zip"
    assert "--pin" in told.value.remedy
    assert (lab.web.asked, lab.phone.exists()) == ([], False)


def test_a_bundle_is_a_bundle_where_plain_zips_are_taken_too(plain: Plain) -> None:
    plain.release(b"one")
    assert plain.takes(legacy_zip=True).models["digits"].read_bytes() == b"one"


def add_file(path: Path) -> None:
    (path / "more.txt").write_bytes(b"x")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: (path / "labels.txt").write_bytes(b"Hund\nKatze\n"), "labels.txt of the bundle is altered"),
        (lambda path: (path / "manifest.json").write_bytes(b"ours"), "manifest.json of the bundle is altered"),
        (lambda path: (path / "labels.txt").unlink(), "labels.txt of the bundle is missing"),
        (add_file, "more.txt of the bundle is added"),
    ],
)
def test_a_plain_zip_that_was_altered_on_the_device_is_used_no_more(
    plain: Plain, tmp_path: Path, harm: Callable[[Path], object], told: str
) -> None:
    plain.release(old_zip(tmp_path))
    path = plain.takes(legacy_zip=True).path
    assert path is not None
    harm(path)
    report = plain.check(legacy_zip=True)
    assert (report.status, report.path) == (INTEGRITY, None)
    assert told in report.detail
    assert plain.takes(legacy_zip=True).reason is None


def test_every_model_of_a_plain_zip_is_told(plain: Plain, tmp_path: Path) -> None:
    """By its stem, or by its place where several have the same one; what lies in a model is no other one."""
    names = ["a/m.mlmodel", "b/m.mlmodel", "one.mlmodel", "net.mlpackage/Data/com.apple.CoreML/model.mlmodel"]
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as made:
        for name in names:
            made.writestr(name, name)
    plain.release(tmp_path / "old.zip")
    report = plain.takes(legacy_zip=True)
    assert report.path is not None
    told = {name: place.relative_to(report.path).as_posix() for name, place in report.models.items()}
    assert told == {**{name: name for name in names[:2]}, "one": names[2], "net": "net.mlpackage"}


def test_a_plain_zip_that_lost_its_record_is_fetched_again(plain: Plain, tmp_path: Path) -> None:
    plain.release(old_zip(tmp_path))
    path = plain.takes(legacy_zip=True).path
    assert path is not None
    (path / ".unpacked.json").write_bytes(b"{")
    assert plain.takes(legacy_zip=True).reason is None
