"""mlpublish.toml and ``MLPUBLISH_*``: what is read, in which order, and what is refused with the nearest known key."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpublish import settings
from mlpublish.artifacts import App
from mlpublish.errors import RecipeError
from mlpublish.formats.token_reference import TokenReference
from mlpublish.repository import channels, defaults

WHOLE = """
repository = "dev"
endpoint = "https://updates.acme.com"
channel = "beta"
platform = "ipados"
token_file = "secrets/token"

[keys]
root = "keystore:keys/root.p12?alias=a&storepass-file=keys/root.pass"
targets = "file:keys/release.pem"
channels = "pkcs11:token=ops"
snapshot = "keys/snapshot.pem"
timestamp = ["file:keys/old.pem", "awskms:alias/new"]

[apps."com.acme.insurance"]
version = "2.0"
platform = "macos"
channel = "nightly"
root = "roots/1.root.json"

[recipe]
target = "iOS17"
precision = "float32"
tolerance = 0.001
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configured(text: str) -> settings.Settings:
    Path(settings.FILE).write_text(text)
    return settings.load()


def test_without_a_file_there_are_defaults():
    found = settings.load()
    assert (found.repository, found.endpoint, found.channel, found.platform) == (None, None, "stable", "ios")
    assert (found.only_app, dict(found.recipe), dict(found.keys)) == (None, {}, {})


def test_every_documented_key_is_read_and_paths_are_relative_to_the_file(here):
    found = configured(WHOLE)
    assert found.repository == str(here / "dev")
    assert found.endpoint == "https://updates.acme.com"
    assert found.token == TokenReference(kind="file", name=str(here / "secrets/token"))
    assert dict(found.keys) == {
        "root": f"keystore:{here}/keys/root.p12?alias=a&storepass-file={here}/keys/root.pass",
        "targets": f"file:{here}/keys/release.pem",
        "channels": "pkcs11:token=ops",
    }
    assert dict(found.online) == {
        "snapshot": (f"file:{here}/keys/snapshot.pem",),
        "timestamp": (f"file:{here}/keys/old.pem", "awskms:alias/new"),
    }
    assert found.app("com.acme.insurance").root == here / "roots/1.root.json"
    assert dict(found.recipe) == {"target": "iOS17", "precision": "float32", "tolerance": 0.001}


def test_the_file_may_lie_elsewhere(here, monkeypatch):
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / "ci.toml").write_text('repository = "dev"\n')
    monkeypatch.setenv("MLPUBLISH_CONFIG", "elsewhere/ci.toml")
    assert settings.load().repository == str(Path("elsewhere/dev"))
    monkeypatch.setenv("MLPUBLISH_CONFIG", "nowhere.toml")
    with pytest.raises(RecipeError, match=r"nowhere\.toml"):
        settings.load()


@pytest.mark.parametrize("name", ["repository", "endpoint", "channel", "platform"])
def test_a_variable_wins_over_the_file_and_an_empty_one_does_not(monkeypatch, name):
    configured(WHOLE)
    said = getattr(settings.load(), name)
    monkeypatch.setenv(f"MLPUBLISH_{name.upper()}", "from-the-environment")
    assert getattr(settings.load(), name) == "from-the-environment"
    monkeypatch.setenv(f"MLPUBLISH_{name.upper()}", "")
    assert getattr(settings.load(), name) == said


def test_a_keyword_wins_over_everything(monkeypatch):
    configured(WHOLE)
    monkeypatch.setenv("MLPUBLISH_REPOSITORY", "from-the-environment")
    monkeypatch.setenv("MLPUBLISH_CHANNEL", "from-the-environment")
    assert defaults.repository_for("given") == "given"
    assert channels.default_channel("com.acme.insurance", "given") == "given"
    assert settings.app_for("com.acme.other", "9.9", "tvos") == App(id="com.acme.other", version="9.9", platform="tvos")


def test_what_is_set_for_an_app_wins_over_what_is_set_for_all():
    configured(WHOLE)
    assert channels.default_channel("com.acme.insurance", None) == "nightly"
    assert channels.default_channel("com.acme.other", None) == "beta"
    assert settings.app_for(None, None, None) == App(id="com.acme.insurance", version="2.0", platform="macos")
    assert settings.app_for("com.acme.other", "1", None).platform == "ipados"


def test_of_several_apps_none_is_guessed():
    configured(f'{WHOLE}\n[apps."com.acme.digits"]\nversion = "1"\n')
    with pytest.raises(RecipeError) as told:
        settings.app_for(None, None, None)
    assert told.value.field == "app"


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ('repositry = "dev"', "repositry", "repository"),
        ('[keys]\ntarget = "file:k"', "target", "targets"),
        ('[keys]\ntimestap = "file:k"', "timestap", "timestamp"),
        ('[apps."a.b"]\nverion = "1"', "verion", "version"),
        ("[recipe]\ntolerence = 1", "tolerence", "tolerance"),
        ('[profiles.prod]\nendpont = "https://x"', "endpont", "endpoint"),
        ('[profiles.prod.keys]\ntarget = "file:k"', "target", "targets"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(text, key, nearest):
    with pytest.raises(RecipeError, match=f"unknown key '{key}'. Did you mean '{nearest}'"):
        configured(text)


@pytest.mark.parametrize("role", ["targets", "timestamp"])
def test_a_file_that_lies_in_the_current_folder_loads_no_library(role):
    with pytest.raises(RecipeError, match="PKCS#11 module") as told:
        configured(f'[keys]\n{role} = "pkcs11:object=x?module%2dpath=evil.so"')
    assert told.value.field == "module-path"
    configured(f'[keys]\n{role} = "pkcs11:object=x?pin-env=PIN"')


def test_a_key_that_resembles_none_is_answered_with_all():
    with pytest.raises(RecipeError, match="Known are: repository, endpoint"):
        configured('xyzzy = "dev"')


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("repository = 7", "repository"),
        ('keys = "file:k"', "keys"),
        ('[apps]\n"a.b" = "2.0"', "a.b"),
        ('[apps."a.b"]\nversion = 2.0', "version"),
        ('[keys]\nroot = ["file:a", "file:b"]', "root"),
        ("[keys]\ntimestamp = []", "timestamp"),
        ('[keys]\nsnapshot = ["file:a", 2]', "snapshot"),
        ("[recipe]\ntolerance = [1]", "tolerance"),
        ('[recipe]\ntolerance = "small"', "tolerance"),
        ("[recipe]\ntarget = 17", "target"),
        ("repository = ", "mlpublish.toml"),
        ('[profiles]\nprod = "https://x"', "prod"),
        ("[profiles.prod]\nendpoint = 7", "endpoint"),
        ('token = "env:A"\ntoken_file = "b"', "token"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(text, field):
    with pytest.raises(RecipeError) as told:
        configured(text)
    assert told.value.field == field


@pytest.mark.parametrize(
    ("uri", "trusted"),
    [
        ("http://127.0.0.1:8470", True),
        ("http://localhost", True),
        ("http://[::1]:8470", True),
        ("http://127.evil.example", False),
        ("https://updates.acme.com", False),
        ("file:dev", False),
    ],
)
def test_the_development_token_is_for_this_machine_alone(development, uri, trusted):
    token = defaults.token_of(None, development, uri)
    assert (token == development.token()) is trusted
    assert trusted or token is None


def test_a_token_comes_from_the_call_then_the_variable_then_the_file(here, development, monkeypatch):
    (here / "token").write_text("from-the-file\n")
    configured('token_file = "token"')
    assert defaults.token_of(None, development, "http://127.0.0.1:1") == "from-the-file"
    monkeypatch.setenv("MLPUBLISH_TOKEN", "from-the-variable")
    assert defaults.token_of(None, development, "http://127.0.0.1:1") == "from-the-variable"
    assert defaults.token_of("given", development, "http://127.0.0.1:1") == "given"


def test_the_files_token_is_for_the_servers_that_the_file_names(here, monkeypatch):
    (here / "token").write_text("from-the-file\n")
    configured('endpoint = "https://updates.acme.com/"\ntoken_file = "token"\n[profiles.p]\ntoken = "env:P"')
    monkeypatch.setenv("P", "the-profiles")
    assert defaults.token_of(None, None, "https://updates.acme.com") == "from-the-file"
    for other in ("https://elsewhere.example", "https://updates.acme.com.evil.example", "https://updates.acme.com:444"):
        monkeypatch.setenv("MLPUBLISH_ENDPOINT", other)
        assert defaults.token_of(None, None, other) is None
        with settings.using(settings.load(profile="p")):
            assert defaults.token_of(None, None, other) is None
            assert defaults.token_of(None, None, "https://updates.acme.com") == "the-profiles"
    monkeypatch.setenv("MLPUBLISH_TOKEN", "from-the-variable")
    assert defaults.token_of(None, None, "https://elsewhere.example") == "from-the-variable"


PROFILES = """
repository = "dev"
endpoint = "http://127.0.0.1:8470"
channel = "stable"
token = "file:secrets/dev"

[keys]
targets = "file:keys/dev.pem"
channels = "file:keys/ops.pem"

[apps."com.acme.insurance"]
version = "2.0"
channel = "nightly"

[profiles.prod]
endpoint = "https://updates.acme.com"
channel = "beta"
token = "keyring:https://updates.acme.com/deployer"
keys = { targets = "awskms:alias/release" }

[profiles.mirror]
endpoint = "https://mirror.acme.com"
repository = "copy"

[profiles.tv]
platform = "tvos"
"""


def test_a_profile_stands_before_the_top_of_the_file(here):
    Path(settings.FILE).write_text(PROFILES)
    found = settings.load(profile="prod")
    assert (found.endpoint, found.channel) == ("https://updates.acme.com", "beta")
    assert found.token == TokenReference(kind="keyring", name="https://updates.acme.com/deployer")
    assert dict(found.keys) == {"targets": "awskms:alias/release", "channels": f"file:{here}/keys/ops.pem"}
    assert found.app("com.acme.insurance").channel == "beta"
    assert settings.load().channel == "stable"


def test_a_profile_with_an_endpoint_of_its_own_is_read_there_and_gets_no_other_servers_token(here):
    Path(settings.FILE).write_text(PROFILES)
    assert settings.load(profile="prod").repository == "https://updates.acme.com"
    mirror, tv = settings.load(profile="mirror"), settings.load(profile="tv")
    assert (mirror.repository, mirror.token) == (str(here / "copy"), None)
    assert (tv.endpoint, tv.platform, tv.token) == (
        "http://127.0.0.1:8470",
        "tvos",
        TokenReference(kind="file", name=str(here / "secrets/dev")),
    )


def test_a_profile_that_a_call_names_stands_before_the_environment_and_one_in_the_environment_after_the_rest(monkeypatch):
    Path(settings.FILE).write_text(PROFILES)
    monkeypatch.setenv("MLPUBLISH_PROFILE", "prod")
    assert settings.load().endpoint == "https://updates.acme.com"
    monkeypatch.setenv("MLPUBLISH_ENDPOINT", "https://elsewhere.acme.com")
    monkeypatch.setenv("MLPUBLISH_TOKEN", "t")
    assert (settings.load().endpoint, settings.load().channel) == ("https://elsewhere.acme.com", "beta")
    assert settings.load().token == TokenReference(kind="env", name="MLPUBLISH_TOKEN")
    named = settings.load(profile="prod")
    assert (named.endpoint, named.token.kind) == ("https://updates.acme.com", "keyring")
    assert settings.load(profile="mirror").token.kind == "env"


@pytest.mark.parametrize(("text", "told"), [(PROFILES, "Did you mean 'prod'"), ("", r"Write \[profiles.pord\]")])
def test_an_unknown_profile_is_answered_with_the_nearest(text, told):
    Path(settings.FILE).write_text(text)
    with pytest.raises(RecipeError, match=f"There is no profile 'pord'. {told}") as error:
        settings.load(profile="pord")
    assert error.value.field == "profile"


@pytest.mark.parametrize("place", ["", "[profiles.prod]\n"])
@pytest.mark.parametrize("token", ["hunter2hunter2", "Bearer:hunter2", "env:", "keyring:hunter2", "keyring:/hunter2"])
def test_a_literal_token_is_refused_and_not_repeated(place, token):
    with pytest.raises(RecipeError, match=r"is no reference.*keyring:SERVICE/USER") as told:
        configured(f'{place}token = "{token}"')
    assert "hunter2" not in str(told.value)
    assert told.value.field == "token"


def test_settings_that_are_used_are_what_is_loaded_inside_and_nothing_else_is_read(monkeypatch):
    monkeypatch.setenv("MLPUBLISH_CONFIG", "nowhere.toml")
    with settings.using(settings.Settings(channel="beta")):
        assert settings.load().channel == "beta"
        assert channels.default_channel("com.acme.other", None) == "beta"
    with pytest.raises(RecipeError):
        settings.load()
