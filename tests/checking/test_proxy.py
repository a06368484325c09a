"""Proxies of the environment: plain ones, tunnels for TLS, passwords, and hosts that go past them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlpublish.formats.status import UpdateStatus
from tests.authority import Authority
from tests.proxy import Proxy
from tests.web import Web

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

NETWORK, DOWNLOADING = UpdateStatus.FAILURE_NETWORK_PROBLEM, UpdateStatus.FAILURE_DOWNLOADING
HOST = "models.example"  # which only the proxy knows
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy(lab: Lab) -> Iterator[Proxy]:
    lab.release()
    made = Proxy(lab.web.port)
    yield made
    made.close()


@pytest.fixture
def tunnel(lab: Lab, tmp_path: Path) -> Iterator[tuple[Proxy, Path]]:
    """A proxy in front of the lab's files over TLS, and the authority to trust."""
    lab.release()
    authority = Authority(tmp_path)
    web = Web(lab.web.folder, tls=authority.server(HOST))
    made = Proxy(web.port)
    yield made, authority.file
    made.close()
    web.close()


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_a_check_goes_through_the_proxy_that_the_environment_names(
    lab: Lab, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"http://{proxy.address}")
    lab.updates_to(1, at=f"http://{HOST}")
    assert len(proxy.asked) > 3
    assert all(url.startswith(f"http://{HOST}/apps/") for url in proxy.asked)


def test_a_download_is_resumed_through_a_proxy(lab: Lab, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    lab.web.bend("bundle.zip", cut=100)
    lab.fails(DOWNLOADING)
    lab.web.heal()
    assert lab.updates_to(1, at=f"http://{HOST}").downloaded == lab.stored(1).stat().st_size - 100


def test_tls_goes_through_a_tunnel_and_the_certificate_is_the_servers(
    lab: Lab, tunnel: tuple[Proxy, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, authority = tunnel
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
    lab.updates_to(1, at=f"https://{HOST}", ca=authority)
    assert set(proxy.asked) == {f"{HOST}:443"}
    lab.fails(NETWORK, "another name", at="https://other.example", ca=authority)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_gets_its_password_and_is_told_apart_if_it_wants_one(
    lab: Lab, tunnel: tuple[Proxy, Path], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    made = Proxy(lab.web.port, password="Basic bWU6c2VjcmV0")  # me:secret
    monkeypatch.setenv(f"{scheme}_proxy", f"http://{made.address}")
    report = lab.fails(NETWORK, "wants a password", at=f"{scheme}://{HOST}", retries=2)
    assert report.retries == 0
    monkeypatch.setenv(f"{scheme}_proxy", f"http://me:secret@{made.address}")
    if scheme == "http":
        lab.updates_to(1, at=f"http://{HOST}")
    else:  # it leads to where no TLS is
        lab.fails(NETWORK, "TLS failed", at=f"https://{HOST}")
    made.close()
    assert "secret" not in lab.fails(NETWORK, "the proxy", at=f"{scheme}://{HOST}").detail


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_now_is_asked_again(
    lab: Lab, tunnel: tuple[Proxy, Path], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    proxy, _ = tunnel
    proxy.status = 503
    monkeypatch.setenv(f"{scheme}_proxy", f"http://{proxy.address}")
    assert lab.fails(NETWORK, "503", at=f"{scheme}://{HOST}", retries=1).retries == 1


def test_a_host_that_no_proxy_names_is_asked_directly(lab: Lab, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    monkeypatch.setenv("NO_PROXY", f"other.example,{HOST}")
    lab.fails(NETWORK, "does not resolve", at=f"http://{HOST}")
    assert proxy.asked == []


def test_a_redirect_from_this_machine_to_another_goes_through_the_proxy(
    lab: Lab, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    lab.web.bend("timestamp.json", times=1, to=f"http://{HOST}/apps/com.acme.digits/metadata/timestamp.json")
    lab.updates_to(1)
    assert proxy.asked == [f"http://{HOST}/apps/com.acme.digits/metadata/timestamp.json"]


@pytest.mark.parametrize("address", ["http://", "socks5://127.0.0.1:9", "gopher://127.0.0.1:9"])
def test_a_proxy_of_a_kind_that_is_not_spoken_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    lab.release()
    monkeypatch.setenv("http_proxy", address)
    lab.fails(NETWORK, "the proxy", at=f"http://{HOST}")
