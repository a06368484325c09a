"""A change is made again from its intent, which nobody looked at; so what is made may do nothing that the change did not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlpublish.errors import VerificationError
from mlpublish.repository import review
from mlpublish.repository.edits import edits_for
from mlpublish.repository.endpoint import endpoint_for
from mlpublish.trust.changes import Change, reviewed
from mlpublish.trust.intents import Intent
from tests.production import Production, policy, rotation


def proposed(production: Production, does: Intent, *names: str, says: Intent | None = None) -> str:
    """A change that does one thing and says it meant another; committed, if enough sign."""
    edits = edits_for(does, production.head(), production.store.read)
    change = Change(app_id=production.app.id, intent=says or does, proposed_by=production.id(names[0]), edits=edits)
    reviews = tuple(reviewed(change, tuple(edits), production.signer(name)) for name in names)
    endpoint_for(production.at).propose(production.app.id, change, reviews, review.policy_blob(change))
    return change.id


@pytest.mark.parametrize(
    "says",
    [
        lambda _: policy(floors={"ios/2.0": 1, "ios/3.0": 9}),
        lambda _: policy(floors={"ios/2.0": 9}),
        lambda _: policy(floors={"ios/2.0": 1}, publisher_may_approve=False),
        lambda production: rotation("channels", add=[production.public("mallory")]),
        lambda _: rotation("targets", threshold=1),
    ],
)
def test_an_intent_that_means_more_than_the_change_does_is_refused(
    production: Production, below: Callable[[Path], dict[str, str]], says: Callable[[Production], Intent]
) -> None:
    production.stand()
    change = proposed(production, policy(floors={"ios/2.0": 1}), "alice", says=says(production))
    proposed(production, policy(expiry_days=60), "bob", "carol")
    before = below(production.tree)
    with pytest.raises(VerificationError, match="says that it means more than it does") as caught:
        review.rebase(production.where("bob"), change)
    assert (caught.value.field, "Reject it" in caught.value.remedy) == ("intent", True)
    assert below(production.tree) == before


@pytest.mark.parametrize("role", ["root", "targets", "channels", "policy"])
def test_an_honest_one_is_made_again_whatever_moved(production: Production, role: str) -> None:
    """Also where the other change altered how many keys there are."""
    production.stand()
    names = ("alice", "bob")
    mine = policy(floors={"ios/2.0": 1}) if role == "policy" else rotation(role, add=[production.public("dave")])
    other = rotation(role if role != "policy" else "channels", add=[production.public("erin")])
    change = proposed(production, mine, "alice")
    proposed(production, other, *names)
    again = review.rebase(production.where("alice"), change)
    assert again.change.id != change
    assert production.sign("bob", again.change.id).state == "committed"
