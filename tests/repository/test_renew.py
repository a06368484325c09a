from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from mlpublish.errors import MlpublishError
from mlpublish.repository.development import Development
from mlpublish.repository.renew import is_due, renew
from mlpublish.repository.online import Online
from mlpublish.repository.repository import AppRepository
from mlpublish.trust import roles


@pytest.fixture
def online(development: Development) -> Callable[..., Online]:
    """Keys with lives of so many days."""

    def lives(*, snapshot: float = 7, timestamp: float = 1) -> Online:
        keys = {name: (development.signer(name),) for name in ("snapshot", "timestamp")}
        return Online(**keys, snapshot_days=snapshot, timestamp_days=timestamp)

    return lives


@pytest.fixture
def fresh(development: Development, online: Callable[..., Online]) -> AppRepository:
    """A repository whose snapshot and timestamp were signed a moment ago, for 7 days and 1."""
    repository = development.app("com.acme.a")
    repository.commit({}, online(), lambda _target: None)
    return repository


@pytest.mark.parametrize(("hours", "due"), [(0, False), (11, False), (13, True), (23, True), (1000, True)])
def test_it_is_due_once_less_than_half_a_life_is_left(
    fresh: AppRepository, online: Callable[..., Online], hours: int, due: bool
) -> None:
    assert is_due(fresh.head(), online(), now=roles.now() + timedelta(hours=hours)) is due


def test_a_short_snapshot_makes_it_due_too(fresh: AppRepository, online: Callable[..., Online]) -> None:
    assert is_due(fresh.head(), online(snapshot=20), now=roles.now())
    assert not is_due(fresh.head(), online(snapshot=10), now=roles.now())


def test_only_what_is_due_is_signed_again(
    fresh: AppRepository, development: Development, online: Callable[..., Online]
) -> None:
    old = development.app("com.acme.b")
    old.commit({}, online(timestamp=0.1), lambda _target: None)
    before = {each.app_id: each.head() for each in (fresh, old)}
    done = renew([fresh, old], online())
    assert (done.renewed, done.fresh, done.failed) == (("com.acme.b",), ("com.acme.a",), {})
    assert fresh.head().tag == before["com.acme.a"].tag
    head = old.head()
    assert head.timestamp.signed.version == before["com.acme.b"].timestamp.signed.version + 1
    assert head.timestamp.signed.expires > roles.after(0.9)
    assert head.snapshot.signed.meta == before["com.acme.b"].snapshot.signed.meta
    assert renew([old], online()).fresh == ("com.acme.b",)


def test_one_broken_repository_keeps_no_other_from_being_renewed(
    fresh: AppRepository, development: Development, online: Callable[..., Online]
) -> None:
    broken = development.app("com.acme.0")
    (development.repository / "com.acme.0" / "metadata" / "timestamp.json").write_text("{}")
    done = renew([broken, fresh], online(timestamp=5))
    assert done.renewed == ("com.acme.a",)
    assert isinstance(done.failed["com.acme.0"], MlpublishError)
