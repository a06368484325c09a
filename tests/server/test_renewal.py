"""The server renews by itself: a clock that passes expiry with nobody publishing stops no device.

Real short lives first; then Debian's faketime, which sets the clock of whole processes three days ahead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mlpublish.artifacts import App, Release
from mlpublish.checking.check import check
from mlpublish.formats.status import UpdateStatus
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.repository.development import Development
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.head import Head
from mlpublish.repository.online import Online
from mlpublish.storage.in_folder import KEPT
from mlpublish.trust import roles

APP = App(id="com.acme.digits", version="2.0")
LIFE = 6  # seconds


def head(development: Development) -> Head:
    return development.app(APP.id).head()


def set_lives(development: Development, text: str) -> None:
    """Rewrite the days in server.toml."""
    file = development.folder / "server.toml"
    file.write_text(re.sub(r"(?m)^\w+_days = .*\n", "", file.read_text()) + text)


def shorten(development: Development, more: str = "") -> None:
    days = LIFE / 86400
    set_lives(development, f"snapshot_days = {days}\ntimestamp_days = {days}\n{more}")


def signed_for(development: Development, seconds: float, edits: dict[str, Edit] | None = None, *, app_id: str = APP.id) -> None:
    """Commit with online keys whose signatures hold so long; the folder's own hold for weeks."""
    signers = {name: (development.signer(name),) for name in ("snapshot", "timestamp")}
    online = Online(**signers, snapshot_days=seconds / 86400, timestamp_days=seconds / 86400)
    development.app(app_id).commit(edits or {}, online, lambda _: None)


def channels_for(development: Development, seconds: float) -> dict[str, Edit]:
    """The channels role as it is, but running out."""
    present = head(development).channels
    role = roles.following(present, present.signed.version + 1, seconds / 86400)
    signed = roles.signed_by(role, development.signer("channels")).to_bytes()
    return {roles.CHANNELS: Edit(base=present.signed.version, metadata=signed)}


def wait_past(moment: datetime) -> None:
    while roles.now() <= moment:
        time.sleep(0.1)


def checked(development: Development, at: str, device: Path) -> tuple[UpdateStatus, int | None]:
    report = check(APP, at=at, root=development.first_root(APP.id), device=device)
    return report.status, report.installed


@pytest.fixture
def offered(development: Development, new_release: Callable[..., Release]) -> Development:
    """Release 1 is on channel stable."""
    publish(new_release(b"one"), to=development.folder)
    channels.set(APP.id, to=development.folder, app_version=APP.version, release=1)
    return development


# ── short lives ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_clock_passes_expiry_with_no_publish_and_devices_still_get_success(
    offered: Development, serving: Any, tmp_path: Path
) -> None:
    shorten(offered)
    signed_for(offered, LIFE)
    with serving(offered.folder) as server:
        first = head(offered)
        assert checked(offered, server.url, tmp_path / "phone") == (UpdateStatus.SUCCESS, 1)
        wait_past(max(first.timestamp.signed.expires, first.snapshot.signed.expires))
        assert checked(offered, server.url, tmp_path / "phone") == (UpdateStatus.SUCCESS, 1)
        assert checked(offered, server.url, tmp_path / "fresh") == (UpdateStatus.SUCCESS, 1)
        last = head(offered)
        assert server.log.read_text() == ""
    assert last.targets.signed.version == first.targets.signed.version
    wait_past(last.timestamp.signed.expires)  # and now it is down
    place = f"file:{offered.repository}"
    assert checked(offered, place, tmp_path / "phone") == (UpdateStatus.FAILURE_INTEGRITY, 1)
    assert checked(offered, place, tmp_path / "third") == (UpdateStatus.FAILURE_INTEGRITY, None)
    done = subprocess.run(
        [sys.executable, "-m", "mlpublish", "repo", "renew", "--repository", offered.folder], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for device in ("phone", "third"):
        assert checked(offered, place, tmp_path / device) == (UpdateStatus.SUCCESS, 1)


def test_with_an_operators_key_it_renews_the_channels_too(offered: Development, serving: Any, tmp_path: Path) -> None:
    before = head(offered)
    shorten(offered, f'channels = "file:keys/channels.pem"\nchannels_days = {LIFE / 86400}\n')
    signed_for(offered, LIFE, channels_for(offered, LIFE))
    short = head(offered).channels.signed
    with serving(offered.folder) as server:
        wait_past(short.expires)
        assert checked(offered, server.url, tmp_path / "phone") == (UpdateStatus.SUCCESS, 1)
        channels.set(APP.id, to=server.url, app_version=APP.version, release=1, rollout=50, repository=offered.folder)
    after = head(offered).channels.signed
    assert after.version > short.version + 1
    assert after.unrecognized_fields == before.channels.signed.unrecognized_fields
    assert channels.show(APP.id, at=offered.folder).channel.entries[0].rollout == 50


def test_of_several_servers_on_one_folder_exactly_one_renews(offered: Development, serving: Any) -> None:
    apps = [f"com.acme.app{number}" for number in range(8)]
    for app_id in apps:
        signed_for(offered, 3600, app_id=app_id)
    before = {app_id: offered.app(app_id).head().timestamp.signed.version for app_id in apps}
    command = [sys.executable, "-m", "mlpublish", "serve", offered.folder, "--port", "0"]
    with ExitStack() as stack:
        processes = [stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) for _ in range(3)]
        for process in processes:
            stack.callback(process.kill)
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http://")
    after = {app_id: offered.app(app_id).head().timestamp.signed.version for app_id in apps}
    assert after == {app_id: version + 1 for app_id, version in before.items()}


# ── what it tells and tidies ────────────────────────────────────────────────────────────────────────────────────────────


def test_what_people_must_renew_is_told_once(offered: Development, serving: Any) -> None:
    signed_for(offered, LIFE, channels_for(offered, 3 * 86400))
    shorten(offered)
    with serving(offered.folder) as server:
        wait_past(head(offered).timestamp.signed.expires)  # several rounds
        (line,) = server.log.read_text().splitlines()
    assert "WARNING" in line
    assert f"{APP.id}: the channels role expires on {head(offered).channels.signed.expires:%Y-%m-%d}" in line


def test_what_crashed_runs_left_is_swept(offered: Development, serving: Any) -> None:
    left = offered.repository / APP.id / "targets" / ".partial-0123456789abcdef"
    for partial, age in ((left, KEPT + 1), (left.with_name(".partial-young"), 0)):
        partial.touch()
        os.utime(partial, (time.time() - age,) * 2)
    with serving(offered.folder):
        assert not left.exists()
        assert left.with_name(".partial-young").exists()


# ── three days later, by faketime ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def three_days_later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Sets the clock of every process that is started from now on three days ahead."""
    if shutil.which("faketime") is None:
        missing = "needs faketime (Debian: apt install faketime)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    shown = subprocess.run(["faketime", "-f", "+3d", "env"], check=True, capture_output=True, text=True).stdout
    preload = re.search(r"^LD_PRELOAD=(.+)$", shown, re.MULTILINE)
    assert preload is not None

    def move() -> None:  # by the library itself: the faketime program would stay the parent, and a kill would miss its child
        monkeypatch.setenv("LD_PRELOAD", preload[1])
        monkeypatch.setenv("FAKETIME", "+3d")

    return move


def test_three_days_later_a_server_serves_what_is_fresh_and_a_mirror_does_not(
    offered: Development,
    serving: Any,
    three_days_later: Callable[[], None],
    new_release: Callable[..., Release],
    tmp_path: Path,
) -> None:
    def run(*arguments: object) -> int:
        command = [sys.executable, "-m", "mlpublish", *map(str, arguments)]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120).returncode

    def ran(at: str) -> int:
        device = tmp_path / "phone"
        root = offered.repository / APP.id / "metadata" / "1.root.json"
        return run("check", "--app", APP.id, "--app-version", "2.0", "--at", at, "--root", root, "--device", device)

    set_lives(offered, "snapshot_days = 2\ntimestamp_days = 1\n")
    with serving(offered.folder) as server:  # it signs for a day: what the folder's own keys sign holds longer
        publish(new_release(b"two"), to=server.url, repository=offered.folder)
        assert ran(server.url) == UpdateStatus.SUCCESS.exit_code
    mirror = shutil.copytree(offered.repository, tmp_path / "mirror")
    three_days_later()
    assert ran(f"file:{mirror}") == UpdateStatus.FAILURE_INTEGRITY.exit_code
    assert ran(f"file:{offered.repository}") == UpdateStatus.FAILURE_INTEGRITY.exit_code
    with serving(offered.folder) as server:
        assert ran(server.url) == UpdateStatus.SUCCESS.exit_code
    shutil.copytree(mirror, offered.repository, dirs_exist_ok=True)  # as if no server had run
    assert ran(f"file:{mirror}") == UpdateStatus.FAILURE_INTEGRITY.exit_code
    assert run("repo", "renew", "--repository", offered.folder) == 0
    assert ran(f"file:{offered.repository}") == UpdateStatus.SUCCESS.exit_code
