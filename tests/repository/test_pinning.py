"""The predecessor's pin co-signs root 1: apps that carry only that key begin there, and from then on need it no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpublish.errors import EndpointRefused, NotFound, SigningError
from mlpublish.formats.status import UpdateStatus
from mlpublish.repository.pinning import cosign
from tests.production import Production, rotation

Below = Callable[[Path], dict[str, str]]


@pytest.fixture
def offered(there: Production) -> Production:
    there.release(b"one")
    there.offer(1)
    return there


def rotate_everything(production: Production) -> None:
    """Root, app and operator keys, all of them others."""
    new, trio = production.publics, tuple(map(production.id, ("alice", "bob", "carol")))
    operators = tuple(map(production.id, ("olga", "otto")))
    production.agree(rotation("root", add=new(("rita", "ron")), drop=trio), "alice", "bob", "rita", "ron")
    app_keys = rotation("targets", add=new(("tina", "tom")), drop=trio)
    production.agree(app_keys, "rita", "ron", "alice", "bob", "tina", "tom")
    production.agree(rotation("channels", add=new(("oscar",)), drop=operators), "tina", "tom", "oscar")


def test_a_device_with_only_the_pin_updates(offered: Production) -> None:
    pin = offered.pin_file("rsa-legacy")
    assert offered.checked("old", pin=pin)[0] is UpdateStatus.FAILURE_INTEGRITY
    root = offered.first_root.read_bytes()
    assert cosign(offered.where(), offered.uri("rsa-legacy")).changed is True
    assert offered.checked("old", pin=pin) == (UpdateStatus.SUCCESS, 1)
    assert offered.checked("embedded", root=root) == (UpdateStatus.SUCCESS, 1)  # who embedded it notices nothing


def test_again_is_nothing_new(offered: Production, below: Below) -> None:
    cosign(offered.where(), offered.uri("rsa-legacy"))
    before = below(offered.tree)
    assert cosign(offered.where(), offered.uri("rsa-legacy")).changed is False
    assert below(offered.tree) == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_also_where_every_key_was_rotated(stood: Production, when: str) -> None:
    stood.release(b"one")
    stood.offer(1)
    pin = stood.pin_file("rsa-legacy")
    for act in [cosign, None] if when == "before" else [None, cosign]:
        if act is None:
            rotate_everything(stood)
        else:
            assert act(stood.where(), stood.uri("rsa-legacy")).changed is True
    assert stood.checked("old", pin=pin) == (UpdateStatus.SUCCESS, 1)
    number = stood.release(b"two", "tina", "tom")
    stood.offer(number, "oscar")
    assert stood.checked("old", pin=pin) == (UpdateStatus.SUCCESS, number)
    assert stood.checked("fresh", pin=pin) == (UpdateStatus.SUCCESS, number)


def test_two_apps_of_two_generations_pin_two_keys(stood: Production) -> None:
    stood.release(b"one")
    stood.offer(1)
    for name in ("rsa-old", "rsa-older"):
        cosign(stood.where(), stood.uri(name))
    for name in ("rsa-old", "rsa-older"):
        assert stood.checked(name, pin=stood.pin_file(name)) == (UpdateStatus.SUCCESS, 1)
    assert stood.checked("x", pin=stood.pin_file("rsa-stranger"))[0] is UpdateStatus.FAILURE_INTEGRITY


def test_the_pin_has_no_other_power(stood: Production, below: Below) -> None:
    cosign(stood.where(), stood.uri("rsa-legacy"))
    stood.publish(b"one")
    before = below(stood.tree)
    with pytest.raises(SigningError, match="holds none of the roles"):
        stood.sign("rsa-legacy")
    with pytest.raises(SigningError, match="holds none of the roles"):
        stood.propose("rsa-legacy", rotation("root"))
    assert below(stood.tree) == before


def test_another_kind_of_key_is_refused(stood: Production, below: Below) -> None:
    before = below(stood.tree)
    with pytest.raises(SigningError, match="the predecessor's apps pin RSA"):
        cosign(stood.where(), stood.uri("alice"))
    assert below(stood.tree) == before


def test_an_app_that_is_not_there(production: Production) -> None:
    with pytest.raises(NotFound, match="has no repository"):
        cosign(production.where(), production.uri("rsa-legacy"))


@pytest.mark.parametrize("role", ["monitor", "operator", "deployer"])
def test_through_a_server_it_takes_an_admins_token(production: Production, serving: Any, role: str) -> None:
    production.stand()
    with serving(production.folder) as server, pytest.raises(EndpointRefused) as refused:
        cosign(production.served(server.url, role).where(), production.uri("rsa-legacy"))
    assert refused.value.status == 403
