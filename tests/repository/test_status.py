"""``repo status``: who holds what, what runs out when, who must act, and by which command; and that command then works."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import click
import pytest

from mlpublish.cli.main import group
from mlpublish.errors import MlpublishError, RecipeError
from mlpublish.formats.status import UpdateStatus
from mlpublish.repository import review
from mlpublish.repository.endpoint import Edit
from mlpublish.repository.place import Place
from mlpublish.repository.renew import Rounds
from mlpublish.repository.status import Status, status
from mlpublish.trust import roles
from tests.production import TRIO, Production, policy, rotation


def told(production: Production, **where: Any) -> Status:
    return status(production.where(**where))


def test_it_tells_who_holds_what_and_until_when(there: Production) -> None:
    found = told(there)
    holders = {each.role: (each.version, each.threshold, [key.keyid for key in each.holders]) for each in found.roles}
    trio = list(map(there.id, TRIO))
    assert holders == {
        "root": (1, 2, trio),
        "targets": (1, 2, trio),
        "channels": (1, 1, list(map(there.id, ("olga", "otto")))),
        "snapshot": (1, 1, [there.id("online")]),
        "timestamp": (1, 1, [there.id("online")]),
    }
    lives = {"root": 365, "targets": 90, "channels": 90, "snapshot": 7, "timestamp": 1}
    assert all(lives[each.role] - 1 <= each.to_dict()["days_left"] <= lives[each.role] for each in found.roles)
    assert (found.todos, found.notes, found.failure) == ((), (), None)
    assert found.rows()["must anybody act"] == "no"


COMMANDS = {
    "root": ("repo rotate root", rotation("root"), ("alice", "carol")),
    "targets": ("review propose", policy(), ("bob", "carol")),
    "channels": ("repo rotate operators", rotation("channels"), ("otto",)),
}


@pytest.mark.parametrize("role", COMMANDS)
def test_an_expired_role_names_its_holders_and_the_command_that_works(there: Production, role: str) -> None:
    there.release(b"one")
    there.offer(1)
    assert there.checked() == (UpdateStatus.SUCCESS, 1)
    there.expire(role)
    (todo,) = told(there).todos
    assert f"The {role} role expired on" in todo.why
    command, intent, names = COMMANDS[role]
    assert todo.command.startswith(f"mlpublish {command} --app {there.app.id} --at {there.where().access.endpoint.uri}")
    holders = TRIO if role != "channels" else ("olga", "otto")
    assert all(name in todo.who for name in holders)
    assert todo.who.startswith("2 of " if role != "channels" else "1 of ")
    assert there.checked()[0] is UpdateStatus.FAILURE_INTEGRITY
    there.agree(intent, *names)
    assert told(there).todos == ()
    assert there.checked() == (UpdateStatus.SUCCESS, 1)


def test_an_expired_app_role_is_also_cured_by_the_next_release(there: Production) -> None:
    there.expire("targets")
    there.release(b"one")
    assert told(there).todos == ()


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_what_is_online_names_whoever_runs_it(stood: Production, role: str) -> None:
    stood.expire(role)
    found = told(stood)
    assert {todo.who for todo in found.todos} == {"whoever runs the repository"}
    assert any(f"The {role} role expired on" in todo.why and "repo renew" in todo.command for todo in found.todos)
    Rounds.at(stood.folder).play()
    assert told(stood).todos == ()


def last(stood: Production, name: str, days: float) -> None:
    """Make a role hold for so many days from now."""
    head = stood.head()
    role = roles.following(head.role(name), head.role(name).signed.version + 1, days)
    signed = roles.signed_by(role, *map(stood.signer, ("alice", "bob") if name == "targets" else ("olga",)))
    online = Place.find(stood.folder).online()
    assert online is not None
    stood.repository.commit({name: Edit(base=role.signed.version - 1, metadata=signed.to_bytes())}, online, lambda _: None)


@pytest.mark.parametrize(
    ("role", "days", "must"),
    [("targets", 23, False), ("targets", 22, True), ("channels", 15, False), ("channels", 13, True), ("channels", 2, True)],
)
def test_people_are_told_in_time(stood: Production, role: str, days: float, must: bool) -> None:
    last(stood, role, days)
    assert bool(told(stood).todos) == must


def test_of_a_channels_role_that_a_server_may_renew_it_says_so(stood: Production) -> None:
    last(stood, "channels", 6)
    found = told(stood)
    assert found.todos == ()
    assert "A server with an operator's key" in found.notes[0]


def test_an_open_change_is_one_thing_to_do_with_everybody_it_waits_for(there: Production) -> None:
    there.publish(b"one")
    change = there.changes.list().open
    (todo,) = told(there).todos
    assert todo.who == f"1 of bob ({there.id('bob')[:12]}), carol ({there.id('carol')[:12]}) for targets"
    assert todo.why == f"Change {change} (add release 1) waits for signatures."
    assert todo.command.startswith(f"mlpublish review show {change} --app {there.app.id} --at ")
    there.sign("carol")
    assert told(there).todos == ()


def test_a_rotation_waits_for_each_role_once(stood: Production) -> None:
    stood.propose("alice", rotation("targets", add=stood.publics(("dave",)), drop=(stood.id("alice"),)))
    (todo,) = told(stood).todos
    assert todo.who.split("; ") == [
        f"1 of bob ({stood.id('bob')[:12]}), carol ({stood.id('carol')[:12]}) for root",
        f"1 of bob ({stood.id('bob')[:12]}), carol ({stood.id('carol')[:12]}) for targets",
        f"2 of bob ({stood.id('bob')[:12]}), carol ({stood.id('carol')[:12]}), dave ({stood.id('dave')[:12]}) for targets",
    ]


def test_a_change_that_moved_is_for_its_proposer(stood: Production, tmp_path: Path) -> None:
    stood.publish(b"one")
    last(stood, "targets", 90)
    (todo,) = told(stood).todos
    assert (todo.who, "review rebase" in todo.command) == ("whoever proposed it", True)


def test_a_repository_that_is_to_be_made_tells_who_must_sign(there: Production) -> None:
    other = there.for_app("com.acme.new")
    other.add_app("alice")
    found = told(other)
    (todo,) = found.todos
    assert todo.who == "; ".join(
        (
            f"1 of bob ({there.id('bob')[:12]}), carol ({there.id('carol')[:12]}) for root",
            f"1 of bob ({there.id('bob')[:12]}), carol ({there.id('carol')[:12]}) for targets",
            f"1 of olga ({there.id('olga')[:12]}), otto ({there.id('otto')[:12]}) for channels",
        )
    )
    assert (found.roles, found.failure) == ((), None)


def test_an_app_that_is_nowhere_is_a_failure_with_its_name(there: Production) -> None:
    found = told(there.for_app("com.acme.nothing"))
    assert found.failure is not None
    assert found.failure.startswith("com.acme.nothing has no repository at ")
    assert found.to_dict()["must_act"] is True


def test_a_broken_repository_is_a_failure_and_no_traceback(stood: Production) -> None:
    (stood.store.folder / "metadata" / "1.targets.json").write_text("{}")
    found = told(stood)
    assert found.failure is not None
    assert "targets is no TUF metadata" in found.failure


def test_without_a_token_it_says_what_it_did_not_look_at(production: Production, serving: Any) -> None:
    production.stand().publish(b"one")
    with serving(production.folder) as server:
        found = told(production.served(server.url, None))
    assert found.todos == ()
    assert "Open changes are not looked at: The server asks for a token." in found.notes[0]


def test_a_server_is_not_trusted_on_first_use(production: Production, serving: Any) -> None:
    production.stand()
    with serving(production.folder) as server, pytest.raises(RecipeError, match="no trust on first use"):
        told(production.served(server.url), root=None)


def test_a_state_that_was_replayed_is_shown_and_never_signed(there: Production, tmp_path: Path) -> None:
    """A mirror answers with last month's repository: looking is allowed, for by it one sees what ran out; signing is not."""
    there.publish(b"one")
    there.expire("timestamp")
    assert any("timestamp role expired" in todo.why for todo in told(there).todos)
    if there.at.startswith("file:"):
        return  # a folder on one's own disk is renewed by whoever looks at it
    for act in (review.show, review.sign):
        with pytest.raises(MlpublishError, match="timestamp role expired") as refused:
            act(there.where("bob"))
        assert "stale mirror" in refused.value.remedy


def verbs(command: str) -> list[str]:
    """The verbs of a command line, each of which exists."""
    here: click.Command = group
    found: list[str] = []
    for word in shlex.split(command.partition(",")[0])[1:]:
        if not isinstance(here, click.Group):
            break
        inner = here.get_command(click.Context(here), word)
        assert inner is not None, command
        found.append(word)
        here = inner
    return found


def test_the_commands_that_it_names_exist(stood: Production) -> None:
    for role in COMMANDS:
        shutil.rmtree(stood.store.folder)
        stood.stand()
        stood.expire(role)
        for todo in told(stood).todos:
            assert len(verbs(todo.command)) == 2
