"""A watcher that is killed or stopped at a chosen point: after the next start there is one release, and its tags are right."""

from __future__ import annotations

import signal

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.gate import Match
from tests.watching import LONG, Watch, delivery, until

KILLS: dict[str, tuple[Match, bool, list[int]]] = {
    "between webhook and release": (lambda method, path: "registered-models/alias" in path, False, []),
    "between release and write-back": (lambda method, path: path.endswith("runs/create"), False, [1]),
    "in the middle of write-back": (lambda method, path: path.endswith("model-versions/set-tag"), True, [1]),
    "between write-back and the state": (lambda method, path: path.endswith("runs/update"), True, [1]),
}


@pytest.mark.parametrize("point", KILLS)
def test_a_watcher_that_is_killed_makes_one_release_of_it_in_the_end(point, watch, registry, gate):
    match, answered, there = KILLS[point]
    watch.configure('secret = "env:HOOK_SECRET"', "poll = 3600")
    registry.delete_registered_model_alias("digits", watch.alias)
    body, headers = delivery(watch.alias)
    with watch.running() as watcher:
        until(lambda: watcher.state() == "no_alias")
        registry.set_registered_model_alias("digits", watch.alias, "1")
        gate.hold(match, answered=answered)
        assert watcher.post(body, headers)[0] == 202
        assert gate.caught.wait(LONG)
        watcher.kill()
    assert watch.numbers() == there  # the kill was where it says
    assert watch.finished() == []
    with watch.running() as watcher:
        until(lambda: watcher.state() == "settled")
        status, told = watcher.post(body, headers)
        assert (status, told["outcome"]) == (200, "already")
    assert (watch.numbers(), watch.offered(), watch.finished()) == ([1], 1, ["1"])
    (run,) = _release_runs(registry, watch)
    assert run.info.status == "FINISHED"
    tags = registry.get_model_version("digits", "1").tags
    assert (tags["mlpublish.release"], tags["mlpublish.endpoint"]) == ("1", run.data.tags["mlpublish.endpoint"])
    assert "mlpublish.error" not in tags


def _release_runs(registry: MlflowClient, watch: Watch) -> list[Run]:
    """What the registry keeps of this test's releases."""
    everywhere = [each.experiment_id for each in registry.search_experiments()]
    runs = registry.search_runs(everywhere, "tags.kind = 'release'")
    return [run for run in runs if run.data.tags["mlpublish.endpoint"].startswith(watch.to)]


def test_sigterm_in_the_middle_of_a_release_ends_it_and_the_next_start_finishes_it(watch, gate):
    watch.configure("poll = 3600")
    gate.hold(lambda method, path: method == "POST" and path.endswith("runs/create"))
    with watch.running() as watcher:
        assert gate.caught.wait(LONG)
        assert watcher.stop() == 0
        assert watcher.said("stopped", abandoned=True)
    with watch.running() as watcher:
        until(lambda: watcher.state() == "settled")
        code, told, _ = watch.once()
        assert (code, told["error"]["code"]) == (5, "conflict")
        watcher.process.send_signal(signal.SIGINT)
        assert watcher.process.wait(20) == 0
    assert watch.numbers() == [1]
