"""What TUF allows and is still a mistake: each finding with a role that shows it; what must never be signed is not."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import SigningError
from mlpublish.repository import review_files
from mlpublish.trust import roles
from mlpublish.trust.folders import write_change
from mlpublish.trust.intents import Intent
from mlpublish.trust.lints import lint, refuse
from tests import hands

Role = Metadata[Root] | Metadata[Targets]
Below = Callable[[Path], dict[str, str]]


def rsa_key(bits: int) -> SSlibKey:
    key = rsa.generate_private_key(65537, bits).public_key()
    return SSlibKey.from_crypto(key, scheme="rsa-pkcs1v15-sha256")


def renamed(key: SSlibKey, **fields: Any) -> SSlibKey:
    """The key with other members, under the id that follows or that is given."""
    given = {"keyid": "f" * 64, "keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval} | fields
    return SSlibKey(**given)


def twin(role: Role) -> None:
    role.signed.add_key(renamed(hands.public("alice")), *_held(role))


def written_otherwise(role: Role) -> None:
    public = hands.public("alice").keyval["public"]
    role.signed.add_key(renamed(hands.public("alice"), keyval={"public": public.upper()}), *_held(role))


def _held(role: Role) -> tuple[str]:
    return ("targets",) if isinstance(role.signed, Root) else (roles.CHANNELS,)


def threshold(role: Root | Targets, value: int) -> None:
    role.get_delegated_role(*(("targets",) if isinstance(role, Root) else (roles.CHANNELS,))).threshold = value


REFUSED: dict[str, tuple[Callable[[Role], object], str, str]] = {
    "a key under two ids": (twin, "lists one key under two ids", "List each key once"),
    "a key written in two ways": (written_otherwise, "lists one key under two ids", "List each key once"),
    "a threshold out of reach": (lambda role: threshold(role.signed, 9), "needs 9 signatures and has", "threshold of at most"),
    "a short RSA key": (
        lambda role: role.signed.add_key(rsa_key(1024), *_held(role)),
        "is RSA with 1024 bits",
        "2048 bits or more",
    ),
    "PSS": (
        lambda role: role.signed.add_key(
            SSlibKey.from_crypto(rsa.generate_private_key(65537, 2048).public_key(), scheme="rsassa-pss-sha256"), *_held(role)
        ),
        "has the scheme rsassa-pss-sha256, which a phone does not verify",
        "ecdsa-sha2-nistp256, ed25519, rsa-pkcs1v15-sha256",
    ),
    "another's id": (
        lambda role: role.signed.add_key(renamed(hands.public("mallory"), keyid=hands.keyid("zoe")), *_held(role)),
        f"lists the key {hands.keyid('zoe')[:12]}, which is {hands.keyid('mallory')[:12]}",
        "under its own id",
    ),
    "an id alone": (
        lambda role: role.signed.get_delegated_role(*_held(role)).keyids.append("f" * 64),
        "lists the key ffffffffffff, and not the key itself",
        "drop its id",
    ),
    "a key for nothing": (
        lambda role: _keys(role.signed).update({hands.keyid("mallory"): hands.public("mallory")}),
        f"lists the key {hands.keyid('mallory')[:12]}, which holds no role",
        "Leave it out",
    ),
    "a wrong clock": (
        lambda role: setattr(role.signed, "expires", roles.after(731)),
        "which is too long to be meant",
        "date -u",
    ),
}


def _keys(role: Root | Targets) -> dict[str, Any]:
    keys: dict[str, Any] = role.keys if isinstance(role, Root) else role.delegations.keys  # type: ignore[union-attr]
    return keys


def role_of(kind: str) -> Role:
    return hands.root(version=2) if kind == "root" else hands.app_role(operators=["alice", "olga"], releases=[1], version=2)


@pytest.mark.parametrize("kind", ["root", "app role"])
@pytest.mark.parametrize("mistake", REFUSED)
def test_what_must_never_be_signed_is_refused_with_what_to_do(kind: str, mistake: str) -> None:
    bend, problem, remedy = REFUSED[mistake]
    role = role_of(kind)
    refuse(role)
    bend(role)
    found = [each for each in lint(role) if each.refused and problem in each.problem]
    assert found, lint(role)
    assert remedy in found[0].remedy
    with pytest.raises(SigningError):
        refuse(None, role)


def test_a_role_of_ours_has_nothing_to_find() -> None:
    assert lint(hands.root(), hands.app_role(), hands.channels_role(), None) == ()


@pytest.mark.parametrize(
    ("role", "told"),
    [
        (
            hands.root(threshold=1),
            ["One signature is enough for the root role", "One signature is enough for the targets role"],
        ),
        (hands.app_role(expires=roles.after(13)), ["The targets role expires on"]),
        (hands.channels_role(expires=roles.now() - timedelta(days=1)), ["The targets role has expired."]),
        (hands.root(expires=roles.after(14.5)), []),
        (hands.root(expires=roles.after(729)), []),
    ],
)
def test_what_is_only_worth_a_thought_is_told_and_not_refused(role: Role, told: list[str]) -> None:
    found = lint(role)
    assert [each.problem[: len(start)] for each, start in zip(found, told, strict=True)] == told
    assert not any(each.refused for each in found)
    refuse(role)


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_reviewer_by_files_signs_no_mistake(mistake: str, tmp_path: Path, below: Below) -> None:
    present = hands.present()
    role = deepcopy(role_of("root"))
    REFUSED[mistake][0](role)
    change = hands.change({"root": role}, Intent(kind="rotate", role="root"), by="alice", before=present)
    assert present.root is not None
    write_change(tmp_path, change, roots=[present.root.to_bytes()], present=present, reviews=[])
    before = below(tmp_path)
    with pytest.raises(SigningError) as caught:
        review_files.sign(tmp_path, signer=hands.signer("bob"), root=present.root.to_bytes())
    assert caught.value.remedy
    assert below(tmp_path) == before
