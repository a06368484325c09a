"""TLS: whom a device believes, and that it says which of the many things that can be wrong is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlpublish.errors import RecipeError
from mlpublish.formats.status import UpdateStatus
from tests.authority import Authority
from tests.web import Web

if TYPE_CHECKING:
    from tests.checking.conftest import Lab

NETWORK = UpdateStatus.FAILURE_NETWORK_PROBLEM
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secure(lab: Lab, authority: Authority) -> Iterator[Callable[..., Web]]:
    """``secure("localhost", days=10)``: the lab's files over TLS, with a certificate for these names."""
    lab.release()
    opened: list[Web] = []

    def serve(*names: str, days: int = 10) -> Web:
        opened.append(Web(lab.web.folder, tls=authority.server(*names, days=days)))
        return opened[-1]

    yield serve
    for web in opened:
        web.close()


def test_a_server_with_a_certificate_of_an_authority_that_is_named_is_believed(
    lab: Lab, secure: Callable[..., Web], authority: Authority
) -> None:
    lab.updates_to(1, at=secure("localhost").url, ca=authority.file)


@pytest.mark.parametrize("name", VARIABLES)
def test_the_environment_names_an_authority_too(
    lab: Lab, secure: Callable[..., Web], authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(authority.file))
    lab.updates_to(1, at=secure("localhost").url)


def test_what_the_caller_names_goes_before_the_environment(
    lab: Lab, secure: Callable[..., Web], authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Authority(tmp_path, "other").file))
    lab.updates_to(1, at=secure("localhost").url, ca=authority.file)


def test_each_thing_that_is_wrong_with_a_certificate_is_told_apart_and_asked_for_once(
    lab: Lab, secure: Callable[..., Web], authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other").file
    cases = {
        "another name": (secure("models.example").url, authority.file),
        "no authority that is trusted": (secure("localhost").url, other),
        "out of date": (secure("localhost", days=-1).url, authority.file),
        "http: instead": (lab.web.url.replace("http:", "https:"), authority.file),
    }
    for told, (at, ca) in cases.items():
        assert lab.fails(NETWORK, told, at=at, ca=ca, retries=2).retries == 0


def test_an_authority_that_nobody_named_is_not_believed(lab: Lab, secure: Callable[..., Web]) -> None:
    report = lab.fails(NETWORK, "no authority that is trusted", at=secure("localhost").url)
    assert "SSL_CERT_FILE" in report.detail


def test_a_redirect_out_of_tls_is_not_followed(lab: Lab, secure: Callable[..., Web], authority: Authority) -> None:
    web = secure("localhost")
    web.bend("timestamp.json", to=f"{lab.web.url}/com.acme.digits/metadata/timestamp.json")
    lab.web.asked.clear()
    lab.fails(NETWORK, "https to plain http", at=web.url, ca=authority.file)
    assert lab.web.asked == []


def test_a_redirect_into_tls_is_followed(lab: Lab, secure: Callable[..., Web], authority: Authority) -> None:
    lab.web.bend("timestamp.json", to=f"{secure('localhost').url}/com.acme.digits/metadata/timestamp.json")
    lab.updates_to(1, ca=authority.file)


@pytest.mark.timeout(60)
def test_a_silent_server_is_left_before_and_after_the_handshake(
    lab: Lab, secure: Callable[..., Web], authority: Authority
) -> None:
    web = secure("localhost")
    for bend in ({"silent": True}, {"drip_head": 0.05}, {"hang": 10}, {"drip": 0.02}):
        web.bend("timestamp.json", **bend)
        lab.fails(NETWORK, "(stall)", at=web.url, ca=authority.file, stall=0.5)


def test_a_bundle_is_resumed_over_tls(lab: Lab, secure: Callable[..., Web], authority: Authority) -> None:
    web = secure("localhost")
    web.bend("bundle.zip", times=1, cut=100)
    report = lab.updates_to(1, at=web.url, ca=authority.file, retries=1)
    assert (report.retries, report.downloaded) == (1, lab.stored(1).stat().st_size)


BAD = {"missing": None, "empty": b"", "no certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}


@pytest.mark.parametrize("case", BAD)
def test_a_file_of_authorities_that_is_none_is_refused_before_anything_happens(lab: Lab, tmp_path: Path, case: str) -> None:
    lab.release()
    file = tmp_path / "ca.pem"
    if (content := BAD[case]) is not None:
        file.write_bytes(content)
    for at in (lab.web.url, "https://localhost:9"):
        with pytest.raises(RecipeError, match=r"ca\.pem") as caught:
            lab.check(at=at, ca=file)
        assert caught.value.field == "ca"
    assert not lab.phone.exists()


def test_a_variable_that_names_no_file_is_told_by_its_name(
    lab: Lab, secure: Callable[..., Web], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(RecipeError, match="SSL_CERT_FILE"):
        lab.check(at=secure("localhost").url)
