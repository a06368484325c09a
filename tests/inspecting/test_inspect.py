"""What inspect tells, held against models of which we know what they are."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import mlpublish
from mlpublish.coreml.package import read
from mlpublish.coreml.schema import schema
from mlpublish.errors import BundleError, FormatError, NotFound
from mlpublish.formats.manifest import MANIFEST_PATH
from mlpublish.inspecting.facts import MOST, ON_A_PHONE
from mlpublish.reporting.text import as_text
from mlpublish.signing.sign import sign

WEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4)


def only(inspection):
    (model,) = inspection.models
    return model


def told(inspection):
    """It can be shown in every way, whatever it holds."""
    json.dumps(inspection.to_dict(), allow_nan=False)
    assert "<script" not in inspection._repr_html_()
    assert "\n" not in repr(inspection)
    return as_text(inspection)


def test_a_program_is_told_as_it_was_built(dense):
    path = dense()
    found = mlpublish.inspect(path)
    model = only(found)
    assert (found.kind, found.what, found.sound) == ("model", "model.mlpackage", True)
    assert (model.kind, model.specification_version, model.precision) == ("mlProgram", 7, "float32")
    assert model.systems == {"ios": "16.0", "macos": "13.0", "watchos": "9.0", "tvos": "16.0", "visionos": "1.0"}
    (stage,) = model.stages
    assert (stage.counts, stage.facts["operations"], stage.name) == ({"linear": 1}, 1, "main")
    assert (model.numbers.parameters, model.numbers.stored) == (12 + 3, 4 * (12 + 3))
    assert model.numbers.by_dtype["float32"] == 4 * (12 + 3)
    assert model.numbers.bits_per_parameter == 32
    assert (model.unsupported, model.findings, model.is_package) == ((), (), True)
    assert model.made_by["coremltools"] == "9.0"
    text = told(found)
    for sentence in (
        "input input",
        "multiArray float32 (1, 4)",
        "linear 1",
        "iOS 16.0",
        ON_A_PHONE,
        "not evaluated",
        "nothing",
    ):
        assert sentence in text


def test_the_digest_is_the_one_that_sha256sum_gives_of_its_lines(dense):
    path = dense()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(path).as_posix()}\n" for file in files)
    model = only(mlpublish.inspect(path))
    assert model.digest == hashlib.sha256(lines.encode()).hexdigest()
    assert model.length == sum(file.stat().st_size for file in files)
    assert [str(entry.path) for entry in model.files] == [file.relative_to(path).as_posix() for file in files]


def test_what_people_wrote_into_it_is_told(ct, dense):
    path = dense()
    opened = ct.models.MLModel(str(path), skip_model_load=True)
    opened.author, opened.license, opened.version, opened.short_description = "Ada", "MIT", "7", "Counts\nsheep"
    opened.user_defined_metadata["team"] = "vision"
    opened.save(str(path.with_name("told.mlpackage")))
    model = only(mlpublish.inspect(path.with_name("told.mlpackage")))
    assert model.metadata == {
        "author": "Ada", "license": "MIT", "version": "7", "description": "Counts\nsheep", "note team": "vision",
    }  # fmt: skip
    assert "Counts sheep" in as_text(mlpublish.inspect(path.with_name("told.mlpackage")))


def test_operations_of_nested_blocks_are_counted(package):
    from coremltools.converters.mil import Builder as mb

    def body(input):
        total = mb.reduce_sum(x=input, axes=[0, 1], keep_dims=False)
        return mb.cond(
            pred=mb.greater(x=total, y=np.float32(0)),
            _true_fn=lambda: mb.tanh(x=mb.relu(x=input)),
            _false_fn=lambda: mb.tanh(x=input),
            name="prediction",
        )

    (stage,) = only(mlpublish.inspect(package(body))).stages
    assert stage.counts["tanh"] == 2
    assert stage.counts["relu"] == stage.counts["cond"] == 1


def test_compressed_weights_are_told_with_their_bits(ct, dense):
    import coremltools.optimize.coreml as optimize

    path = dense(weights=np.random.default_rng(0).normal(size=(3, 4000)).astype(np.float32), shape=(1, 4000))
    config = optimize.OptimizationConfig(global_config=optimize.OpPalettizerConfig(nbits=4, weight_threshold=64))
    small = path.with_name("small.mlpackage")
    optimize.palettize_weights(ct.models.MLModel(str(path), skip_model_load=True), config).save(str(small))
    numbers = only(mlpublish.inspect(small)).numbers
    (compressed,) = numbers.compressed
    assert (compressed.kind, compressed.tensors, compressed.parameters) == ("constexpr_lut_to_dense", 1, 3 * 4000)
    assert 3 * 4000 / 2 + 16 * 4 <= compressed.stored <= 3 * 4000 / 2 + 16 * 4 + 64  # indices of 4 bits, 16 numbers, a shape
    dense_bytes = 0 if numbers.parameters == 3 * 4000 else 4 * (numbers.parameters - 3 * 4000)
    assert numbers.bits_per_parameter == pytest.approx(8 * (compressed.stored + dense_bytes) / numbers.parameters)
    assert numbers.compressed_share > 0.99
    assert "constexpr_lut_to_dense: 1 tensor (" in told(mlpublish.inspect(small))


def test_functions_are_told_each_and_shared_weights_once(ct, dense):
    weights = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    one, two = (dense(weights=weights, shape=(1, 64), name=name) for name in ("one", "two"))
    both = ct.utils.MultiFunctionDescriptor()
    both.add_function(str(one), "main", "first")
    both.add_function(str(two), "main", "second")
    both.default_function_name = "second"
    path = one.with_name("both.mlpackage")
    ct.utils.save_multifunction(both, str(path))
    model = only(mlpublish.inspect(path))
    assert ([each.name for each in model.functions], model.function) == (["first", "second"], "second")
    assert [stage.name for stage in model.stages] == ["first", "second"]
    assert 3 * 64 <= model.numbers.parameters <= 3 * 64 + 2 * 3
    text = told(mlpublish.inspect(path))
    assert "first: input input" in text
    assert "default function" in text


# ── classic specifications ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_classifier_is_told_with_its_labels(classifier):
    model = only(mlpublish.inspect(classifier))
    assert (model.kind, model.precision, model.is_package) == ("glmClassifier", "double", False)
    assert model.systems["ios"] == "11.0"
    assert model.functions[0].labels == ("no", "yes")
    assert model.stages[0].facts == {"coefficients": 3}
    text = told(mlpublish.inspect(classifier))
    assert "2: no, yes" in text
    assert ON_A_PHONE not in text


def written(tmp_path, fill):
    spec = schema("Model").Model(specificationVersion=1)
    made = spec.description.input.add(name="x").type.multiArrayType
    made.shape.append(2)
    made.dataType = 65568
    spec.description.output.add(name="y").type.doubleType.SetInParent()
    fill(spec)
    path = tmp_path / "written.mlmodel"
    path.write_bytes(spec.SerializeToString())
    return path


def test_a_pipeline_is_told_stage_by_stage(tmp_path):
    def fill(spec):
        held = spec.pipelineRegressor.pipeline
        held.names.extend(["tidy", "forest"])
        held.models.add().scaler.SetInParent()
        nodes = held.models.add().treeEnsembleRegressor.treeEnsemble.nodes
        for tree in (0, 1):
            nodes.add(treeId=tree, nodeId=0, trueChildNodeId=1, falseChildNodeId=2)
            nodes.add(treeId=tree, nodeId=1, nodeBehavior=6)
            if tree:
                nodes.add(treeId=tree, nodeId=2, trueChildNodeId=3, falseChildNodeId=4)
                nodes.add(treeId=tree, nodeId=3, nodeBehavior=6)
                nodes.add(treeId=tree, nodeId=4, nodeBehavior=6)
            else:
                nodes.add(treeId=tree, nodeId=2, nodeBehavior=6)
        held.models.add().supportVectorRegressor.denseSupportVectors.vectors.add(values=[1.0, 2.0])

    stages = only(mlpublish.inspect(written(tmp_path, fill))).stages
    assert [(stage.kind, stage.name) for stage in stages] == [
        ("scaler", "tidy"), ("treeEnsembleRegressor", "forest"), ("supportVectorRegressor", ""),
    ]  # fmt: skip
    assert stages[1].facts == {"trees": 2, "nodes": 8, "deep": 2}
    assert stages[2].facts == {"support vectors": 1}
    assert "2 trees, 8 nodes, 2 deep" in told(mlpublish.inspect(tmp_path / "written.mlmodel"))


def test_trees_that_go_in_a_circle_end(tmp_path):
    def fill(spec):
        nodes = spec.treeEnsembleRegressor.treeEnsemble.nodes
        nodes.add(treeId=0, nodeId=0, trueChildNodeId=1, falseChildNodeId=1)
        nodes.add(treeId=0, nodeId=1, trueChildNodeId=2, falseChildNodeId=2)
        nodes.add(treeId=0, nodeId=2, trueChildNodeId=1, falseChildNodeId=1)

    assert only(mlpublish.inspect(written(tmp_path, fill))).stages[0].facts["nodes"] == 3


def test_nodes_that_lead_twice_to_the_next_are_walked_once(tmp_path):
    spec = schema("Model").Model(specificationVersion=4)
    for number in range(60):  # 2^60 ways down
        spec.treeEnsembleRegressor.treeEnsemble.nodes.add(
            nodeId=number, trueChildNodeId=number + 1, falseChildNodeId=number + 1
        )
    spec.treeEnsembleRegressor.treeEnsemble.nodes.add(nodeId=60, nodeBehavior=6)
    (tmp_path / "m.mlmodel").write_bytes(spec.SerializeToString())
    (model,) = mlpublish.inspect(tmp_path / "m.mlmodel").models
    assert model.stages[0].facts["deep"] == 60


def test_a_file_with_a_hole_as_long_as_no_package_is_not_digested(dense):
    path = dense()
    with (path / "Data/hole").open("wb") as file:
        file.truncate(1 << 40)
    (model,) = mlpublish.inspect(path).models
    assert any("more than" in finding for finding in model.findings)
    assert "Data/hole" not in {str(entry.path) for entry in model.files}


def test_a_network_is_told_layer_by_layer_with_its_numbers(tmp_path):
    def fill(spec):
        layers = spec.neuralNetwork.layers
        layers.add(name="a").innerProduct.weights.floatValue.extend([1.0] * 6)
        layers.add(name="b").activation.ReLU.SetInParent()
        body = layers.add(name="c").loop.bodyNetwork.layers.add(name="d")
        body.innerProduct.weights.float16Value = b"\0" * 8
        packed = layers.add(name="e").innerProduct.weights
        packed.rawValue = b"\0" * 5
        packed.quantization.numberOfBits = 4
        packed.quantization.linearQuantization.scale.append(1.0)

    model = only(mlpublish.inspect(written(tmp_path, fill)))
    assert model.precision == "float32"
    assert model.stages[0].counts == {"innerProduct": 3, "activation": 1, "loop": 1}
    assert model.numbers.parameters == 6 + 4 + 10
    assert model.numbers.by_dtype == {"float32": 24 + 4, "float16": 8, "quantized 4 bits": 5}
    assert (model.numbers.compressed[0].parameters, model.numbers.compressed[0].stored) == (10, 5 + 4)


# ── what is broken is told ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_evaluated_is_named(tmp_path):
    model = only(mlpublish.inspect(written(tmp_path, lambda spec: spec.textClassifier.SetInParent())))
    assert model.unsupported == ("textClassifier",)
    assert model.findings == ()


def _cut_weights(path):
    file = path / "Data/com.apple.CoreML/weights/weight.bin"
    file.write_bytes(file.read_bytes()[:-8])


def _no_weights(path):
    shutil.rmtree(path / "Data/com.apple.CoreML/weights")


def _no_record(path):
    file = path / "Data/com.apple.CoreML/weights/weight.bin"
    file.write_bytes(file.read_bytes().replace(b"\xef\xbe\xad\xde", b"\0\0\0\0"))


def _link(path):
    (path / "Data/more").symlink_to("/etc/hostname")


def _pipe(path):
    os.mkfifo(path / "Data/pipe")


def _no_manifest(path):
    (path / "Manifest.json").unlink()


def _manifest_of_another(path):
    (path / "Manifest.json").write_text(json.dumps({"itemInfoEntries": {}, "rootModelIdentifier": "x"}))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_cut_weights, "reaches to"),
        (_no_weights, "is not in the package"),
        (_no_record, "there is no record"),
        (_link, "Data/more is a link"),
        (_pipe, "Data/pipe is a link or a special file"),
        (_no_manifest, "Manifest.json is missing"),
        (_manifest_of_another, "itemInfoEntries.x"),
    ],
)
def test_a_spoiled_package_is_described_all_the_same(dense, spoil, sentence):
    path = dense(weights=np.ones((3, 40), np.float32), shape=(1, 40))
    spoil(path)
    found = mlpublish.inspect(path)
    model = only(found)
    assert not found.sound
    assert sentence in " ".join(model.findings)
    assert model.stages[0].counts == {"linear": 1}
    assert "finding 1" in told(found)


def _unknown_feature(spec):
    spec.description.input.add(name="z").type.SetInParent()


def _too_new(spec):
    spec.specificationVersion = 99


def _no_type_of_array(spec):
    spec.description.input[0].type.multiArrayType.dataType = 7


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [(_unknown_feature, "'z'"), (_too_new, "newer than any"), (_no_type_of_array, "'x' is an array of type 7")],
)
def test_what_can_be_read_of_a_broken_specification_is_told(tmp_path, spoil, sentence):
    def fill(spec):
        spec.glmRegressor.weights.add(value=[1.0, 2.0])
        spoil(spec)

    found = mlpublish.inspect(written(tmp_path, fill))
    assert sentence in " ".join(only(found).findings)
    assert only(found).functions[0].interface.outputs[0].name == "y"
    assert only(found).stages[0].facts == {"coefficients": 2}
    told(found)


def test_dimensions_of_astronomical_size_are_told_and_not_made(dense, spec_file):
    path = dense(weights=np.ones((3, 40), np.float32), shape=(1, 40))
    spec = schema("Model").Model.FromString(spec_file(path).read_bytes())
    block = spec.mlProgram.functions["main"].block_specializations["CoreML6"]
    for operation in block.operations:
        if operation.type == "const":
            for _ in range(400):
                operation.attributes["val"].type.tensorType.dimensions.add().constant.size = 2**63
    spec_file(path).write_bytes(spec.SerializeToString())
    assert "the program says" in told(mlpublish.inspect(path))


@pytest.mark.parametrize("data", [b"", b"\xff", b"not a model", np.random.default_rng(1).bytes(400)])
def test_bytes_that_are_no_model_are_refused(tmp_path, data):
    (tmp_path / "x.mlmodel").write_bytes(data)
    with pytest.raises(FormatError, match="not a Core ML model"):
        mlpublish.inspect(tmp_path / "x.mlmodel")


def test_what_is_nothing_is_refused_with_what_could_be_named(tmp_path):
    with pytest.raises(NotFound):
        mlpublish.inspect(tmp_path / "none.mlmodel")
    with pytest.raises(NotFound, match=r"The path is empty\. Name a \.mlmodel"):
        mlpublish.inspect("")
    with pytest.raises(FormatError, match=r"nothing that can be inspected.*Name a \.mlmodel"):
        mlpublish.inspect(tmp_path)
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as plain:
        plain.writestr("a.txt", "a")
    (tmp_path / "model.pt").write_bytes(b"not a zip")
    for name in ("plain.zip", "model.pt"):
        with pytest.raises(BundleError, match=rf"{name} is no bundle\..*Name a \.mlmodel"):
            mlpublish.inspect(tmp_path / name)


# ── what models come in ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_bundle_is_told_with_its_evidence(packed):
    found = mlpublish.inspect(packed.path)
    assert (found.kind, found.sound, found.bundle.sha256, found.bundle.length) == ("bundle", True, packed.sha256, packed.length)
    model = only(found)
    assert (model.name, model.kind, model.unsupported) == ("digits.mlmodel", "glmClassifier", ())
    assert (model.evidence.golden, model.evidence.parity.samples) == (4, 8)
    text = told(found)
    for sentence in (packed.sha256, "digits.mlmodel: golden data", "4 samples", "LogisticRegression of scikit-learn", "parity"):
        assert sentence in text


def test_a_package_in_a_bundle_is_told_as_the_one_on_disk(of_package, dense):
    bundle = of_package(weights=np.ones((3, 40), np.float32), shape=(1, 40))
    inside = only(mlpublish.inspect(bundle.path))
    outside = only(mlpublish.inspect(dense(weights=np.ones((3, 40), np.float32), shape=(1, 40), name="other")))
    assert inside.findings == ()
    assert (inside.numbers, inside.stages, inside.functions) == (outside.numbers, outside.stages, outside.functions)
    assert inside.unsupported == outside.unsupported == ()


def unzipped(packed, folder):
    with zipfile.ZipFile(packed.path) as held:
        held.extractall(folder)
    return folder


def test_an_unpacked_bundle_is_told_as_the_zip(packed, tmp_path):
    found = mlpublish.inspect(unzipped(packed, tmp_path / "unpacked"))
    assert (found.kind, found.sound, found.bundle.sha256) == ("unpacked bundle", True, None)
    assert only(found).digest == only(mlpublish.inspect(packed.path)).digest
    told(found)


def test_an_altered_unpacked_bundle_is_told_with_what_is_altered(packed, tmp_path):
    folder = unzipped(packed, tmp_path / "unpacked")
    (folder / "extra.txt").write_text("x")
    found = mlpublish.inspect(folder)
    assert "extra.txt" in " ".join(found.findings)
    assert only(found).kind == "glmClassifier"
    shutil.rmtree(folder / "models")
    gone = mlpublish.inspect(folder)
    assert gone.models == ()
    assert not gone.sound
    told(gone)


def test_a_bundle_whose_manifest_lies_is_told_all_the_same(packed, tmp_path):
    from mlpublish.formats import archive

    with zipfile.ZipFile(packed.path) as held:
        files = [(name, held.read(name)) for name in held.namelist()]
    path = tmp_path / "lying.zip"
    archive.write(path, [(name, data.replace(b"yes", b"yet") if name.endswith(".mlmodel") else data) for name, data in files])
    found = mlpublish.inspect(path)
    assert "digits.mlmodel" in " ".join(found.findings)
    assert only(found).functions[0].labels == ("no", "yet")
    missing = tmp_path / "missing.zip"
    archive.write(missing, [(name, data) for name, data in files if not name.startswith("models/")])
    assert not mlpublish.inspect(missing).sound
    assert MANIFEST_PATH in {name for name, _ in files}


def test_a_releases_folder_is_told_and_what_it_says_is_not_taken_for_verified(packed, development, app, tmp_path):
    made = sign(packed, app=app, repository=development.folder, out=tmp_path / "release")
    found = mlpublish.inspect(made.folder)
    assert (found.kind, found.bundle.sha256) == ("release", packed.sha256)
    assert "release 1, of com.acme.digits, version 2.0, for ios (not verified: mlpublish verify)" in told(found)


def test_a_converted_models_folder_is_told_with_its_record(carried):
    found = mlpublish.inspect(carried.path.parent)
    assert (found.kind, found.sound, only(found).evidence.golden) == ("converted model", True, 4)
    carried.path.write_bytes(carried.path.read_bytes().replace(b"yes", b"yet"))
    changed = mlpublish.inspect(carried.path.parent)
    assert "changed after digits was converted" in changed.findings[0]
    assert only(changed).kind == "glmClassifier"
    shutil.rmtree(carried.golden)
    gone = mlpublish.inspect(carried.path.parent)
    assert "golden.json" in gone.findings[0]
    assert only(gone).evidence.golden is None
    told(gone)


# ── fast and light, whatever comes ──────────────────────────────────────────────────────────────────────────────────────────


def test_looking_at_a_model_loads_no_framework(dense):
    code = (
        "import sys, mlpublish; mlpublish.inspect(sys.argv[1]); "
        "heavy = {'torch', 'coremltools', 'mlflow', 'sklearn', 'scipy', 'pandas', 'tuf'}; print(*heavy & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(dense())], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == ""


def test_no_byte_of_the_weights_is_read_but_their_records(dense, monkeypatch):
    from mlpublish.inspecting import files

    path = dense(weights=np.ones((3, 4000), np.float32), shape=(1, 4000))
    asked = []
    real = files.OnDisk.read_at
    monkeypatch.setattr(files.OnDisk, "read_at", lambda self, *more: asked.append(more[2]) or real(self, *more))
    assert mlpublish.inspect(path).sound
    assert sum(asked) < 1000


def test_a_mutated_specification_is_told_or_refused_and_nothing_else(dense, spec_file):
    path = dense(weights=np.ones((3, 40), np.float32), shape=(1, 40))
    sound, chance = spec_file(path).read_bytes(), np.random.default_rng(5)
    outcomes = set()
    for _ in range(150):
        data = bytearray(sound)
        for place in chance.integers(0, len(data), chance.integers(1, 4)):
            data[place] = chance.integers(0, 256)
        spec_file(path).write_bytes(bytes(data))
        try:
            told(mlpublish.inspect(path))
            outcomes.add("told")
        except mlpublish.MlpublishError as error:
            outcomes.add(type(error).__name__)
    assert outcomes == {"told", "FormatError"}


def test_files_of_absurd_length_are_not_read(dense, spec_file, packed, tmp_path):
    path = dense()
    spec_file(path).open("r+b").truncate(1 << 32)
    with pytest.raises(FormatError, match="more than 2147483647"):
        read(path)
    folder = unzipped(packed, tmp_path / "unpacked")
    (folder / "evidence/digits/golden.json").open("r+b").truncate(1 << 40)
    (folder / "manifest.json").open("r+b").truncate(1 << 40)
    with pytest.raises(FormatError, match=r"manifest\.json cannot be read: it has more than"):
        mlpublish.inspect(folder)


def test_names_that_are_no_text_can_be_told(dense):
    path = dense()
    with open(os.fsencode(path / "Data") + b"/\xff\xfe.bin", "wb") as file:
        file.write(b"x")
    found = mlpublish.inspect(path)
    assert "no UTF-8" in only(found).findings[0]
    told(found).encode()


def test_what_is_many_is_cut_in_what_is_shown_and_whole_in_json(tmp_path):
    def fill(spec):
        spec.description.metadata.userDefined.update({f"key {place}": "x" for place in range(5000)})
        for _ in range(5000):
            spec.pipelineRegressor.pipeline.models.add().identity.SetInParent()

    inspection = mlpublish.inspect(written(tmp_path, fill))
    shown = told(inspection)
    assert len(shown.splitlines()) < 2 * MOST + 50
    assert len(inspection._repr_html_()) < 200_000
    assert f"and {5000 - MOST:,} more; --json has them all" in shown
    (model,) = inspection.to_dict()["models"]
    assert len(model["stages"]) == 5000
    assert len([name for name in model["metadata"] if "key" in name]) == 5000
