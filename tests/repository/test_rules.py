"""What every holder may have signed and is refused all the same: it would strand devices, or whoever edits next.

Each role here is fully signed, and handed in as a change, as a commit, or both; nothing of it becomes current.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import AlreadyPublished, EndpointRefused, Expired, FormatError, MlpublishError, VerificationError
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.repository.endpoint import Commit, Edit, endpoint_for
from mlpublish.trust import roles
from mlpublish.trust.changes import Change, reviewed
from tests.production import Production, policy

Below = Callable[[Path], dict[str, str]]
Bend = Callable[[Production, Targets], object]


def handed_in(stood: Production, name: str, role: Metadata[Root] | Metadata[Targets], kind: str) -> None:
    """A role that alice and bob (or olga) signed, as a change with everybody's reviews, or as a plain commit."""
    head = stood.head()
    names = ("olga",) if name == "channels" else ("alice", "bob")
    change = Change(
        app_id=stood.app.id,
        intent=policy(),
        proposed_by=stood.id(names[0]),
        edits={name: Edit.of(head.root if name == "root" else head.role(name), role)},
    )
    reviews = tuple(reviewed(change, (name,), stood.signer(each)) for each in names)
    endpoint = endpoint_for(stood.at)
    if kind == "change":
        endpoint.propose(stood.app.id, change, reviews, {})
    else:
        endpoint.commit(stood.app.id, Commit(edits=change.signed_with(reviews)))


def renamed(stood: Production, role: Targets) -> None:
    other = Policy(app_id="com.acme.other")
    role.targets[POLICY_PATH] = roles.target_file(POLICY_PATH, other.to_bytes(), other.to_dict())


def reused(stood: Production, role: Targets) -> None:
    role.targets["releases/1/bundle.zip"].hashes["sha256"] = "0" * 64


def unreadable(stood: Production, role: Targets) -> None:
    role.targets["releases/1/bundle.zip"].unrecognized_fields["custom"]["release"] = 2


APP_ROLES: dict[str, tuple[Bend, type[MlpublishError], str]] = {
    "of another app": (renamed, EndpointRefused, r"is for com\.acme\.other"),
    "with other bytes under a number": (reused, AlreadyPublished, "Release 1 stands for other bytes"),
    "that nobody could read": (unreadable, FormatError, "is signed as release 2"),
    "without a policy": (lambda _, role: role.targets.pop(POLICY_PATH), FormatError, "names no policy"),
    "that ran out": (lambda _, role: setattr(role, "expires", roles.after(-1)), Expired, "expired on"),
    "of a clock a year off": (lambda _, role: setattr(role, "expires", roles.after(90 + 365)), EndpointRefused, "400 days"),
    "that jumps": (lambda _, role: setattr(role, "version", 5000), EndpointRefused, "jumps 4998 versions"),
    "too large": (
        lambda _, role: role.unrecognized_fields.update({"x": "y" * 4_500_000}), EndpointRefused, r"has 45\d{5} bytes",
    ),
    "whose operators are nobody": (
        lambda p, role: [role.revoke_key(p.id(name), "channels") for name in ("olga", "otto")],
        EndpointRefused,
        "nobody can reach",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["change", "commit"])
@pytest.mark.parametrize("case", APP_ROLES)
def test_an_app_role(stood: Production, below: Below, case: str, kind: str) -> None:
    bend, error, told = APP_ROLES[case]
    stood.release(b"one")
    role = roles.following(stood.head().targets, 3, 90)
    bend(stood, role.signed)
    before = below(stood.tree)
    with pytest.raises(error, match=told):
        handed_in(stood, "targets", role, kind)
    assert below(stood.tree) == before


@pytest.mark.parametrize("kind", ["change", "commit"])
@pytest.mark.parametrize(
    ("bend", "error", "told"),
    [
        (lambda root: setattr(root, "version", 3), MlpublishError, "does not follow|Root 3"),
        (lambda root: setattr(root, "expires", roles.after(-1)), Expired, "expired on"),
        (lambda root: setattr(root, "expires", roles.after(365 * 3)), EndpointRefused, "400 days"),
        (lambda root: setattr(root.roles["targets"], "threshold", 4), EndpointRefused, "nobody can reach"),
        (lambda root: root.unrecognized_fields.update({"x": "y" * 500_000}), EndpointRefused, "a device takes"),
    ],
    ids=["jumps", "ran out", "clock", "unreachable", "too large"],
)
def test_a_root(
    stood: Production, below: Below, bend: Callable[[Root], object], error: type[MlpublishError], told: str, kind: str
) -> None:
    root = roles.following(stood.head().root, 2, 365)
    bend(root.signed)
    before = below(stood.tree)
    with pytest.raises(error, match=told):
        handed_in(stood, "root", root, kind)
    assert below(stood.tree) == before
    assert stood.head().root.signed.version == 1


@pytest.mark.parametrize("kind", ["change", "commit"])
def test_a_channels_role_of_another_app(stood: Production, below: Below, kind: str) -> None:
    """Operators often steer several apps with one key, so it verifies."""
    other = stood.for_app("com.acme.other").stand()
    role = roles.following(other.head().channels, 2, 90)
    before = below(stood.tree)
    with pytest.raises(VerificationError, match=r"channels role is of com\.acme\.other"):
        handed_in(stood, "channels", role, kind)
    assert below(stood.tree) == before


def test_a_clock_that_is_wrong_is_named_with_how_to_look(stood: Production) -> None:
    role = roles.following(stood.head().targets, 2, 500)
    with pytest.raises(EndpointRefused) as refused:
        handed_in(stood, "targets", role, "change")
    assert "date -u" in refused.value.remedy
