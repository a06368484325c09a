"""The steps of the street one after another, as an orchestrator runs them: nothing but JSON goes from one to the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from mlpublish import steps

WHO = {"app": "com.acme.digits", "app_version": "2.0"}
PIPELINE = Path(__file__).parents[2] / "pipelines" / "release.py"


@pytest.fixture(params=["http", "file"])
def endpoint(request, development):
    """The same repository as a server and as a folder."""
    if request.param == "http":
        return request.getfixturevalue("server").url
    return f"file:{development.folder}"


def test_a_model_walks_from_mlflow_to_the_device(step, here, digits, development, endpoint, monkeypatch, tmp_path):
    monkeypatch.setenv("DEPLOYER", development.token("deployer"))
    np.save(tmp_path / "held.npy", digits.rows)
    samples = steps.ArtifactStore(str(tmp_path / "store")).keep(tmp_path / "held.npy", "application/octet-stream")
    labels = steps.ArtifactStore(str(tmp_path / "store")).keep(_labels(tmp_path), "text/plain")

    converted = step("convert", model="models:/digits@champion", samples=vars_of(samples))
    assert (converted["name"], converted["label_agreement"]) == ("digits", "1.0")
    files = [{"name": "labels.txt", "content": vars_of(labels)}]
    bundled = step("bundle", models=[converted["model"]], files=files)
    assert (bundled["name"], bundled["version"]) == ("digits", "2")
    signed = step("sign", bundle=bundled["bundle"], repository=str(development.folder), **WHO)
    assert signed["number"] == 1
    verified = step("verify", release=signed["release"], repository=str(development.folder))
    assert verified["sha256"] == bundled["bundle"]["sha256"]
    published = step("publish", release=signed["release"], to=endpoint, token="env:DEPLOYER")
    assert (published["number"], published["created"]) == (1, True)
    token = f"file:{development.folder}/tokens/operator"
    offered = step("channel", release=1, to=endpoint, repository=str(development.folder), token=token, **WHO)
    assert (offered["release"], offered["changed"]) == (1, True)
    checked = step("check", at=endpoint, device=str(tmp_path / "phone"), repository=str(development.folder), **WHO)
    assert (checked["status"], checked["installed"], checked["reason"]) == ("SUCCESS", 1, None)
    assert step("publish", release=signed["release"], to=endpoint, token="env:DEPLOYER")["created"] is False
    assert list(here.iterdir()) == []


def test_one_step_may_be_the_whole_street(step, digits, development):
    where = {"to": f"file:{development.folder}", "repository": str(development.folder)}
    first = step("release", models=["models:/digits/1"], **where, **WHO)
    again = step("release", models=["models:/digits/1"], **where, **WHO)
    assert (first["number"], first["created"]) == (1, True)
    assert again == {**first, "created": False}


def test_the_pipeline_in_plain_python_releases_and_checks(digits, development, server, tmp_path):
    """It runs as a user runs it, from anywhere, with the token in the environment."""
    options = ["--to", server.url, "--repository", str(development.folder), "--store", f"file:{tmp_path / 'store'}"]
    command = [sys.executable, str(PIPELINE), "models:/digits@champion", "--app", "com.acme.digits", "--app-version", "2.0"]
    environment = {**os.environ, "MLPUBLISH_TOKEN": development.token()}
    pipes = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run([*command, *options], **pipes, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert list(answers) == ["convert", "bundle", "sign", "verify", "publish", "channel", "check"]
    assert answers["check"]["status"] == "SUCCESS"
    for name, answer in answers.items():
        Draft202012Validator(steps.schema(name)["output"]).validate(answer)
    assert development.token() not in done.stdout + done.stderr


def vars_of(artifact: steps.Artifact) -> dict[str, object]:
    return {name: getattr(artifact, name) for name in ("uri", "sha256", "size", "media_type")}


def _labels(folder: Path) -> Path:
    (folder / "labels").write_text("zero\none\n")
    return folder / "labels"
