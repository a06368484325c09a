"""What one step hands to the next: kept by content, checked again before it is used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlpublish.errors import DigestMismatch, NotFound, RecipeError
from mlpublish.formats.wire import digest_of
from mlpublish.storage.artifacts import FOLDER_TYPE, Artifact, ArtifactStore


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file:{tmp_path / 'store'}")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    file = tmp_path / "bundle.zip"
    file.write_bytes(b"bundle")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.mlpackage" / "Data").mkdir(parents=True)
    (tmp_path / "model.mlpackage" / "Manifest.json").write_text("{}")
    (tmp_path / "model.mlpackage" / "Data" / "weight.bin").write_bytes(b"\0" * 100)
    return tmp_path / "model.mlpackage"


def place_of(artifact: Artifact) -> Path:
    return Path(artifact.uri.removeprefix("file:"))


def test_a_file_comes_back_as_it_was(store, written, tmp_path):
    artifact = store.keep(written, "application/zip")
    assert (artifact.sha256, artifact.size, artifact.media_type) == (digest_of(b"bundle"), 6, "application/zip")
    assert store.fetch(artifact, tmp_path / "back" / "b.zip").read_bytes() == b"bundle"


def test_a_folder_comes_back_file_by_file(store, folder, below, tmp_path):
    artifact = store.keep(folder, "")
    assert artifact.media_type == FOLDER_TYPE
    assert below(store.fetch(artifact, tmp_path / "back")) == below(folder)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["back", "model.mlpackage", "store"]


def test_the_same_content_is_one_artifact_wherever_it_lay(store, folder, tmp_path):
    first = store.keep(folder, "")
    elsewhere = folder.rename(tmp_path / "another name")
    assert store.keep(elsewhere, "") == first
    assert len(list((tmp_path / "store" / "sha256").iterdir())) == 1


def test_what_was_altered_is_refused_until_its_step_runs_again(store, written, tmp_path):
    artifact = store.keep(written, "application/zip")
    place_of(artifact).chmod(0o644)
    place_of(artifact).write_bytes(b"bungle")
    with pytest.raises(DigestMismatch, match="Run the step that made it again"):
        store.fetch(artifact, tmp_path / "back.zip")
    assert not (tmp_path / "back.zip").exists()
    assert store.fetch(store.keep(written, "application/zip"), tmp_path / "back.zip").read_bytes() == b"bundle"


def test_what_vanished_is_not_found_until_its_step_runs_again(store, written, tmp_path):
    artifact = store.keep(written, "application/zip")
    place_of(artifact).unlink()
    with pytest.raises(NotFound, match="Run the step that made it again"):
        store.fetch(artifact, tmp_path / "back.zip")
    assert store.keep(written, "application/zip") == artifact
    assert store.fetch(artifact, tmp_path / "back.zip").read_bytes() == b"bundle"


def test_a_folder_whose_archive_was_altered_is_never_unpacked(store, folder, tmp_path):
    artifact = store.keep(folder, "")
    content = bytearray(place_of(artifact).read_bytes())
    content[-1] ^= 1
    place_of(artifact).chmod(0o644)
    place_of(artifact).write_bytes(content)
    with pytest.raises(DigestMismatch):
        store.fetch(artifact, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("uri", ["s3://bucket/store", "http://127.0.0.1/store"])
def test_a_store_of_another_scheme_is_refused(uri):
    with pytest.raises(RecipeError, match="file:DIR"):
        ArtifactStore(uri)


def test_an_artifact_of_another_scheme_is_refused(store, written, tmp_path):
    artifact = replace(store.keep(written, "application/zip"), uri="s3://bucket/key")
    with pytest.raises(RecipeError, match="s3://bucket/key"):
        store.fetch(artifact, tmp_path / "back.zip")
