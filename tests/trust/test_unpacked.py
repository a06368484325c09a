"""A bundle that was unpacked is verified as its zip is; nothing in it is executed, and what lies there is never followed."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlpublish.artifacts import Bundle, ConvertedModel
from mlpublish.bundling.bundle import bundle
from mlpublish.errors import NewerFormat, NotFound, RecipeError, VerificationError
from mlpublish.repository.development import Development
from mlpublish.signing.sign import sign
from mlpublish.trust.detached import sign_detached
from mlpublish.trust.keys import crypto_signer, new_key
from mlpublish.trust.model_signature import MODEL_SIGNATURE, contents_of, name_of, sign_model
from mlpublish.trust.signer import Signer
from mlpublish.trust.verify import verify

KEY = crypto_signer(new_key())


def text_of(signer: Signer) -> str:
    return str(signer.public_key.keyval["public"])


@pytest.fixture
def made(new_bundle: Callable[..., Bundle]) -> Bundle:
    return new_bundle(b"weights of one")


@pytest.fixture
def unpacked(tmp_path: Path, made: Bundle) -> Path:
    folder = tmp_path / "unpacked" / "current"
    with zipfile.ZipFile(made.path) as opened:
        opened.extractall(folder)
    return folder


def refused(folder: Path, link: str, told: str, **given: object) -> None:
    with pytest.raises(VerificationError, match=told) as caught:
        verify(folder, **given)  # type: ignore[arg-type]
    assert caught.value.field == link
    assert link in caught.value.problem


def test_every_file_is_told_with_its_digest_and_that_nobody_signed_it(unpacked: Path, made: Bundle) -> None:
    report = verify(unpacked)
    assert (report.kind, report.bundle, report.manifest) == ("unpacked bundle", None, made.manifest)
    assert {str(entry.path): entry.sha256 for entry in report.files} == contents_of(made)
    assert report.files == verify(made.path).files
    assert "Nobody's signature was checked" in report.not_proven[0]


@pytest.mark.parametrize(
    ("link", "told"),
    [("models/digits.mlmodel", "altered"), ("manifest.json", r"manifest\.json"), ("models", "no regular file")],
)
def test_what_was_altered_is_named(unpacked: Path, link: str, told: str) -> None:
    place = unpacked / link
    if place.is_dir():
        place.rename(unpacked.parent / "elsewhere")
        place.symlink_to(unpacked.parent / "elsewhere")
    else:
        place.write_bytes(bytes([place.read_bytes()[0] ^ 1]) + place.read_bytes()[1:])
    refused(unpacked, link, told)


@pytest.mark.parametrize("link", ["models/digits.mlmodel", "manifest.json"])
def test_what_is_cut_or_missing_is_named(unpacked: Path, link: str) -> None:
    place = unpacked / link
    place.write_bytes(place.read_bytes()[:-9])
    refused(unpacked, link, r"altered|is not a JSON document")
    place.unlink()
    if link == "manifest.json":  # then it is no bundle at all
        with pytest.raises(NotFound, match="no folder of an unpacked one"):
            verify(unpacked)
    else:
        refused(unpacked, link, "missing")


@pytest.mark.parametrize(
    "name", ["models/more.bin", ".hidden", ".git/hooks/post-checkout", "a\nproven  all is well", "sub/model.sig"]
)
def test_what_was_added_is_named_whatever_it_is_called(unpacked: Path, name: str) -> None:
    (unpacked / name).parent.mkdir(parents=True, exist_ok=True)
    (unpacked / name).write_bytes(b"x")
    refused(unpacked, name, "not listed in the manifest")


def test_a_name_that_is_no_text_can_be_told(unpacked: Path) -> None:
    (unpacked / os.fsdecode(b"\xff")).write_bytes(b"x")
    refused(unpacked, "?", "not listed in the manifest")


def test_neither_a_link_nor_a_pipe_nor_a_device_is_opened(unpacked: Path, tmp_path: Path) -> None:
    model = unpacked / "models" / "digits.mlmodel"
    (tmp_path / "same").write_bytes(model.read_bytes())
    model.unlink()
    model.symlink_to(tmp_path / "same")
    refused(unpacked, "models/digits.mlmodel", "no regular file")
    model.unlink()
    os.mkfifo(model)
    refused(unpacked, "models/digits.mlmodel", "no regular file")


def put(kind: str, place: Path, elsewhere: Path) -> None:
    """Something there that is no regular file."""
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        (elsewhere / "link").write_text("{}")
        place.symlink_to(elsewhere / kind)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "link to nothing"])
@pytest.mark.parametrize("trusting", [True, False])
def test_a_model_signature_that_is_no_file_is_named(
    unpacked: Path, development: Development, tmp_path: Path, kind: str, trusting: bool
) -> None:
    put(kind, unpacked / MODEL_SIGNATURE, tmp_path)
    development.app("com.acme.digits")
    trust = {"root": development.first_root("com.acme.digits")} if trusting else {}
    refused(unpacked, MODEL_SIGNATURE, "no regular file", **trust)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to nothing"])
def test_a_model_signature_beside_a_zip_that_is_no_file_is_named(made: Bundle, tmp_path: Path, kind: str) -> None:
    put(kind, made.path.with_name(MODEL_SIGNATURE), tmp_path)
    refused(made.path, MODEL_SIGNATURE, "no regular file|symbolic link|directory", pin=text_of(KEY))
    assert f"{MODEL_SIGNATURE}: it is held against a key only" in " ".join(verify(made.path).not_proven)


def test_what_lies_deeper_than_any_file_may_is_named_and_not_walked(unpacked: Path) -> None:
    here = os.open(unpacked, os.O_RDONLY)
    for _ in range(40):  # deeper than a path can be long
        os.mkdir("d" * 200, dir_fd=here)
        here, before = os.open("d" * 200, os.O_RDONLY, dir_fd=here), here
        os.close(before)
    os.close(here)
    refused(unpacked, "d" * 200, "deeper")


def test_a_folder_as_deep_as_a_file_may_lie_is_walked(unpacked: Path) -> None:
    (unpacked / "/".join("d" * 31)).mkdir(parents=True)
    assert verify(unpacked).kind == "unpacked bundle"
    (unpacked / "/".join("d" * 32)).mkdir(parents=True)
    refused(unpacked, "d", "deeper")


def test_a_newer_manifest_is_not_called_broken(unpacked: Path) -> None:
    manifest = unpacked / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(NewerFormat):
        verify(unpacked)


def test_its_model_signature_is_held_against_a_key(unpacked: Path, made: Bundle, tmp_path: Path) -> None:
    signature = sign_model(contents_of(made), KEY, name=name_of(made))
    for place in (unpacked / MODEL_SIGNATURE, unpacked.parent / MODEL_SIGNATURE, tmp_path / "elsewhere.sig"):
        place.write_bytes(signature)
        report = verify(unpacked, pin=text_of(KEY), signature=None if place.name == MODEL_SIGNATURE else place)
        assert report.signatures == {place.name: KEY.public_key.keyid}
        assert any("nor that they are the newest" in limit for limit in report.not_proven)
        assert any("signed every file" in sentence for sentence in report.proven)
        if place.name == MODEL_SIGNATURE:
            assert any("--pin or --root" in limit for limit in verify(unpacked).not_proven)
            place.unlink()
    refused(unpacked, MODEL_SIGNATURE, "There is no", pin=text_of(KEY))
    (unpacked / MODEL_SIGNATURE).write_bytes(signature[:-20])
    refused(unpacked, MODEL_SIGNATURE, "is not a JSON document", pin=text_of(KEY))
    (unpacked / MODEL_SIGNATURE).write_bytes(signature)
    refused(unpacked, MODEL_SIGNATURE, "not signed by a key", pin=text_of(crypto_signer(new_key())))


def test_the_zip_is_held_against_a_model_signature_too(made: Bundle) -> None:
    made.path.with_name(MODEL_SIGNATURE).write_bytes(sign_model(contents_of(made), KEY, name=name_of(made)))
    assert verify(made.path, pin=text_of(KEY)).signatures == {MODEL_SIGNATURE: KEY.public_key.keyid}


def test_a_root_stands_for_the_keys_of_its_app_role(
    unpacked: Path, made: Bundle, development: Development, app: object
) -> None:
    release = sign(made, repository=development.folder, app=app, out=unpacked.parent / "release")  # type: ignore[arg-type]
    root = development.first_root("com.acme.digits")
    with pytest.raises(RecipeError, match="no root signs one"):
        verify(unpacked, root=root)
    report = verify(unpacked, root=root, signature=release.folder / MODEL_SIGNATURE)
    assert report.signatures == {MODEL_SIGNATURE: development.signer("targets").public_key.keyid}
    assert any("a release needs 1 of its signatures" in limit for limit in report.not_proven)
    foreign = Development.make(unpacked.parent / "foreign")
    foreign.app("com.acme.digits")
    refused(
        unpacked,
        MODEL_SIGNATURE,
        "not signed by a key",
        root=foreign.first_root("com.acme.digits"),
        signature=release.folder / MODEL_SIGNATURE,
    )


def test_what_does_not_go_together_is_told_before_anything_is_read(unpacked: Path, made: Bundle, tmp_path: Path) -> None:
    rsa = crypto_signer(new_key("rsa", bits=2048))
    (tmp_path / "its.sig").write_bytes(sign_detached(made.path, rsa))
    assert verify(made.path, pin=text_of(rsa), signature=tmp_path / "its.sig").signatures == {"its.sig": rsa.public_key.keyid}
    with pytest.raises(RecipeError, match="signs a bundle's zip"):
        verify(unpacked, pin=text_of(rsa))
    with pytest.raises(RecipeError, match="nothing that is trusted to have made it"):
        verify(unpacked, signature=tmp_path / "its.sig")
    with pytest.raises(NotFound, match=r"no\.sig"):
        verify(unpacked, pin=text_of(KEY), signature=tmp_path / "no.sig")


# ── nothing goes off ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.marker,)


WATCHED = ("pickle.find_class", "os.system", "os.exec", "subprocess.Popen", "socket.connect", "socket.getaddrinfo")
WATCH = f"""
import sys
def hook(event, arguments):
    if event in {WATCHED!r}:
        print("WENT OFF:", event, arguments, file=sys.stderr)
sys.addaudithook(hook)
from mlpublish.cli.main import main
main()
"""


def test_bombs_of_every_kind_do_not_go_off(tmp_path: Path, new_model: Callable[..., ConvertedModel]) -> None:
    marker, bombs, golden = tmp_path / "boom", tmp_path / "bombs", tmp_path / "golden"
    for folder in (bombs, golden):
        folder.mkdir()
    pickled = pickle.dumps(Bomb(marker))
    pickle.loads(pickled)
    assert marker.exists(), "it would go off"
    marker.unlink()
    (bombs / "model.pkl").write_bytes(pickled)
    with zipfile.ZipFile(bombs / "weights.pth", "w") as archived:
        archived.writestr("archive/data.pkl", pickled)
    touch = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n"
    (bombs / "site.pth").write_text(touch)
    for name in ("sitecustomize.py", "conftest.py", "mlpublish.py"):
        (bombs / name).write_text(touch)
    array = io.BytesIO()
    np.save(array, np.array([Bomb(marker)], dtype=object), allow_pickle=True)
    (golden / "input.npy").write_bytes(array.getvalue())
    made = bundle(new_model(golden=golden), files=sorted(bombs.iterdir()), name="bombs", out=tmp_path / "bombs.zip")
    with zipfile.ZipFile(made.path) as opened:
        opened.extractall(tmp_path / "unpacked")
    for what in (made.path, tmp_path / "unpacked"):
        ran = subprocess.run(
            [sys.executable, "-c", WATCH, "verify", str(what), "--files"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert "evidence/digits/input.npy" in ran.stdout
        assert not marker.exists()


def test_the_watch_would_see_it() -> None:
    script = WATCH.partition("from mlpublish")[0] + "import pickle, os; pickle.loads(pickle.dumps(os.getcwd))"
    assert (
        "WENT OFF: pickle.find_class" in subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stderr
    )
