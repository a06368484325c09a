"""note: what became of a model stands where it came from, once."""

from __future__ import annotations

import mlflow
import pytest

from mlpublish import convert, release
from mlpublish.formats.manifest import Manifest
from mlpublish.registry.note import note_failure

PLACE = "com.acme.digits/2.0/stable"


def test_a_release_is_noted_at_the_version_and_at_the_logged_model(store, released):
    receipt = released()
    wanted = {
        "mlpublish.release": "1",
        "mlpublish.channel": "stable",
        "mlpublish.bundle_sha256": receipt.sha256,
        "mlpublish.app": "com.acme.digits",
        "mlpublish.endpoint": receipt.endpoint,
        f"mlpublish.release.{PLACE}": "1",
    }
    assert receipt.registry.state == "written"
    for marked in (store.version(), store.logged()):
        assert wanted.items() <= marked.tags.items()
    assert store.version().description.startswith("mlpublish: release 1 of com.acme.digits 2.0 (ios), channel stable, at file:")
    assert not store.version(1).tags


def test_a_release_run_holds_the_manifest_and_the_models_parity(store, released):
    receipt = released(out="kept")
    (run,) = store.release_runs()
    training = store.client.get_run(store.version().run_id)
    assert (run.info.run_name, run.info.status, run.info.run_id) == ("release 1 → stable", "FINISHED", receipt.registry.run_id)
    assert run.info.experiment_id == training.info.experiment_id
    (model,) = receipt.models
    assert run.data.metrics["mlpublish.parity.max_rel_diff"] == model.parity.max_rel_diff
    assert [each.model_id for each in run.inputs.model_inputs] == [store.logged().model_id]
    linked = {metric.key: metric.run_id for metric in store.logged().metrics}
    assert linked["mlpublish.parity.max_rel_diff"] == run.info.run_id
    manifest = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/manifest.json")
    assert Manifest.from_bytes(manifest.encode()).models == receipt.models


def test_the_same_again_says_so_and_writes_nothing(store, released, development, below):
    first = released()
    before, published = store.everything(), below(development.folder)
    again = released()
    assert (again.number, again.created, again.registry.state) == (1, False, "unchanged")
    assert again.registry.run_id == first.registry.run_id
    assert store.everything() == before
    assert below(development.folder) == published


@pytest.mark.parametrize("named", ["run", "model"])
def test_a_model_that_is_not_registered_is_noted_at_the_logged_model(store, released, named):
    version, logged = store.version(), store.logged()
    uri = f"runs:/{version.run_id}/model" if named == "run" else f"models:/{logged.model_id}"
    receipt = released(uri, name="digits")
    assert receipt.registry.state == "written"
    assert store.logged().tags[f"mlpublish.release.{PLACE}"] == "1"
    assert store.version().tags == {}
    assert released(uri, name="digits").registry.state == "unchanged"


def test_what_people_wrote_in_a_description_stays(store, released):
    written = "The **winner**.\n\nmlpublish: we like it.\n"
    store.client.update_model_version("digits", "2", description=written)
    released()
    assert store.version().description.startswith(written + "\n\nmlpublish: release 1 of ")
    released(channel="beta")
    assert store.version().description.startswith(written)
    assert store.version().description.count("mlpublish: release 1 of ") == 2


def test_two_channels_and_two_apps_do_not_hide_each_other(store, released, development):
    released("models:/digits/1")
    released()
    released(channel="beta")
    released(app="com.acme.other", app_version="1.0")
    tags = {name: value for name, value in store.version().tags.items() if name.startswith("mlpublish.release")}
    assert tags == {
        "mlpublish.release": "1",  # the newest note
        "mlpublish.release.com.acme.digits/2.0/stable": "2",
        "mlpublish.release.com.acme.digits/2.0/beta": "2",
        "mlpublish.release.com.acme.other/1.0/stable": "1",
    }
    names = [run.info.run_name for run in store.release_runs()]
    assert names == ["release 1 → stable", "release 2 → stable", "release 2 → beta", "release 1 → stable"]
    before = store.everything()
    assert released().registry.state == "unchanged"  # the newest note is another app's, and stays
    assert store.everything() == before


def test_several_models_of_a_bundle_share_a_run(store, released, tmp_path):
    models = [
        convert(f"models:/digits/{number}", name=f"digits{number}", out=tmp_path / "out", progress=False) for number in (1, 2)
    ]
    receipt = release(*models, name="both", app="com.acme.both", app_version="1.0", to=tmp_path / "dev", progress=False)
    (run,) = store.release_runs()
    assert receipt.registry.run_id == run.info.run_id
    assert {"mlpublish.parity.digits1.samples", "mlpublish.parity.digits2.samples"} <= run.data.metrics.keys()
    assert {each.model_id for each in run.inputs.model_inputs} == {store.logged(1).model_id, store.logged(2).model_id}
    assert store.version(1).tags["mlpublish.release"] == store.version(2).tags["mlpublish.release"] == "1"


def test_evidence_that_a_release_noted_is_no_lineage_of_the_next(store, released):
    released()
    receipt = released(channel="beta")
    assert receipt.number == 1
    assert not [name for name in receipt.models[0].provenance.mlflow.metrics if name.startswith("mlpublish")]


def test_an_alias_that_moves_back_takes_the_channel_back(store, released, offered):
    released("models:/digits/1")
    released("models:/digits/2")
    back = released("models:/digits/1", going_back=True)
    assert (back.number, back.created, back.registry.state) == (1, False, "unchanged")
    assert offered() == 1


def test_a_change_that_waits_is_noted_as_waiting_and_then_as_released(store, production, here):
    there = production.stand()
    (here / "mlpublish.toml").write_text(f'[keys]\nchannels = "{there.uri("olga")}"\n')
    where = {"app": there.app, "to": there.folder, "repository": there.folder, "root": there.first_root, "progress": False}
    waits = release("models:/digits@champion", signer=there.uri("alice"), **where)
    assert waits.change is not None
    for marked in (store.version(), store.logged()):
        assert marked.tags["mlpublish.change"] == waits.change
        assert "mlpublish.release" not in marked.tags
    assert store.release_runs() == []
    before = store.everything()
    assert release("models:/digits@champion", signer=there.uri("alice"), **where).registry.state == "unchanged"
    assert store.everything() == before
    there.sign("bob", waits.change)
    done = release("models:/digits@champion", signer=there.uri("alice"), **where)
    assert (done.change, done.channel, done.registry.state) == (None, "stable", "written")
    assert store.version().tags["mlpublish.release"] == str(done.number)
    assert not [name for name in store.version().tags if name.startswith("mlpublish.change")]


def test_a_failure_is_one_short_line_until_the_same_channel_is_released(store, released):
    problem = "No room\n at https://who:secret@updates.acme.com " + "x" * 1000
    assert note_failure("digits", "2", channel="stable", problem=problem).state == "written"
    error = store.version().tags["mlpublish.error"]
    assert error.startswith("stable: No room at https://updates.acme.com x")
    assert len(error) == 500
    assert note_failure("digits", "2", channel="stable", problem=problem).state == "unchanged"
    released(channel="beta")
    assert "mlpublish.error" in store.version().tags
    assert released().registry.state == "written"
    assert "mlpublish.error" not in store.version().tags
    note_failure("digits", "2", channel="stable", problem="Again.")
    assert released().registry.state == "written"  # it is released already, and the failure over
    assert "mlpublish.error" not in store.version().tags


def test_a_failure_that_cannot_be_noted_is_told(store):
    missing = note_failure("digits", "99", channel="stable", problem="No room.")
    assert missing.state == "failed"
    assert "99" in missing.detail
