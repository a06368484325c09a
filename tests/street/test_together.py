"""What no single room can show: many processes, other people's clients, and the same bytes wherever they are made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import joblib
import pytest
from sklearn.linear_model import LogisticRegression
from tuf.ngclient import Updater

import mlpublish
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.repository import channels

WHO = {"app": "com.acme.digits", "app_version": "2.0"}

RELEASE = """
import json, sys
import mlpublish
from mlpublish.artifacts import ConvertedModel
from pathlib import Path
record, url = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
model = ConvertedModel.read(Path(record))
receipt = mlpublish.release(model, app="com.acme.digits", app_version="2.0", to=url)
print(json.dumps({"number": receipt.number, "sha256": receipt.sha256}))
"""


def test_releases_made_at_once_by_several_processes_are_all_there(new_model, server, development, configured, phone):
    records = [new_model(content=content).record for content in (b"one", b"two", b"three", b"four")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", RELEASE]
    publishers = [subprocess.Popen([*command, str(record), server.url], **pipes) for record in records]
    assert [each.stdout.readline() for each in publishers] == ["ready\n"] * len(records)
    for each in publishers:  # none begins before all are ready
        each.stdin.write("go\n")
        each.stdin.flush()
    ended = [each.communicate(timeout=120) for each in publishers]
    assert [each.returncode for each in publishers] == [0] * len(records), [err for _, err in ended]
    receipts = [json.loads(out) for out, _ in ended]
    assert sorted(each["number"] for each in receipts) == [1, 2, 3, 4]
    targets = development.app(WHO["app"]).head().targets.signed.targets
    for each in receipts:
        assert targets[f"releases/{each['number']}/bundle.zip"].hashes["sha256"] == each["sha256"]
    (entry,) = channels.show(WHO["app"], at=server.url).channel.entries
    assert phone().installed == entry.release


def test_tufs_own_client_downloads_a_release(new_model, server, development, configured, tmp_path):
    """python-tuf's ngclient, as it is: what a phone's TUF library would do."""
    receipt = mlpublish.release(new_model(), **WHO, to=server.url)
    (tmp_path / "tuf" / "targets").mkdir(parents=True)
    updater = Updater(
        metadata_dir=str(tmp_path / "tuf"),
        metadata_base_url=f"{server.url}/apps/{WHO['app']}/metadata/",
        target_dir=str(tmp_path / "tuf" / "targets"),
        target_base_url=f"{server.url}/apps/{WHO['app']}/targets/",
        bootstrap=development.first_root(WHO["app"]),
    )
    updater.refresh()
    bundle = updater.get_targetinfo("releases/1/bundle.zip")
    channel = updater.get_targetinfo("channels/ios/stable.json")
    assert bundle.hashes["sha256"] == receipt.sha256
    assert bundle.unrecognized_fields["custom"]["app"] == WHO["app"]
    assert mlpublish.verify(updater.download_target(bundle)).bundle.sha256 == receipt.sha256
    assert json.loads(Path(updater.download_target(channel)).read_text())["entries"][0]["release"] == 1


def test_a_device_goes_on_after_the_server_was_gone(new_model, development, serving, tmp_path):
    device = {"device": tmp_path / "phone", "repository": development.folder, "app_version": "2.0"}
    with serving(development.folder) as server:
        mlpublish.release(new_model(), **WHO, to=server.url, repository=development.folder)
        assert mlpublish.check(WHO["app"], at=server.url, **device).installed == 1
    gone = mlpublish.check(WHO["app"], at=server.url, **device)
    assert (gone.status, gone.installed) == (UpdateStatus.FAILURE_NETWORK_PROBLEM, 1)
    assert gone.path.is_dir()
    with serving(development.folder, port=server.port) as again:
        assert mlpublish.check(WHO["app"], at=again.url, **device).reason is Reason.ALREADY_INSTALLED
        mlpublish.release(new_model(content=b"next"), **WHO, to=again.url, repository=development.folder)
        assert mlpublish.check(WHO["app"], at=again.url, **device).installed == 2


CONVERT = """
import sys
from pathlib import Path
import joblib, mlpublish
source, samples, name, out = sys.argv[1:]
if source.endswith(".pt"):
    import torch
    model = torch.load(source, weights_only=False)
elif source.endswith(".joblib"):
    model = joblib.load(source)
else:
    model = source
samples = joblib.load(samples)
made = mlpublish.convert(model, name=name, samples=samples, out=Path(out) / "converted", progress=False)
print(mlpublish.bundle(made, out=Path(out) / "bundle.zip").sha256)
"""


@pytest.fixture(params=["registered", "classic", "network"])
def source(request, digits, tmp_path) -> str:
    """A model in a form that two processes can read, beside its samples."""
    if request.param == "network":
        network = request.getfixturevalue("cnn")
        import torch

        torch.save(network, tmp_path / "model.pt")
        joblib.dump(digits.rows.reshape(-1, 1, 8, 8).astype("float32")[:50], tmp_path / "samples.joblib")
        return str(tmp_path / "model.pt")
    joblib.dump(digits.rows, tmp_path / "samples.joblib")
    if request.param == "registered":
        return "models:/digits@champion"
    two_classes = LogisticRegression(max_iter=2000).fit(digits.rows[:200], digits.labels[:200] % 2)
    joblib.dump(two_classes, tmp_path / "model.joblib")
    return str(tmp_path / "model.joblib")


def test_the_same_model_gives_the_same_bytes_in_any_process(source, tmp_path):
    """Two processes that differ in hash seed, time zone, language and folder give one bundle, byte for byte."""

    def started(number: int, **environment: str) -> subprocess.Popen[str]:
        folder = tmp_path / f"process-{number}"
        folder.mkdir()
        command = [sys.executable, "-c", CONVERT, source, str(tmp_path / "samples.joblib"), "digits", str(folder)]
        return subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)

    first = started(1, PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")
    second = started(2, PYTHONHASHSEED="2", TZ="Pacific/Auckland", LC_ALL="C.UTF-8")
    digests = [each.communicate(timeout=240)[0].strip() for each in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert digests[0] == digests[1]
    assert (tmp_path / "process-1" / "bundle.zip").read_bytes() == (tmp_path / "process-2" / "bundle.zip").read_bytes()
