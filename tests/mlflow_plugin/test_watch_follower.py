"""A channel follows its alias, and nothing else moves it: looked at as ``mlpublish watch --once`` does, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from mlpublish import channel
from mlpublish.artifacts import App
from mlpublish.errors import Conflict, StorageError
from mlpublish.mlflow_plugin.watch import watch_once
from mlpublish.mlflow_plugin.watch_follower import Standing, pause_after
from mlpublish.mlflow_plugin.watch_settings import Mapped, WatchSettings
from mlpublish.mlflow_plugin.watch_state import Deliveries, Ledger, held
from mlpublish.mlflow_plugin.webhooks import WINDOW
from mlpublish.repository.development import Development

Look = Callable[[], Standing]
ALIAS = "live"


@pytest.fixture
def registry(digits, app) -> MlflowClient:
    """The store that MLflow is set to, where ``digits@live`` is version 1."""
    client = MlflowClient()
    client.set_registered_model_alias("digits", ALIAS, "1")
    return client


@pytest.fixture
def wanted(here: Path, development: Development, app: App) -> WatchSettings:
    mapped = Mapped(model="digits", alias=ALIAS, app=app, channel="stable", to=f"file:{development.folder}")
    return WatchSettings(
        host="127.0.0.1", port=0, secret=None, poll=60, state=here / "state", tracking_uri=None, models=(mapped,)
    )


@pytest.fixture
def look(registry: MlflowClient, wanted: WatchSettings) -> Look:
    """Looks once, as a process of its own would: from the state on disk."""
    return lambda: watch_once(wanted)[0]


@pytest.fixture
def offered(development: Development, app: App) -> Callable[[], int | None]:
    """The release that the channel offers now."""

    def now() -> int | None:
        entry = channel.show(app.id, at=f"file:{development.folder}").channel.entry(app.version)
        return None if entry is None else entry.release

    return now


@pytest.fixture
def steer(development: Development, app: App) -> Callable[..., object]:
    """The operator's hand on the channel."""
    return lambda release: channel.set(app.id, to=f"file:{development.folder}", app_version=app.version, release=release)


def numbers(development: Development, app: App) -> list[int]:
    return sorted(development.app(app.id).head().releases)


def test_a_channel_follows_its_alias_there_and_back_and_makes_each_release_once(look, registry, offered, development, app):
    first = look()
    assert (first.state, first.version, first.release, offered()) == ("settled", "1", 1, 1)
    registry.set_registered_model_alias("digits", ALIAS, "2")
    second = look()
    assert (second.state, second.version, second.release, offered()) == ("settled", "2", 2, 2)
    registry.set_registered_model_alias("digits", ALIAS, "1")
    back = look()
    assert (back.state, back.version, back.release, offered()) == ("settled", "1", 1, 1)
    assert numbers(development, app) == [1, 2]
    tags = registry.get_model_version("digits", "2").tags
    assert (tags["mlpublish.release"], tags["mlpublish.channel"]) == ("2", "stable")


def test_an_operators_hand_on_the_channel_is_left_alone_until_the_alias_moves(look, registry, offered, steer):
    look()
    registry.set_registered_model_alias("digits", ALIAS, "2")
    look()
    steer(1)
    registry.set_registered_model_alias("digits", ALIAS, "2")  # set anew, not moved
    assert (look().state, offered()) == ("settled", 1)
    registry.delete_registered_model_alias("digits", ALIAS)
    gone = look()
    assert (gone.state, gone.release, offered()) == ("no_alias", 2, 1)


def test_at_first_sight_a_channel_that_is_ahead_is_not_taken_back(look, registry, offered, wanted, development, app):
    """Nobody saw this alias move: the state may be new, or lost, and somebody may have released the newer one on purpose."""
    registry.set_registered_model_alias("digits", ALIAS, "1")
    look()
    registry.set_registered_model_alias("digits", ALIAS, "2")
    look()
    (wanted.state / "released.json").unlink()
    registry.set_registered_model_alias("digits", ALIAS, "1")
    blocked = look()
    assert (blocked.state, blocked.last_error.code, offered()) == ("failed", "conflict", 2)
    assert "mlpublish channel set" in str(blocked.last_error)
    registry.set_registered_model_alias("digits", ALIAS, "2")
    assert (look().state, numbers(development, app)) == ("settled", [1, 2])


@pytest.fixture
def unconvertible(registry: MlflowClient) -> str:
    """A version of digits that has no flavor that is converted."""

    class Nothing(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(
            name="odd", python_model=Nothing(), registered_model_name="digits", pip_requirements=["mlflow"]
        )
    return str(logged.registered_model_version)


def test_a_model_that_cannot_be_converted_is_told_to_the_registry_and_the_channel_stays(
    look, registry, offered, steer, unconvertible, development, app
):
    look()
    registry.set_registered_model_alias("digits", ALIAS, "2")
    look()
    steer(1)
    registry.set_registered_model_alias("digits", ALIAS, unconvertible)
    failed = look()
    assert (failed.state, failed.version, failed.release, failed.next_try) == ("failed", unconvertible, 2, None)
    assert failed.last_error.code == "conversion_error"
    assert "python_function" in registry.get_model_version("digits", unconvertible).tags["mlpublish.error"]
    registry.set_registered_model_alias("digits", ALIAS, "2")
    assert look().state == "settled"  # nothing was published for what failed, so there is nothing to take back
    assert (offered(), numbers(development, app)) == (1, [1, 2])


def test_an_alias_that_is_not_there_is_no_failure(look, registry):
    registry.delete_registered_model_alias("digits", ALIAS)
    assert (look().state, look().last_error) == ("no_alias", None)


def test_a_second_watcher_refuses_the_folder_of_the_first(wanted):
    with held(wanted.state), pytest.raises(Conflict, match="Another watcher"), held(wanted.state):
        pass


def test_a_damaged_state_is_told_and_removing_it_releases_nothing_twice(look, wanted, development, app):
    look()
    (wanted.state / "released.json").write_bytes(b"{")
    with pytest.raises(StorageError, match="Remove it"):
        look()
    (wanted.state / "released.json").unlink()
    assert (look().release, numbers(development, app)) == (1, [1])


def test_what_was_begun_and_not_finished_is_done_again_even_where_the_alias_is_back(look, registry, wanted, offered, steer):
    """The crash came after the channel had moved to version 2; while the watcher was down, the alias went back to 1."""
    look()
    registry.set_registered_model_alias("digits", ALIAS, "2")
    before = (wanted.state / "released.json").read_text()
    look()
    state = json.loads(before)
    (record,) = state["models"].values()
    record["begun"] = True
    (wanted.state / "released.json").write_text(json.dumps(state))
    registry.set_registered_model_alias("digits", ALIAS, "1")
    assert (look().release, offered()) == (1, 1)


def test_scratch_that_a_killed_release_left_is_cleared_away(look, wanted):
    look()
    left = wanted.state / "scratch" / "tmpabc"
    left.mkdir()
    look()
    assert not left.exists()
    assert list((wanted.state / "scratch").iterdir()) == []


def test_a_delivery_is_new_once_also_for_the_next_process_and_forgotten_when_it_is_too_old(tmp_path):
    assert Deliveries(tmp_path).take("a", sent=1000, now=1000)
    assert not Deliveries(tmp_path).take("a", sent=1000, now=1000 + WINDOW)
    assert Deliveries(tmp_path).take("b", sent=1001 + WINDOW, now=1001 + WINDOW)
    assert json.loads((tmp_path / "deliveries.json").read_text())["seen"] == {"b": 1001 + WINDOW}


def test_what_the_ledger_says_stays_said(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.begin("a")
    assert Ledger(tmp_path).record("a").begun
    ledger.give_up("a")
    assert Ledger(tmp_path).record("a") == ledger.record("b")


@pytest.mark.parametrize("tries", [1, 2, 3, 7, 8, 50, 10_000])
def test_pauses_grow_from_five_seconds_to_ten_minutes(tries):
    drawn = [pause_after(tries) for _ in range(50)]
    assert min(drawn) >= min(300.0, max(5.0, 2.5 * 2 ** min(tries - 1, 20)))
    assert max(drawn) <= min(600.0, 5.0 * 2 ** min(tries - 1, 20))
    assert tries < 3 or len(set(drawn)) > 1


def test_whatever_lies_in_the_place_of_the_scratch_folder_goes_and_nothing_behind_a_link(tmp_path: Path) -> None:
    other, state = tmp_path / "other", tmp_path / "state"
    other.mkdir()
    (other / "mine").touch()
    state.mkdir()
    (state / "scratch").symlink_to(other)
    with held(state):
        assert (state / "scratch").is_dir()
    assert (other / "mine").exists()


def test_a_delivery_that_could_not_be_noted_is_new_the_next_time(tmp_path: Path) -> None:
    deliveries = Deliveries(tmp_path / "state")
    with pytest.raises(StorageError):  # there is no such folder
        deliveries.take("one", sent=0, now=0)
    (tmp_path / "state").mkdir()
    assert deliveries.take("one", sent=0, now=0)
