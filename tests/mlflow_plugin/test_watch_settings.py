"""``[watch]``: what it means, and that what cannot be meant is refused in one line that shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpublish.artifacts import App
from mlpublish.errors import RecipeError
from mlpublish.mlflow_plugin.watch_settings import Mapped, WatchSettings

MODEL = """
[[watch.models]]
model = "digits"
alias = "champion"
"""
APPS = """
endpoint = "file:dev"
[apps."com.acme.digits"]
version = "2.0"
channel = "beta"
"""


def load(here: Path, text: str) -> WatchSettings:
    (here / "mlpublish.toml").write_text(text)
    return WatchSettings.load()


def test_the_defaults_are_those_of_release_and_of_the_file(here: Path) -> None:
    read = load(here, APPS + MODEL)
    assert (read.host, read.port, read.secret, read.poll) == ("127.0.0.1", 8471, None, 60)
    assert (read.state, read.tracking_uri) == (here / ".mlpublish-watch", None)
    app = App(id="com.acme.digits", version="2.0")
    assert read.models == (Mapped(model="digits", alias="champion", app=app, channel="beta", to=f"file:{here / 'dev'}"),)


def test_everything_that_is_said_is_taken_relative_to_the_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "deep").mkdir()
    (here / "deep" / "hook.secret").write_text("s3cret\n")
    (here / "deep" / "watch.toml").write_text(
        '[watch]\nhost = "0.0.0.0"\nport = 0\nsecret = "file:hook.secret"\npoll = 5\nstate = "kept"\n'
        'tracking_uri = "http://mlflow:5000"\n'
        + MODEL
        + 'app = "com.acme.other"\napp_version = "3.1"\nplatform = "macos"\nchannel = "live"\nto = "file:out"\n'
        'repository = "dev"\nname = "numbers"\n'
    )
    monkeypatch.setenv("MLPUBLISH_CONFIG", str(here / "deep" / "watch.toml"))
    read = WatchSettings.load()
    assert (read.host, read.port, read.secret, read.poll) == ("0.0.0.0", 0, "s3cret", 5)
    assert (read.state, read.tracking_uri) == (here / "deep" / "kept", "http://mlflow:5000")
    assert read.models == (
        Mapped(
            model="digits",
            alias="champion",
            app=App(id="com.acme.other", version="3.1", platform="macos"),
            channel="live",
            to=f"file:{here / 'deep' / 'out'}",
            repository=str(here / "deep" / "dev"),
            name="numbers",
        ),
    )
    assert "s3cret" not in repr(read)


def watch(line: str) -> str:
    return f"{APPS}\n[watch]\n{line}\n{MODEL}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (APPS, "says no alias to follow"),
        (f"{APPS}\n[watch]\nmodels = []", "says no alias to follow"),
        (watch("pol = 3"), "Did you mean 'poll'"),
        (APPS + MODEL + 'chanel = "x"', "Did you mean 'channel'"),
        (watch("poll = 0"), "from 1 to 3600"),
        (watch("poll = true"), "from 1 to 3600"),
        (watch("port = 65536"), "from 0 to 65535"),
        (watch('host = "0.0.0.0"'), "no webhook secret"),
        (watch('host = "127.evil.example"'), "no webhook secret"),
        (watch('host = "http://127.0.0.1"'), "neither a name nor an address"),
        (watch('host = "["'), "neither a name nor an address"),
        (watch('host = "127.0.0.1\\n"'), "neither a name nor an address"),
        (watch('secret = "file:\\u0000"'), "The secret file"),
        (watch('secret = "env:HOOK_SECRET"'), "HOOK_SECRET is not set"),
        (watch('secret = "file:nowhere"'), "cannot be read"),
        (APPS + MODEL + MODEL.replace("champion", "challenger"), "two aliases"),
        (APPS + '[[watch.models]]\nmodel = "digits"', "alias is missing"),
        (APPS + '[[watch.models]]\nmodel = "digits/7"\nalias = "champion"', "'digits/7'"),
        (APPS + '[[watch.models]]\nmodel = 7\nalias = "champion"', "must be a text"),
        (APPS + '[[watch.models]]\nmodel = "digits?x"\nalias = "champion"', "'digits?x'"),
        (APPS + '[[watch.models]]\nmodel = "digits"\nalias = "Latest"', "'Latest'"),
        (APPS + MODEL + 'to = "http://u:hunter2@acme.com"', "carries credentials"),
        (APPS + MODEL + 'channel = "No Channel"', "not the name of a channel"),
        (APPS + MODEL + 'app_version = "two"', "such as 2.0"),
        (MODEL, "No app is named"),
        (APPS.replace('endpoint = "file:dev"', "") + MODEL, "to is said nowhere"),
    ],
)
def test_what_cannot_be_meant_is_refused(here: Path, text: str, told: str) -> None:
    with pytest.raises(RecipeError) as refused:
        load(here, text)
    assert told in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("literal", ["hunter2hunter2", "env", "file:", "base64:aHVudGVyMg=="])
def test_a_secret_that_stands_in_the_file_is_refused_without_showing_it(here: Path, literal: str) -> None:
    with pytest.raises(RecipeError, match="is no reference") as refused:
        load(here, watch(f'secret = "{literal}"'))
    assert refused.value.field == "secret"
    assert "hunter2" not in str(refused.value)
    assert "aHVudGVyMg" not in str(refused.value)
