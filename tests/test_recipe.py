"""release(): the whole street in one call. The models here are converted already, so that what is tested is the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpublish import check, release
from mlpublish.errors import Conflict, NotFound, RecipeError, SigningError, UnknownScheme
from mlpublish.formats.status import Reason
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.repository.endpoint import endpoint_for
from mlpublish.trust.keys import new_key_file

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def phone(development, app, tmp_path):
    """What the app's device says."""
    return lambda: check(app, at=development.folder, device=tmp_path / "phone")


def test_a_model_is_published_and_offered(development, app, new_model, phone):
    receipt = release(new_model(), app=app, to=development.folder)
    assert (receipt.number, receipt.created, receipt.channel, receipt.name) == (1, True, "stable", "digits")
    assert phone().installed == 1


def test_the_same_again_changes_nothing_and_other_bytes_are_the_next_release(development, app, new_model, phone, below):
    first = release(new_model(), app=app, to=development.folder)
    before = below(development.folder)
    again = release(new_model(), app=app, to=development.folder)
    assert below(development.folder) == before
    assert (again.number, again.sha256, again.created) == (first.number, first.sha256, False)
    assert release(new_model(content=b"better"), app=app, to=development.folder).number == 2
    assert phone().installed == 2


def test_a_re_run_leaves_what_an_operator_did(development, app, new_model, phone):
    """A pipeline that runs twice must not end a pause or widen a rollout."""
    where = {"to": development.folder, "app_version": app.version}
    release(new_model(), app=app, to=development.folder)
    release(new_model(content=b"next"), app=app, to=development.folder)
    channels.rollout(app.id, 0, **where)
    channels.pause(app.id, **where)
    again = release(new_model(content=b"next"), app=app, to=development.folder)
    (entry,) = channels.show(app.id, at=development.folder).channel.entries
    assert (again.created, entry.release, entry.rollout, entry.paused) == (False, 2, 0, True)
    assert phone().reason is Reason.PAUSED


def test_yesterdays_job_run_again_never_goes_back(development, app, new_model, phone):
    for content in (b"old", b"new"):
        release(new_model(content=content), app=app, to=development.folder)
    with pytest.raises(Conflict, match="newer release 2") as stale:
        release(new_model(content=b"old"), app=app, to=development.folder)
    assert "channel set --release 1" in stale.value.remedy
    assert phone().installed == 2


def test_after_a_rollback_the_newer_release_is_offered_again(development, app, new_model, phone):
    for content in (b"old", b"new"):
        release(new_model(content=content), app=app, to=development.folder)
    channels.rollback(app.id, to=development.folder, app_version=app.version)
    assert phone().installed == 1
    release(new_model(content=b"new"), app=app, to=development.folder)
    assert phone().installed == 2


def test_another_channel_leaves_the_first_alone(development, app, new_model, phone):
    release(new_model(), app=app, to=development.folder)
    release(new_model(content=b"next"), app=app, to=development.folder, channel="beta")
    assert phone().reason is None
    assert phone().reason is Reason.ALREADY_INSTALLED
    assert channels.show(app.id, at=development.folder, channel="beta").channel.entries[0].release == 2


def test_several_models_and_files_travel_in_one_bundle(development, app, new_model, phone, here):
    Path("labels.txt").write_text("zero\n")
    models = (new_model("digits"), new_model("letters", b"other"))
    receipt = release(*models, app=app, to=development.folder, name="reader", files=["labels.txt"], version="7")
    assert (receipt.name, receipt.version, [model.name for model in receipt.models]) == ("reader", "7", ["digits", "letters"])
    report = phone()
    assert set(report.models) == {"digits", "letters"}
    assert (report.path / "files" / "labels.txt").read_text() == "zero\n"
    assert [each.name for each in here.iterdir()] == ["labels.txt"]


def test_progress_is_told_step_by_step(development, app, new_model):
    told: list[str] = []
    release(new_model(), app=app, to=development.folder, progress=told.append)
    assert [sentence.split()[0] for sentence in told] == ["Taking", "Bundling", "Signing", "Pointing"]


def test_what_was_made_is_kept_where_it_is_wanted(development, app, new_model, here):
    receipt = release(new_model(), app=app, to=development.folder, out="kept")
    assert publish("kept/release", to=development.folder).sha256 == receipt.sha256
    assert [each.name for each in Path("kept").glob("*.zip")] == [f"digits-{receipt.version}.zip"]


def test_everything_may_come_from_the_configuration(development, app, new_model, phone):
    Path("mlpublish.toml").write_text(
        f'repository = "{development.folder}"\nendpoint = "file:{development.folder}"\nchannel = "beta"\n'
        '[apps."com.acme.digits"]\nversion = "2.0"\n'
    )
    assert release(new_model()).channel == "beta"


NO_MODEL = 3j  # nothing that could be converted: an error about anything else came first


@pytest.mark.parametrize(
    ("keywords", "error", "field"),
    [
        ({"to": None}, RecipeError, "to"),
        ({"app": None}, RecipeError, "app"),
        ({"app_version": None}, RecipeError, "app_version"),
        ({"app_version": "2.x"}, RecipeError, "app_version"),
        ({"to": "gopher://x"}, UnknownScheme, "scheme"),
        ({"to": "file:nowhere"}, NotFound, "to"),
        ({"to": "http://127.0.0.1:9", "repository": None}, RecipeError, "repository"),
        ({"signer": "file:nothing.pem"}, SigningError, "key"),
        ({"models": (NO_MODEL, NO_MODEL)}, RecipeError, "name"),
        ({"models": ()}, RecipeError, "models"),
    ],
    ids=str,
)
def test_what_is_missing_is_found_before_anything_is_converted(development, below, keywords, error, field):
    where = {"to": development.folder, "repository": development.folder}
    given = {"models": (NO_MODEL,), "app": "com.acme.digits", "app_version": "2.0", **where, **keywords}
    before = below(development.folder)
    with pytest.raises(error) as told:
        release(*given.pop("models"), **given)
    assert told.value.field == field
    assert below(development.folder) == before


def test_an_operators_key_that_is_missing_is_found_before_anything_is_published(development, app, new_model, tmp_path):
    """A plain folder of repositories: the publisher's key is named, nobody's for the channel."""
    release(new_model(), app=app, to=development.folder)
    plain = tmp_path / "plain"
    development.repository.rename(plain)
    with pytest.raises(SigningError, match="channels role"):
        release(new_model(content=b"x"), app=app, to=f"file:{plain}", repository=plain, signer=development.key_uri("targets"))


def test_a_key_that_does_not_hold_the_role_publishes_nothing(development, app, new_model, tmp_path):
    release(new_model(), app=app, to=development.folder)
    new_key_file(tmp_path / "stranger.pem")
    before = endpoint_for(development.folder).read(app.id, "metadata/timestamp.json")
    with pytest.raises(SigningError):
        release(new_model(content=b"x"), app=app, to=development.folder, signer=f"file:{tmp_path / 'stranger.pem'}")
    assert endpoint_for(development.folder).read(app.id, "metadata/timestamp.json") == before
