"""``bundle`` gives the same bytes for the same parts, puts everything in its place, and refuses what it cannot carry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpublish.artifacts import Bundle, ConvertedModel
from mlpublish.bundling.bundle import bundle
from mlpublish.converting.convert import convert
from mlpublish.errors import BundleError, DigestMismatch, FormatError, MlpublishError, RecipeError
from mlpublish.formats.evidence import MlflowLineage, Provenance
from mlpublish.formats.manifest import FileEntry
from mlpublish.formats.wire import digest_of
from mlpublish.trust.bundles import open_bundle

NewModel = Callable[..., ConvertedModel]
AGAIN = "import sys; from mlpublish.bundling.bundle import bundle; print(bundle(sys.argv[1], out=sys.argv[2]).sha256)"


def names_in(made: Bundle) -> list[str]:
    return [str(entry.path) for entry in open_bundle(made.path).manifest.files]


def test_the_same_model_gives_the_same_bytes_in_another_process_folder_and_year(tmp_path: Path, new_model: NewModel) -> None:
    model = new_model()
    made = bundle(model, out=tmp_path / "one")
    os.utime(model.path, (1, 1))
    model.path.chmod(0o600)
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland", "LC_ALL": "C"}
    ran = subprocess.run(
        [sys.executable, "-c", AGAIN, str(model.path.parent), str(tmp_path / "two")],
        check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert ran.stdout.strip() == made.sha256 == digest_of(made.path.read_bytes())


def test_a_model_is_given_as_itself_its_folder_or_its_file(tmp_path: Path, new_model: NewModel) -> None:
    model = new_model()
    ways: list[ConvertedModel | Path | str] = [model, model.path.parent, str(model.path.parent), model.path]
    made = [bundle(way, out=tmp_path / str(number)) for number, way in enumerate(ways)]
    assert len({each.sha256 for each in made}) == 1


def test_two_models_labels_and_evidence_each_have_their_place(tmp_path: Path, new_model: NewModel) -> None:
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "golden.json").write_bytes(b"{}")
    package = tmp_path / "big.mlpackage"
    (package / "Data").mkdir(parents=True)
    (package / "Manifest.json").write_bytes(b"{}")
    (package / "Data" / "weight.bin").write_bytes(b"w")
    (tmp_path / "labels.txt").write_bytes(b"cat\n")
    small, big = new_model("small", golden=tmp_path / "golden"), new_model("big", path=package)
    made = bundle(small, big, name="pair", version="1.0", files=[tmp_path / "labels.txt"], out=tmp_path / "out")
    assert made.path.name == "pair-1.0.zip"
    assert names_in(made) == [
        "evidence/small/golden.json",
        "files/labels.txt",
        "models/big.mlpackage/Data/weight.bin",
        "models/big.mlpackage/Manifest.json",
        "models/small.mlmodel",
    ]
    assert [(model.name, str(model.path), model.golden and str(model.golden)) for model in made.manifest.models] == [
        ("small", "models/small.mlmodel", "evidence/small"),
        ("big", "models/big.mlpackage", None),
    ]


def test_the_version_is_given_or_mlflows_or_the_contents(tmp_path: Path, new_model: NewModel) -> None:
    model = new_model()
    listed = f"{model.files[0].sha256}  models/digits.mlmodel\n"
    assert bundle(model, out=tmp_path).manifest.version == digest_of(listed.encode())[:12]
    lineage = MlflowLineage(registered_model="digits", version="7")
    registered = new_model(provenance=Provenance(framework="x", framework_version="1", source="y", mlflow=lineage))
    assert bundle(registered, out=tmp_path).manifest.version == "7"
    assert bundle(registered, version="1.0+b", out=tmp_path).manifest.version == "1.0+b"


def test_no_app_and_no_number_stand_inside(tmp_path: Path, new_model: NewModel) -> None:
    document = bundle(new_model(), out=tmp_path).manifest.to_bytes()
    assert b"com.acme" not in document
    assert b"release" not in document


def test_a_zip_of_the_same_bytes_stays_and_another_one_is_never_replaced(tmp_path: Path, new_model: NewModel) -> None:
    made = bundle(new_model(), version="1", out=tmp_path)
    before = made.path.stat()
    assert bundle(new_model(), version="1", out=tmp_path).sha256 == made.sha256
    assert made.path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(BundleError, match="exists and is another bundle"):
        bundle(new_model(content=b"other"), version="1", out=tmp_path)
    assert digest_of(made.path.read_bytes()) == made.sha256
    assert [file.name for file in tmp_path.glob("*.zip")] == ["digits-1.zip"]


def test_out_is_a_folder_or_the_zip_itself(tmp_path: Path, new_model: NewModel) -> None:
    assert bundle(new_model(), out=tmp_path / "a" / "b.zip").path == tmp_path / "a" / "b.zip"
    assert bundle(new_model(), version="1", out=tmp_path / "c").path == tmp_path / "c" / "digits-1.zip"


BAD: dict[str, tuple[type[MlpublishError], Callable[[Path, NewModel], object]]] = {
    "nothing": (RecipeError, lambda out, new: bundle(out=out)),
    "an empty folder": (BundleError, lambda out, new: bundle(out.parent, out=out)),
    "no such folder": (BundleError, lambda out, new: bundle(out / "nothing", out=out)),
    "no such model": (BundleError, lambda out, new: bundle(out / "nothing.mlmodel", out=out)),
    "two models without a name": (RecipeError, lambda out, new: bundle(new("a"), new("b"), out=out)),
    "two models of one name": (BundleError, lambda out, new: bundle(new(), new(content=b"2"), name="x", out=out)),
    "two models that differ in case": (BundleError, lambda out, new: bundle(new("a"), new("A"), name="x", out=out)),
    "a name that is none": (RecipeError, lambda out, new: bundle(new(), name="a/b", out=out)),
    "a version that is none": (RecipeError, lambda out, new: bundle(new(), version="1 0", out=out)),
    "a version with a newline": (RecipeError, lambda out, new: bundle(new(), version="1\n", out=out)),
    "a file that is none": (BundleError, lambda out, new: bundle(new(), files=[out / "nothing.txt"], out=out)),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_bundled_is_refused_and_leaves_nothing(tmp_path: Path, new_model: NewModel, case: str) -> None:
    kind, attempt = BAD[case]
    with pytest.raises(kind) as caught:
        attempt(tmp_path / "out", new_model)
    assert caught.value.remedy
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["été.txt", ".hidden", "a\\b.txt"])
def test_a_file_whose_name_not_every_system_takes_is_refused_by_name(tmp_path: Path, new_model: NewModel, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(BundleError) as caught:
        bundle(new_model(), files=[tmp_path / name], out=tmp_path / "out")
    assert name in (caught.value.field or "")
    assert not any((tmp_path / "out").iterdir())


def test_a_link_in_a_package_is_refused(tmp_path: Path, new_model: NewModel) -> None:
    package = tmp_path / "big.mlpackage"
    package.mkdir()
    (package / "Manifest.json").symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="neither a file nor a folder"):
        bundle(new_model("big", path=package), out=tmp_path / "out")


@pytest.mark.parametrize("recorded", [True, False])
def test_a_pipe_instead_of_a_model_is_refused_and_not_waited_for(tmp_path: Path, new_model: NewModel, recorded: bool) -> None:
    model = new_model()
    model.path.unlink()
    os.mkfifo(model.path)
    if not recorded:
        model.record.unlink()
    with pytest.raises(BundleError, match=r"no regular file|holds no converted model"):
        bundle(model.path, out=tmp_path / "out")


def test_a_record_whose_model_is_gone_or_that_is_cut_is_refused(tmp_path: Path, new_model: NewModel) -> None:
    model = new_model()
    model.path.unlink()
    with pytest.raises(FormatError, match="is gone"):
        bundle(model.path.parent, out=tmp_path / "out")
    model.record.write_bytes(model.record.read_bytes()[:40])
    with pytest.raises(FormatError, match="not a JSON document"):
        bundle(model.path.parent, out=tmp_path / "out")


def test_a_model_that_changed_after_it_was_converted_is_refused(tmp_path: Path, new_model: NewModel) -> None:
    """Its evidence is of the file that it was, not of the one that it is."""
    model = new_model()
    model.path.write_bytes(b"altered")
    for way in (model, model.path.parent):
        with pytest.raises(BundleError, match="changed"):
            bundle(way, out=tmp_path / "out")


def measured(new_model: NewModel, content: bytes = b"weights and more weights") -> ConvertedModel:
    """A model whose record tells the CRC too, as ``convert`` writes it."""
    model = new_model(content=content)
    entry = FileEntry.of(model.files[0].path, model.path)
    return new_model(content=content, files=(entry,))


def test_a_record_with_a_crc_gives_the_same_bundle_and_is_held_against_the_file(tmp_path: Path, new_model: NewModel) -> None:
    model = measured(new_model)
    assert ConvertedModel.read(model.record).files[0].crc == model.files[0].crc == zlib.crc32(model.path.read_bytes())
    assert (
        bundle(model, out=tmp_path / "a").sha256
        == bundle(new_model(content=model.path.read_bytes()), out=tmp_path / "b").sha256
    )
    model = measured(new_model)
    for altered in (b"Weights and more weights", b"weights", b"weights and more weights!"):
        model.path.write_bytes(altered)
        for way in (model, model.path.parent):
            with pytest.raises(BundleError, match="changed"):
                bundle(way, out=tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())


def test_who_forges_the_crc_gets_a_bundle_that_no_reader_takes(tmp_path: Path, new_model: NewModel) -> None:
    model = measured(new_model)
    model.path.write_bytes(with_crc(b"WEIGHTS and more wei", model.files[0].crc or 0))
    made = bundle(model, out=tmp_path / "out")
    with pytest.raises(DigestMismatch, match="altered"):
        open_bundle(made.path)
    model.path.write_bytes(with_crc(b"longer WEIGHTS and more weights", model.files[0].crc or 0))
    with pytest.raises(BundleError, match="changed"):
        bundle(model, out=tmp_path / "other")


def with_crc(head: bytes, crc: int) -> bytes:
    """These bytes and four more, which give them that CRC-32."""
    table = [(zlib.crc32(bytes([index])) ^ zlib.crc32(b"\0")) for index in range(256)]
    steps, wanted = [], crc ^ 0xFFFFFFFF
    for _ in range(4):
        steps.append(next(index for index in range(256) if table[index] >> 24 == wanted >> 24))
        wanted = (wanted ^ table[steps[-1]]) << 8
    state = zlib.crc32(head) ^ 0xFFFFFFFF
    for index in reversed(steps):
        head += bytes([(state & 0xFF) ^ index])
        state = state >> 8 ^ table[index]
    return head


@pytest.mark.parametrize("edit", ["altered", "added", "removed"])
def test_golden_data_that_changed_after_it_was_kept_is_refused(tmp_path: Path, new_model: NewModel, edit: str) -> None:
    golden = tmp_path / "golden"
    golden.mkdir()
    (golden / "golden.json").write_bytes(b"{}")
    model = new_model(golden=golden)
    match edit:
        case "altered":
            (golden / "golden.json").write_bytes(b"[]")
        case "added":
            (golden / "outputs-9.npy").write_bytes(b"")
        case _:
            (golden / "golden.json").unlink()
    with pytest.raises(BundleError, match="changed"):
        bundle(model, out=tmp_path / "out")


def test_a_package_that_somebody_else_wrote_is_normalised_and_left_as_it_was(tmp_path: Path) -> None:
    """Every tool draws new ids for the items; the bundle does not show it, and the file of the user is not touched."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    model = LogisticRegression().fit(rows, np.arange(30) % 3)
    ours = convert(model, name="theirs", samples=rows, out=tmp_path / "ours", progress=False).path
    saved = []
    for folder in ("first", "second"):
        path = tmp_path / folder / "theirs.mlpackage"
        shutil.copytree(ours, path)
        manifest = (path / "Manifest.json").read_text()
        drawn = manifest.replace(json.loads(manifest)["rootModelIdentifier"], str(uuid.uuid4()))
        (path / "Manifest.json").write_text(drawn)
        saved.append((path, drawn.encode()))
    assert saved[0][1] != saved[1][1]
    made = [bundle(path, out=tmp_path / f"{path.parent.name}.zip") for path, _ in saved]
    assert made[0].sha256 == made[1].sha256
    assert made[0].manifest.models[0].parity is None
    assert [(path / "Manifest.json").read_bytes() for path, _ in saved] == [manifest for _, manifest in saved]
