"""Golden inputs through both executors, and the result that is bound to the bytes.

Apple's runtime is a stand-in here (tests/coreml/apple_runtime.py); what it computes on a Mac is not tested anywhere but there.
"""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from functools import partial

import pytest

import mlpublish
from mlpublish.bundling.bundle import bundle
from mlpublish.errors import ConversionError, DigestMismatch, FormatError, MissingExtra, NewerFormat, NotFound, RecipeError
from mlpublish.formats.mac_result import APPLES, GOLDEN, OURS, Mac, MacResult
from mlpublish.formats.manifest import digest_of_files
from mlpublish.inspecting.compare_on_mac import compare_on_mac
from mlpublish.reporting.text import as_text
from tests.coreml.apple_runtime import StandIn

MAC = Mac(macos="26.1", hardware="Mac15,3 (arm64)", coremltools="9.0", mlpublish="0.1.0")
off_macos = pytest.mark.skipif(platform.system() == "Darwin", reason="here it runs")


def ran(packed, opener=StandIn, **more):
    return compare_on_mac(packed.path, opener=opener, mac=MAC, **more)


def found(result, left, right, output):
    (model,) = result.models
    (one,) = [each for each in model.compared if (each.left, each.right, each.output) == (left, right, output)]
    return one


def test_every_side_is_compared_with_every_other(packed):
    (model,) = ran(packed).models
    pairs = {(each.left, each.right) for each in model.compared}
    assert pairs == {(GOLDEN, each) for each in (*OURS, *APPLES)} | {(ours, apple) for ours in OURS for apple in APPLES}
    assert {each.output for each in model.compared} == {"classLabel", "classProbability"}
    assert (model.samples, model.failed) == (4, {})


def test_what_agrees_is_told_as_agreeing(packed):
    result = ran(packed)
    for left, right in ((GOLDEN, "apple ALL"), (GOLDEN, "mlpublish exact"), ("mlpublish device", "apple CPU_ONLY")):
        numbers = found(result, left, right, "classProbability")
        assert (numbers.max_abs, numbers.max_rel, numbers.labels, numbers.problem) == (0.0, 0.0, 1.0, "")
        assert found(result, left, right, "classLabel").labels == 1.0
        assert found(result, left, right, "classLabel").max_abs is None


def test_what_stands_apart_is_measured(packed):
    result = ran(packed, partial(StandIn, shift=0.125))
    numbers = found(result, GOLDEN, "apple ALL", "classProbability")
    assert numbers.max_abs == pytest.approx(0.125)
    assert 0.125 <= numbers.max_rel < 0.25
    assert found(result, GOLDEN, "mlpublish exact", "classProbability").max_abs == 0.0
    assert "apple ALL against golden data" in as_text(result)


def test_what_is_not_finite_is_told_and_not_written_as_a_number(packed):
    result = ran(packed, partial(StandIn, shift=float("nan")))
    numbers = found(result, GOLDEN, "apple ALL", "classProbability")
    assert (numbers.max_abs, numbers.problem) == (None, "a difference that is no finite number")
    assert MacResult.from_bytes(result.to_bytes()) == result


def test_both_compute_units_are_asked_for(packed):
    asked = []

    def opener(path, units, function):
        asked.append((units, function))
        return StandIn(path, units, function)

    ran(packed, opener)
    assert asked == [("CPU_ONLY", None), ("ALL", None)]


@pytest.mark.parametrize("error", [ConversionError("It is too new.", remedy="Update."), RuntimeError("ANE said no")])
def test_an_executor_that_fails_is_told_and_the_others_are_asked(packed, error):
    def opener(path, units, function):
        if units == "ALL":
            raise error
        return StandIn(path, units, function)

    (model,) = ran(packed, opener).models
    assert set(model.failed) == {"apple ALL"}
    assert str(getattr(error, "problem", error)) in model.failed["apple ALL"]
    assert {each.right for each in model.compared} == {*OURS, "apple CPU_ONLY"}


def test_an_output_that_is_missing_is_told(packed):
    class Short(StandIn):
        def _told(self, answers):
            return {**super()._told(answers), "classProbability": [1.0]}

    (model,) = ran(packed, Short).models
    assert {each.problem for each in model.compared if each.right == "apple ALL"} != {""}


def test_a_model_without_golden_data_is_told_as_not_run(of_package):
    result = ran(of_package())
    (model,) = result.models
    assert (model.samples, model.compared) == (0, ())
    assert "not run: it carries no golden data" in as_text(result)


def test_the_result_is_bound_to_the_bytes(packed):
    result = ran(packed)
    manifest = packed.manifest
    assert (result.bundle_name, result.bundle_version, result.bundle_sha256) == ("digits", manifest.version, packed.sha256)
    assert result.models[0].digest == digest_of_files(manifest.files_of(manifest.models[0]))
    result.hold(manifest, sha256=packed.sha256)
    with pytest.raises(DigestMismatch, match="another bundle"):
        result.hold(manifest, sha256="0" * 64)
    with pytest.raises(DigestMismatch, match="another manifest"):
        result.hold(manifest, manifest_sha256="0" * 64)
    other = replace(result, models=(replace(result.models[0], digest="0" * 64),))
    with pytest.raises(DigestMismatch, match="another model digits"):
        other.hold(manifest, sha256=packed.sha256)


def test_it_is_written_and_read_back(packed, tmp_path):
    file = tmp_path / "result.json"
    result = ran(packed, out=file)
    assert MacResult.read(file) == result
    assert json.loads(file.read_text())["mac"]["hardware"] == "Mac15,3 (arm64)"
    with pytest.raises(NotFound):
        MacResult.read(tmp_path / "none.json")
    file.write_text('{"format": 1}')
    with pytest.raises(FormatError, match=r"result\.json"):
        MacResult.read(file)
    file.write_bytes(result.to_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(NewerFormat):
        MacResult.read(file)


@off_macos
def test_off_macos_it_says_what_it_needs(packed, tmp_path, cli):
    with pytest.raises(MissingExtra, match="part of macOS"):
        mlpublish.compare_on_mac(packed.path)
    told = cli("compare-on-mac", packed.path, "-o", tmp_path / "result.json")
    assert told.code == 1
    assert "Run it on a Mac with the same bundle" in told.line
    assert not (tmp_path / "result.json").exists()
    assert cli("compare-on-mac", packed.path).code == 2


def test_inspect_shows_it_with_its_bundle_and_refuses_one_of_other_bytes(classifier, packed, of_package, tmp_path, cli):
    file = tmp_path / "result.json"
    ran(packed, out=file)
    told = cli("inspect", packed.path, "--mac-result", file)
    assert told.code == 0
    assert "macOS 26.1 on Mac15,3 (arm64), coremltools 9.0" in told.out
    assert "not signed: by the word of whoever wrote it" in told.out
    assert "digits: apple ALL against golden data" in told.out
    shown = cli("inspect", packed.path, "--mac-result", file, "--json").result["mac_result"]
    assert shown == json.loads(file.read_text())
    other = cli("inspect", of_package().path, "--mac-result", file)
    assert (other.code, "The result is of another bundle" in other.line) == (3, True)
    with pytest.raises(RecipeError, match="no bundle"):
        mlpublish.inspect(classifier, mac_result=file)


def test_an_unpacked_bundle_is_known_by_its_manifest(packed, tmp_path):
    import zipfile

    ran(packed, out=tmp_path / "result.json")
    with zipfile.ZipFile(packed.path) as held:
        held.extractall(tmp_path / "unpacked")
    assert mlpublish.inspect(tmp_path / "unpacked", mac_result=tmp_path / "result.json").mac is not None
    manifest = tmp_path / "unpacked" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"created_by": "mlpublish', '"created_by": "nobody'))
    with pytest.raises(DigestMismatch, match="another manifest"):
        mlpublish.inspect(tmp_path / "unpacked", mac_result=tmp_path / "result.json")


def test_a_review_shows_it_and_refuses_one_of_other_bytes(production, carried, tmp_path, cli):
    """The change adds a bundle of content that nobody can run; the result is made by hand for it."""
    packed = bundle(carried, out=tmp_path / "another")
    result = ran(packed, out=tmp_path / "result.json")
    production.stand().publish(b"one")
    where = ("--app", "com.acme.digits", "--at", production.folder, "--root", production.first_root)
    plain = cli("review", "show", *where, "--json")
    other = cli("review", "show", *where, "--mac-result", tmp_path / "result.json")
    assert (other.code, "The result is of another bundle" in other.line) == (3, True)
    (released,) = plain.result["bundles"].values()
    mine = replace(result, bundle_sha256=released["sha256"], models=())
    (tmp_path / "mine.json").write_bytes(mine.to_bytes())
    told = cli("review", "show", *where, "--mac-result", tmp_path / "mine.json")
    assert (told.code, "on a Mac" in told.out) == (0, True)
    assert cli("review", "show", *where, "--mac-result", tmp_path / "none.json").code == 6
