from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlpublish.errors import NotFound, RecipeError
from mlpublish.repository.development import Development
from mlpublish.repository.online import OnlineKeys
from mlpublish.server.settings import STOP_SECONDS, UPLOAD_LIMIT, ServerSettings
from mlpublish.trust.keys import new_key_file


def test_what_repo_init_writes_is_read_with_paths_beside_the_file(development: Development) -> None:
    folder = development.folder
    assert ServerSettings.read(folder) == ServerSettings(
        repository=folder / "repository",
        tokens=folder / "tokens",
        blobs=folder / "blobs",
        index=folder / "index.sqlite",
        upload_limit=UPLOAD_LIMIT,
        stop_seconds=STOP_SECONDS,
        keys=OnlineKeys(
            snapshot=(f"file:{folder}/keys/snapshot.pem",),
            timestamp=(f"file:{folder}/keys/timestamp.pem",),
            snapshot_days=7,
            timestamp_days=1,
        ),
    )


def test_absolute_paths_and_other_key_uris_stay_as_they_are(development: Development, tmp_path: Path) -> None:
    file = development.folder / "server.toml"
    text = file.read_text().replace("file:keys/snapshot.pem", "awskms:alias/snapshot")
    file.write_text(f'blobs = "{tmp_path}/uploads"\n{text}')
    settings = ServerSettings.read(development.folder)
    assert (settings.keys.snapshot, settings.blobs) == (("awskms:alias/snapshot",), tmp_path / "uploads")


def test_several_keys_sign_while_one_is_replaced_and_an_operators_key_renews_channels(development: Development) -> None:
    new_key_file(development.folder / "keys" / "next.pem")
    file = development.folder / "server.toml"
    text = file.read_text().replace('"file:keys/timestamp.pem"', '["file:keys/timestamp.pem", "keys/next.pem"]')
    file.write_text(f'{text}channels = "file:keys/channels.pem"\nchannels_days = 3.5\n')
    online = ServerSettings.read(development.folder).online()
    assert [each.public_key.keyid for each in online.timestamp] == [
        development.signer(name).public_key.keyid for name in ("timestamp", "next")
    ]
    assert online.channels is not None
    assert online.channels.public_key == development.signer("channels").public_key
    assert (online.channels_days, online.shortest_days) == (3.5, 1)


@pytest.mark.parametrize(
    ("pattern", "replacement", "field", "told"),
    [
        ("^tokens", "tokns", "tokns", "Did you mean tokens?"),
        ("snapshot_days", "snapshot_dys", "online.snapshot_dys", "Did you mean snapshot_days?"),
        ("^repository.*$", "", "repository", "is missing"),
        ("^repository.*$", "repository = 5", "repository", "type str"),
        ("^repository.*$", 'repository = "nowhere"', "repository", "no folder"),
        ("^repository", 'blobs = "repository/blobs"\nrepository', "blobs", "everybody can read"),
        ("^repository", "upload_limit = -1\nrepository", "upload_limit", "above 0"),
        ("^repository", "stop_seconds = true\nrepository", "stop_seconds", "above 0"),
        ("timestamp_days = 1", "timestamp_days = nan", "online.timestamp_days", "above 0"),
        ('^timestamp = ".*"$', "timestamp = []", "online.timestamp", "a key URI or a list of them"),
        ('^timestamp = ".*"$', 'timestamp = ["file:a", ""]', "online.timestamp", "a key URI or a list of them"),
        ('^timestamp = ".*"$', "", "online.timestamp", "is missing"),
        ("timestamp_days = 1", 'channels = ["file:a"]', "online.channels", "type str"),
        ("timestamp_days = 1", "channels_days = 0", "online.channels_days", "above 0"),
        (r"\[online\]", "online = 1", "online", "type dict"),
        ("^repository", "= broken", "server.toml", "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    development: Development, pattern: str, replacement: str, field: str, told: str
) -> None:
    file = development.folder / "server.toml"
    text = file.read_text()
    changed = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE)
    file.write_text(changed if field != "online" else changed.partition("online = 1")[0] + "online = 1")
    with pytest.raises(RecipeError) as raised:
        ServerSettings.read(development.folder)
    assert raised.value.field == field
    assert told in str(raised.value)


def test_a_folder_without_settings_names_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="mlpublish repo init --dev DIR"):
        ServerSettings.read(tmp_path)
