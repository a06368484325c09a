"""The page for reviewers is true: its shell blocks run as they stand over a release of ours, and notice what verify notices."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpublish.artifacts import App, Bundle
from mlpublish.errors import VerificationError
from mlpublish.repository.development import Development
from mlpublish.signing.sign import sign
from mlpublish.trust import keys
from mlpublish.trust.verify import verify

Blocks = Callable[[str, str], list[str]]
Run = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path, development: Development, app: App, new_bundle: Callable[..., Bundle]) -> Path:
    """A release's folder, and beside its files the root and the pinned key that its reader trusts."""
    pin = keys.crypto_signer(keys.new_key("rsa", bits=2048))
    release = sign(new_bundle(version="1"), repository=development.folder, app=app, legacy=pin, out=tmp_path / "release").folder
    (release / "1.root.json").write_bytes(development.first_root(app.id))
    (release / "pin.pem").write_text(str(pin.public_key.keyval["public"]))
    return release


@pytest.fixture
def run(blocks: Blocks, needs: Callable[[str, str], None]) -> Run:
    """Runs every block of the page in a folder, as one reader would, one after the other."""
    for program in ("openssl", "unzip"):
        needs(program, program)
    script = "\n".join(blocks("verifying", "sh"))
    return lambda folder: subprocess.run(
        ["sh", "-eu"], input=script, cwd=folder, check=False, capture_output=True, text=True, timeout=60
    )


def test_every_step_of_the_page_holds(folder: Path, run: Run) -> None:
    ran = run(folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("Verified OK") == 3


@pytest.mark.parametrize("name", ["digits-1.zip", "targets.json", "digits-1.zip.sig", "model.sig"])
def test_one_byte_that_flips_is_noticed_by_hand_as_by_verify(folder: Path, run: Run, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert run(folder).returncode != 0
    detached = name == "digits-1.zip.sig"
    what, trust = (
        (folder / "digits-1.zip", {"pin": folder / "pin.pem"}) if detached else (folder, {"root": folder / "1.root.json"})
    )
    with pytest.raises(VerificationError):
        verify(what, **trust)


def test_a_file_that_was_smuggled_into_the_unpacked_folder_is_noticed(folder: Path, run: Run) -> None:
    (folder / "unpacked" / "models").mkdir(parents=True)
    (folder / "unpacked" / "models" / "more.bin").write_bytes(b"x")
    assert run(folder).returncode != 0


@pytest.mark.parametrize("kind", ["bundle's zip", "unpacked", "release's folder", "repository", "https://host/apps/<app id>"])
def test_what_can_be_named_stands_in_the_table(page: Callable[[str], str], kind: str) -> None:
    rows = [line.split("|")[1] for line in page("verifying").splitlines() if line.startswith("| ")]
    assert any(kind in row for row in rows)
