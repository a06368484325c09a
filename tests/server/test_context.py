"""A context, as the predecessor's apps name one (``/mfp/``): devices are served below it too, and nobody else is."""

from __future__ import annotations

import json
import plistlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpublish.errors import RecipeError
from mlpublish.formats.mfpclient import PIN
from mlpublish.formats.status import UpdateStatus
from mlpublish.repository.development import Development
from mlpublish.repository.pinning import cosign
from mlpublish.server.settings import ServerSettings
from tests.production import Production


def set_context(folder: Path, value: str) -> None:
    file = folder / "server.toml"
    file.write_text(f"context = {value}\n{file.read_text()}")


@pytest.fixture
def stood(production: Production) -> Production:
    """A repository whose first root the predecessor's key signed too, and a server with its context."""
    production.stand()
    production.release(b"one")
    production.offer(1)
    cosign(production.where(), production.uri("rsa-legacy"))
    set_context(production.folder, '"/mfp"')
    return production


@pytest.fixture
def server(stood: Production, serving: Callable[..., Any]) -> Iterator[Any]:
    with serving(stood.folder) as running:
        yield running


def configurations(pin: str, port: int) -> dict[str, bytes]:
    """The app's configuration as the two systems have it."""
    ios = {"protocol": "http", "host": "127.0.0.1", "port": str(port), "wlServerContext": "/mfp/", PIN: pin}
    android = {
        "wlServerProtocol": "http",
        "wlServerHost": "127.0.0.1",
        "wlServerPort": port,
        "wlServerContext": "/mfp/",
        PIN: pin,
    }
    return {
        "mfpclient.plist": plistlib.dumps(ios | {"languagePreferences": "en"}),
        "mfpclient.properties": "".join(f"{key} = {value}\n" for key, value in android.items()).encode(),
    }


@pytest.mark.parametrize("name", ["mfpclient.plist", "mfpclient.properties"])
def test_an_app_updates_with_nothing_but_its_own_configuration(
    stood: Production, server: Any, tmp_path: Path, name: str
) -> None:
    pin = "".join(stood.pin_file("rsa-legacy").read_text().split("\n")[1:-2])
    (tmp_path / name).write_bytes(configurations(pin, server.port)[name])
    who = ["--app", stood.app.id, "--app-version", stood.app.version, "--device", str(tmp_path / "phone")]
    command = [sys.executable, "-m", "mlpublish", "check", "--config", name, *who, "--json"]
    ran = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60)
    result = json.loads(ran.stdout)["result"]
    assert (result["status"], result["installed"]) == (UpdateStatus.SUCCESS.value, 1)
    assert result["endpoint"] == f"http://127.0.0.1:{server.port}/mfp"
    assert server.log.read_text() == ""


@pytest.mark.usefixtures("server")
def test_below_the_context_there_is_the_delivery_and_nothing_else(stood: Production, send: Callable[..., Any]) -> None:
    path = f"/apps/{stood.app.id}/metadata/timestamp.json"
    for method in ("GET", "HEAD"):
        bare, below = (send(method, f"{prefix}{path}") for prefix in ("", "/mfp"))
        assert (bare.status, bare.body, bare.headers["etag"]) == (below.status, below.body, below.headers["etag"])
    for other in (f"/other{path}", f"/mfp/mfp{path}", f"/mfp{path}/..%2f1.root.json", "/mfp/healthz", "/mfp/v1/apps"):
        assert send("GET", other).status == 404, other
    digest = "0" * 64
    assert send("PUT", f"/mfp/v1/blobs/sha256/{digest}", {}, b"").status == 404


def test_a_context_that_fell_into_a_table_is_told_where_to_stand(development: Development) -> None:
    file = development.folder / "server.toml"
    file.write_text(file.read_text() + '\ncontext = "/mfp"\n')
    with pytest.raises(RecipeError, match=r"Write context above the first \[table\]"):
        ServerSettings.read(development.folder)


@pytest.mark.parametrize(
    ("value", "context"), [('""', ""), ('"/"', ""), ('"/mfp"', "/mfp"), ('"/mfp/"', "/mfp"), ('"/a/b-1"', "/a/b-1")]
)
def test_a_context_is_read_with_and_without_a_slash_at_its_end(development: Development, value: str, context: str) -> None:
    set_context(development.folder, value)
    assert ServerSettings.read(development.folder).context == context


@pytest.mark.parametrize(
    "value",
    ['"mfp"', '"//mfp"', '"/mfp//"', '"/../mfp"', '"/mfp/."', '"/m f p"', '"/{app}"', '"/%2e"', '"/apps"', '"/v1/x"', "8"],
)
def test_a_context_that_cannot_be_meant_is_refused_by_name(development: Development, value: str) -> None:
    set_context(development.folder, value)
    with pytest.raises(RecipeError) as raised:
        ServerSettings.read(development.folder)
    assert raised.value.field == "context"
