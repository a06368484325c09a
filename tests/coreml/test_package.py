from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from mlpublish.coreml.package import describe, files_of, normalise, read
from mlpublish.errors import FormatError, NotFound
from mlpublish.formats.evidence import Feature


def test_a_program_says_what_it_is(dense):
    said = describe(dense())
    assert (said.kind, said.specification_version, said.precision) == ("mlProgram", 7, "float32")
    assert said.interface.inputs == (Feature(name="input", kind="multiArray", shape=(1, 4), dtype="float32"),)
    assert [each.name for each in said.interface.outputs] == ["prediction"]
    assert describe(dense(name="half", precision="FLOAT16")).precision == "float16"


def test_a_classic_model_says_what_it_is(glm):
    said = describe(glm(lambda _: None))
    assert (said.kind, said.specification_version, said.precision) == ("glmClassifier", 1, "double")
    assert said.interface.outputs == (
        Feature(name="classLabel", kind="int64", dtype="int64"),
        Feature(name="classProbability", kind="dictionary", dtype="int64"),
    )


def test_normalising_twice_changes_nothing_and_leaves_no_date_and_no_chance(dense):
    path, again = dense(), dense(name="again")
    assert files_of(path) != files_of(again)  # coremltools' item ids are random
    for each in (path, again):
        normalise(each)
    first = files_of(path)
    assert first == files_of(again)
    normalise(path)
    assert files_of(path) == first
    assert not any("date" in key for key in read(path).description.metadata.userDefined)


def test_a_normalised_package_is_loaded_by_coremltools(ct, dense):
    path = dense()
    before = read(path).mlProgram
    normalise(path)
    model = ct.models.MLModel(str(path), skip_model_load=True)
    assert model.get_spec().mlProgram == before
    assert model.weights_dir is not None


def test_a_folder_without_weights_is_dropped_because_archives_carry_none(ct, package):
    from coremltools.converters.mil import Builder as mb

    path = package(lambda input: mb.relu(x=input, name="prediction"))
    (path / "Data/com.apple.CoreML/weights").mkdir(exist_ok=True)
    normalise(path)
    assert not (path / "Data/com.apple.CoreML/weights").exists()
    places = [item["path"] for item in json.loads((path / "Manifest.json").read_text())["itemInfoEntries"].values()]
    assert places == ["com.apple.CoreML/model.mlmodel"]
    assert ct.models.MLModel(str(path), skip_model_load=True).get_spec().WhichOneof("Type") == "mlProgram"


def test_local_build_labels_are_dropped(glm):
    path = glm(lambda _: None)
    spec = read(path)
    spec.description.metadata.userDefined["com.github.apple.coremltools.source"] = "torch==2.13.0+cpu"
    spec.description.metadata.userDefined["note"] = "a+b"
    path.write_bytes(spec.SerializeToString())
    normalise(path)
    kept = read(path).description.metadata.userDefined
    assert kept["com.github.apple.coremltools.source"] == "torch==2.13.0"
    assert kept["note"] == "a+b"


def test_every_file_is_listed_with_its_digest(dense, glm):
    path = dense()
    listed = [str(entry.path) for entry in files_of(path)]
    assert listed == sorted(listed)
    assert listed == [
        "Data/com.apple.CoreML/model.mlmodel",
        "Data/com.apple.CoreML/weights/weight.bin",
        "Manifest.json",
    ]
    before = files_of(path)
    weights = path / "Data/com.apple.CoreML/weights/weight.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    assert [a.path for a, b in zip(before, files_of(path), strict=True) if a != b] == [before[1].path]
    (only,) = files_of(glm(lambda _: None))
    assert str(only.path) == "model.mlmodel"


def test_nothing_there_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        describe(tmp_path / "none.mlpackage")


def _link(path):
    target = path / "Data/com.apple.CoreML/weights"
    shutil.move(target, path.parent / "weights")
    target.symlink_to(path.parent / "weights")


def _link_beside(path):
    (path / "Data/extra").symlink_to("/etc/hostname")


def _escape(path):
    manifest = path / "Manifest.json"
    manifest.write_text(manifest.read_text().replace("com.apple.CoreML/model.mlmodel", "../../model.mlmodel"))


def _no_root(path):
    manifest = path / "Manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "rootModelIdentifier": "x"}))


def _no_manifest(path):
    (path / "Manifest.json").unlink()


def _no_specification(path):
    (path / "Data/com.apple.CoreML/model.mlmodel").unlink()


def _cut(path):
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    file.write_bytes(file.read_bytes()[:-3])


def _empty(path):
    (path / "Data/com.apple.CoreML/model.mlmodel").write_bytes(b"")


def _fifo(path):
    import os

    os.mkfifo(path / "Data/pipe")


@pytest.mark.parametrize(
    "spoil", [_link, _link_beside, _escape, _no_root, _no_manifest, _no_specification, _cut, _empty, _fifo]
)
@pytest.mark.parametrize("look", [describe, files_of, normalise])
def test_a_spoiled_package_is_refused(dense, spoil, look):
    path = dense()
    spoil(path)
    if look is files_of and spoil in (_cut, _empty):
        return  # listing digests opens no model; whoever runs it is told
    with pytest.raises(FormatError):
        look(path)


@pytest.mark.parametrize("data", [b"", b"\xff", b"not a model", np.random.default_rng(1).bytes(400)])
def test_other_bytes_are_no_model(tmp_path, data):
    (tmp_path / "x.mlmodel").write_bytes(data)
    with pytest.raises(FormatError, match="not a Core ML model"):
        describe(tmp_path / "x.mlmodel")
