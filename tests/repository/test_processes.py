"""Publishers, operators and renewals as processes of their own, all at once on one app: nothing is lost, nobody is misled.

Each either succeeds or is told that somebody else was faster (exit code 5), and then does what the remedy says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlpublish.artifacts import App, Bundle
from mlpublish.formats.status import UpdateStatus
from mlpublish.publishing.publish import publish
from mlpublish.signing.sign import sign

if TYPE_CHECKING:
    from tests.conftest import Served
    from tests.repository.conftest import Steered

NewBundle = Callable[..., Bundle]

WORK = """
import json, sys, time
from mlpublish.artifacts import App
from mlpublish.errors import MlpublishError, NotFound
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels, review
from mlpublish.repository.development import Development
from mlpublish.signing.sign import sign

kind, to, folder, out, *items = sys.argv[1:]
app, made, told = App(id="com.acme.digits", version="2.0"), [], 0

def publisher(bundle):
    release = sign(bundle, repository=folder, app=app, out=f"{out}-{len(made)}-{told}")
    while True:
        receipt = publish(release, to=to, repository=folder)
        if receipt.change is None:
            return receipt.sha256
        time.sleep(0.02)  # it waits for a reviewer

def reviewer(item):
    key, wanted = item.split()
    while len(home.app(app.id).head().releases) < int(wanted):
        try:
            review.sign(review.Where(app=app.id, at=to, repository=folder, signer=key))
        except NotFound:
            time.sleep(0.02)  # nothing is open

def operator(item):
    channel, version, release = item.split()
    channels.set(app.id, to=to, channel=channel, app_version=version, release=int(release), repository=folder)
    return item

def renewal(_):
    home.app(app.id).commit({}, home.online(), lambda target: None)

home = Development(channels.Path(folder))
print("ready", flush=True)
sys.stdin.readline()
for item in items:
    while True:
        try:
            made.append(globals()[kind](item))
            break
        except MlpublishError as error:
            if error.exit_code != 5:
                raise
            told += 1
            time.sleep(0.02)
print(json.dumps({"made": made, "told": told}))
"""


def at_once(to: str, folder: Path, out: Path, jobs: list[tuple[str, list[str]]]) -> list[dict[str, Any]]:
    """Run a process per job (kind, items); none begins before all are ready."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    running = []
    for number, (kind, items) in enumerate(jobs):
        command = [sys.executable, "-c", WORK, kind, to, str(folder), str(out / str(number)), *items]
        running.append(subprocess.Popen(command, text=True, **pipes))
    for each in running:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    ended = [each.communicate(timeout=240) for each in running]
    assert [each.returncode for each in running] == [0] * len(jobs), [errors for _, errors in ended]
    return [json.loads(out) for out, _ in ended]


@pytest.fixture(params=["folder", "server"])
def to(request: pytest.FixtureRequest, steered: Steered, serving: Callable[..., AbstractContextManager[Served]]) -> Any:
    """Where the processes publish and steer; renewals always work on the folder itself."""
    if request.param == "folder":
        yield str(steered.to)
        return
    with serving(steered.to) as server:
        yield server.url


def test_publishers_operators_and_renewals_at_once_lose_nothing(
    to: str, steered: Steered, new_bundle: NewBundle, tmp_path: Path
) -> None:
    versions = {3: "9.0", 4: "9.1", 5: "9.2", 6: "9.3"}
    for version in versions.values():
        out = tmp_path / "before" / version
        publish(sign(new_bundle(version.encode()), repository=steered.to, app=App(id=steered.app.id, version=version), out=out),
                to=steered.to)  # fmt: skip
    offers = [f"stable {version} {number}" for number, version in versions.items()]
    betas = [f"beta {version} {number}" for number, version in versions.items()]
    bundles = [[str(new_bundle(f"{who}-{number}".encode()).path) for number in range(3)] for who in "ab"]
    before = steered.head().timestamp.signed.version
    told = at_once(to, steered.to, tmp_path / "signed", [
        ("publisher", bundles[0]), ("publisher", bundles[1]), ("operator", offers[:2] + betas[2:]),
        ("operator", betas[:2] + offers[2:]), ("renewal", ["once", "twice", "again"]),
    ])  # fmt: skip
    head = steered.head()
    published = {digest for each in told[:2] for digest in each["made"]}
    assert len(published) == 6
    assert published <= {target.hashes["sha256"] for target in head.targets.signed.targets.values()}
    assert sorted(head.releases) == list(range(1, 13))
    for channel in ("stable", "beta"):
        offered = {entry.app_version: entry.release for entry in steered.show(channel=channel).entries}
        assert {version: offered.get(version) for version in versions.values()} == {v: n for n, v in versions.items()}
    assert head.timestamp.signed.version >= before + 6 + 8  # each release and each steer was made current, alone or adopted
    steered.assert_whole()
    assert steered.installed(tmp_path / "device") == (UpdateStatus.SUCCESS, 1)


def test_two_who_steer_the_same_entry_both_succeed_and_one_of_them_holds(to: str, steered: Steered, tmp_path: Path) -> None:
    jobs = [("operator", [f"stable 2.0 {release}"] * 4) for release in (1, 2)]
    at_once(to, steered.to, tmp_path / "signed", jobs)
    (entry,) = steered.show().entries
    assert entry.release in (1, 2)
    assert steered.installed(tmp_path / "device") == (UpdateStatus.SUCCESS, entry.release)


def test_publishers_and_a_reviewer_at_once_bring_every_release_through(
    to: str, steered: Steered, new_bundle: NewBundle, tmp_path: Path
) -> None:
    """Two of two must sign, and an app has one open change: who finds another one's there waits for it, and signs again."""
    key, at = tmp_path / "second.pem", ["--at", str(steered.to), "--app", steered.app.id]
    for line in (
        ["keys", "new", str(key), "--no-passphrase"],
        ["repo", "rotate", "app", "--add", str(key.with_suffix(".pub")), "--threshold", "2", *at],
        ["review", "sign", "--yes", "--key", f"file:{key}", *at],
    ):
        subprocess.run([sys.executable, "-m", "mlpublish", *line], check=True, stdout=subprocess.DEVNULL)
    bundles = [[str(new_bundle(f"{who}-{number}".encode()).path) for number in range(2)] for who in "ab"]
    jobs = [("publisher", bundles[0]), ("publisher", bundles[1]), ("operator", ["stable 2.0 2"]), ("renewal", ["once"])]
    told = at_once(to, steered.to, tmp_path / "signed", [*jobs, ("reviewer", [f"file:{key} 6"])])
    head = steered.head()
    assert sorted(head.releases) == [1, 2, 3, 4, 5, 6]
    published = {digest for each in told[:2] for digest in each["made"]}
    assert len(published) == 4
    assert published <= {target.hashes["sha256"] for target in head.targets.signed.targets.values()}
    steered.assert_whole()
    assert steered.installed(tmp_path / "device") == (UpdateStatus.SUCCESS, 2)
