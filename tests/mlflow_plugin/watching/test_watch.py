"""The real ``mlpublish watch`` beside a real ``mlflow server``: webhooks, missed and doubled ones, outages."""

from __future__ import annotations

import http.client
import json
import socket
import time

from mlpublish.mlflow_plugin.webhooks import ID, SIGNATURE
from tests.watching import LONG, SECRET, delivery, until


def test_a_moved_alias_is_released_once_by_its_webhook_and_by_nothing_else(watch, registry, hooked):
    watch.configure('secret = "env:HOOK_SECRET"', "poll = 3600")
    with watch.running() as watcher, hooked(watcher) as webhook:
        until(lambda: watcher.state() == "settled")
        assert (watch.numbers(), watch.offered()) == ([1], 1)

        assert registry.test_webhook(webhook).success
        assert until(lambda: watcher.said("webhook", outcome="ignored"))["why"] == "a test event"

        registry.set_registered_model_alias("digits", watch.alias, "2")
        until(lambda: watcher.said("settled", version="2"))
        assert watcher.said("webhook", outcome="queued")
        assert (watch.numbers(), watch.offered()) == ([1, 2], 2)
        assert registry.get_model_version("digits", "2").tags["mlpublish.release"] == "2"

        body, headers = delivery(watch.alias)
        assert [watcher.post(body, headers)[0] for _ in range(2)] == [202, 200]
        assert watcher.post(body, headers)[1]["outcome"] == "already"

        refused = [
            (401, delivery(watch.alias, secret="guessed")),
            (401, delivery(watch.alias, at=time.time() - 301)),
            (401, (body, {name: value for name, value in headers.items() if name != SIGNATURE})),
            (401, (body + b" ", headers)),
            (400, (body, headers | {ID: "a.b"})),
            (413, (b" " * 70_000, headers)),
        ]
        assert [(watcher.post(*each)[0]) for _, each in refused] == [status for status, _ in refused]
        assert watcher.post(*delivery(watch.alias, model="another"))[1]["why"] == f"another@{watch.alias} is not followed"

        registry.set_registered_model_alias("digits", watch.alias, "1")
        until(lambda: watcher.said("released", version="1", new=False))
        assert (watch.numbers(), watch.offered()) == ([1, 2], 1)
        assert SECRET not in watcher.log.read_text()
        assert watcher.stop() == 0
        assert watcher.said("stopped", abandoned=False)


def test_a_delivery_that_was_missed_is_found_by_polling_and_without_a_secret_there_is_no_webhook(watch, registry):
    watch.configure("poll = 1")
    with watch.running() as watcher:
        until(lambda: watcher.state() == "settled")
        assert watcher.post(*delivery(watch.alias))[0] == 404
        registry.set_registered_model_alias("digits", watch.alias, "2")
        until(lambda: watcher.said("settled", version="2"))
        assert (watch.numbers(), watch.offered()) == ([1, 2], 2)


def test_a_registry_that_is_down_degrades_the_watcher_and_it_recovers(watch, gate, registry):
    watch.configure("poll = 1")
    gate.shut = True
    with watch.running() as watcher:
        until(lambda: watcher.state() == "unreachable")
        health = watcher.health()
        assert (health["ok"], health["degraded"]) == (True, True)
        (model,) = health["models"]
        assert model["last_error"]["code"] == "endpoint_unreachable"
        assert model["next_try"]
        gate.shut = False
        until(lambda: watcher.state() == "settled")
        assert watcher.health()["degraded"] is False
    assert watch.numbers() == [1]


def test_an_endpoint_that_is_down_is_tried_again_and_told_to_the_registry_until_it_works(
    watch, registry, development, app, serving, monkeypatch
):
    development.app(app.id)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLPUBLISH_REPOSITORY", str(development.folder))
    watch.configure("poll = 3600")
    settings = watch.folder / "mlpublish.toml"
    settings.write_text(settings.read_text().replace(watch.to, f"http://127.0.0.1:{port}"))
    with watch.running() as watcher:
        retrying = until(lambda: watcher.said("retrying"))
        assert retrying["error"]["code"] == "endpoint_unreachable"
        until(lambda: "mlpublish.error" in registry.get_model_version("digits", "1").tags)
        with serving(development.folder, port=port):
            until(lambda: watcher.state() == "settled")
    assert watch.numbers() == [1]
    assert "mlpublish.error" not in registry.get_model_version("digits", "1").tags


def test_once_looks_once_and_its_exit_code_says_what_is_left_to_do(watch, gate, registry):
    watch.configure()
    gate.shut = True
    code, told, log = watch.once()
    assert (code, told["result"]["models"][0]["state"]) == (7, "unreachable")
    assert all(json.loads(line)["event"] for line in log.splitlines())
    gate.shut = False
    registry.delete_registered_model_alias("digits", watch.alias)
    code, told, _ = watch.once()
    assert (code, told["result"]["models"][0]["state"]) == (0, "no_alias")


def test_once_in_vain_is_exit_code_1(watch):
    watch.configure()
    settings = watch.folder / "mlpublish.toml"
    settings.write_text(settings.read_text() + '\nname = "no/name"')
    code, told, _ = watch.once()
    (model,) = told["result"]["models"]
    assert (code, model["state"], model["next_try"]) == (1, "failed", None)
    assert watch.numbers() == []


def test_a_connection_that_never_asks_is_closed(watch):
    watch.configure("poll = 3600")
    with watch.running() as watcher, socket.create_connection(("127.0.0.1", int(watcher.url.rpartition(":")[2]))) as line:
        line.settimeout(LONG)
        line.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\n")
        assert line.recv(1) == b""
        slow = http.client.HTTPConnection("127.0.0.1", int(watcher.url.rpartition(":")[2]), timeout=LONG)
        slow.putrequest("GET", "/healthz")
        slow.endheaders()
        assert slow.getresponse().status == 200
