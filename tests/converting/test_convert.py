from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlpublish.artifacts import ConvertedModel
from mlpublish.converting.convert import convert
from mlpublish.coreml import golden
from mlpublish.coreml.evaluate import EXECUTOR, load
from mlpublish.coreml.package import files_of
from mlpublish.errors import ConversionError, MlpublishError, NotFound, ParityError, RecipeError, StorageError
from mlpublish.formats.evidence import Tolerance


def _everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_model_its_evidence_and_its_record_are_written(multinomial, digits, tmp_path):
    made = convert(multinomial, name="digits", samples=digits.test, out=tmp_path / "new/out", progress=False)
    assert made.path == tmp_path / "new/out/digits.mlpackage"
    assert sorted(each.name for each in made.path.parent.iterdir()) == [
        "digits.converted.json",
        "digits.golden",
        "digits.mlpackage",
    ]
    assert ConvertedModel.read(made.record) == made
    assert (made.kind, made.precision, made.files) == ("mlProgram", "float32", files_of(made.path))
    parity = made.parity
    assert (parity.samples, parity.label_agreement, parity.executor) == (len(digits.test), 1.0, EXECUTOR)
    assert parity.max_rel_diff <= 1e-6
    assert made.provenance.framework == "scikit-learn"
    assert made.provenance.source == "sklearn.preprocessing.StandardScaler + sklearn.linear_model.LogisticRegression"


def test_the_golden_answers_are_the_source_models(multinomial, digits, tmp_path):
    made = convert(multinomial, samples=digits.test, out=tmp_path, progress=False)
    kept = golden.read(made.golden)
    assert len(kept.inputs["input"]) == 8
    wanted = multinomial.predict_proba(digits.test[:8])
    np.testing.assert_array_equal(kept.answers.outputs["classProbability"], wanted)
    np.testing.assert_array_equal(kept.answers.outputs["classLabel"], multinomial.predict(digits.test[:8]))
    assert kept.replay(load(made.path)).max_rel < 1e-6


def test_without_out_a_new_folder_is_made_under_the_current_one(binary, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = (convert(binary, name="odd", samples=digits.test, progress=False) for _ in range(2))
    assert (first.path, second.path) == (tmp_path / "odd/odd.mlmodel", tmp_path / "odd-2/odd.mlmodel")
    assert convert(binary, samples=digits.test, progress=False).name == "pipeline"


def test_converting_again_replaces_the_model_and_leaves_the_rest(binary, multinomial, digits, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    convert(multinomial, name="m", samples=digits.test, out=tmp_path, progress=False)
    convert(binary, name="m", samples=digits.test, out=tmp_path, progress=False)
    left = sorted(each.name for each in tmp_path.iterdir())
    assert left == ["m.converted.json", "m.golden", "m.mlmodel", "notes.txt"]


def _fails(binary, digits, out, **settings):
    before = _everything(out) if out.exists() else None
    arguments = {"name": "m", "samples": digits.test, "out": out, "progress": False} | settings
    with pytest.raises(MlpublishError) as failed:
        convert(arguments.pop("model", binary), **arguments)
    assert (_everything(out) if out.exists() else None) == before
    assert [each.name for each in out.parent.iterdir() if each != out] == []
    assert failed.value.remedy
    return failed.value


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(
    ("settings", "kind", "field"),
    [
        ({"target": "iOS12"}, RecipeError, "target"),
        ({"precision": "int8"}, RecipeError, "precision"),
        ({"precision": "float16"}, ConversionError, "precision"),
        ({"name": "a/b"}, RecipeError, "name"),
        ({"name": "-"}, RecipeError, "name"),
        ({"tolerance": -1.0}, RecipeError, "tolerance"),
        ({"tolerance": 0.0}, ParityError, "parity"),
        ({"tolerance": Tolerance(rel=0.0)}, ParityError, "parity"),
        ({"samples": None}, ConversionError, "samples"),
        ({"samples": np.zeros((3, 63))}, ConversionError, "samples"),
        ({"samples": np.zeros((0, 64))}, ConversionError, "samples"),
        ({"model": 3j}, ConversionError, "model"),
        ({"model": "net.pt2"}, ConversionError, "model"),
        ({"model": Path("net.skops")}, NotFound, "model"),
        ({"model": "s3://u:hunter2@x/net.skops"}, ConversionError, "model"),
        ({"model": "net.mlpackage"}, ConversionError, "model"),
    ],
    ids=str,
)
def test_a_failure_tells_the_way_out_and_leaves_nothing_behind(binary, digits, tmp_path, existing, settings, kind, field):
    out = tmp_path / "out"
    if existing:
        convert(binary, name="m", samples=digits.test, out=out, progress=False)
    failed = _fails(binary, digits, out, **settings)
    assert (type(failed), failed.field) == (kind, field)


def test_a_file_in_the_way_is_named(binary, digits, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(RecipeError, match="is a file"):
        convert(binary, samples=digits.test, out=tmp_path / "out", progress=False)


def test_a_folder_that_cannot_be_made_is_named(binary, digits, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        convert(binary, samples=digits.test, out=tmp_path / "file/out", progress=False)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


_CONVERT_ALONE = """
import sys
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.pipeline import make_pipeline
from mlpublish.converting.convert import convert

rows = np.random.default_rng(5).normal(size=(60, 16))
labels = np.arange(60) % 3
for name, y in (("three", labels), ("two", labels > 0)):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, y)
    print(name, convert(model, name=name, samples=rows, out=sys.argv[1] + name, progress=False).files)
try:
    import torch
except ModuleNotFoundError:
    sys.exit()
torch.manual_seed(1)
net = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
print("net", convert(net, name="net", samples=rows.astype("f4"), out=sys.argv[1] + "net", progress=False).files)
"""


def test_the_same_model_gives_the_same_bytes_in_every_process(tmp_path):
    said = []
    for seed in ("0", "12345"):
        done = subprocess.run(
            [sys.executable, "-c", _CONVERT_ALONE, f"{tmp_path}/{seed}"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert done.stderr == "", "converting is silent"
        said.append(done.stdout)
    assert "three" in said[0]
    assert said[0] == said[1]


def test_each_phase_is_told_to_whoever_asks(multinomial, digits, tmp_path, capfd):
    told = []
    convert(multinomial, samples=digits.test[:9], out=tmp_path, progress=told.append)
    assert told == ["Opening the model", "Converting to float32", "Running the saved file on 9 samples"]
    convert(multinomial, samples=digits.test[:9], out=tmp_path, progress=True)  # no terminal here
    assert capfd.readouterr() == ("", "")
