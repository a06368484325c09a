"""The predecessor's pin co-signs root 1: apps that carry only that key begin there, and from then on need it no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import Signature
from tuf.api.metadata import Metadata, Root

from mlpublish.errors import Conflict, EndpointRefused, MlpublishError, NotFound, RecipeError, SigningError, VerificationError
from mlpublish.formats.status import UpdateStatus
from mlpublish.repository import commits
from mlpublish.repository.endpoint import Commit, Edit, endpoint_for
from mlpublish.repository.pinning import cosign
from mlpublish.trust import roles
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


# ── only the root that is trusted ───────────────────────────────────────────────────────────────────────────────────────


def test_another_first_root_than_the_trusted_one_is_never_signed(stood: Production, tmp_path: Path, below: Below) -> None:
    """Where everything begins for apps with the pin: a root made by whoever serves it would be theirs for ever."""
    trusted = stood.first_root.read_bytes()
    stood.agree(rotation("root", add=stood.publics(["dave"])), "alice", "bob")
    forged = roles.parse(trusted, Root, "root")
    forged.signed.expires = roles.after(17)
    stood.first_root.write_bytes(roles.signed_by(Metadata(forged.signed), stood.signer("mallory")).to_bytes())
    before = below(stood.tree)
    with pytest.raises(VerificationError, match=r"shows another 1\.root\.json") as refused:
        cosign(stood.where(root=trusted), stood.uri("rsa-legacy"))
    assert "Nothing was signed" in refused.value.remedy
    assert below(stood.tree) == before


def test_a_later_root_is_not_where_a_pin_begins(stood: Production, below: Below) -> None:
    stood.agree(rotation("root", add=stood.publics(["dave"])), "alice", "bob")
    before = below(stood.tree)
    with pytest.raises(RecipeError, match="is version 2; a pin signs version 1") as refused:
        cosign(stood.where(root=stood.store.read("metadata/2.root.json")), stood.uri("rsa-legacy"))
    assert "--root 1.root.json" in refused.value.remedy
    assert below(stood.tree) == before


# ── what the first root takes ───────────────────────────────────────────────────────────────────────────────────────────


def more(production: Production, *keys: str, **signatures: str) -> bool:
    """Commit the first root with these signatures more, and these public halves."""
    root = roles.parse(production.first_root.read_bytes(), Root, "root")
    root.signatures |= {production.id(name): Signature(production.id(name), each) for name, each in signatures.items()}
    edit = Edit(base=0, metadata=root.to_bytes(), keys=production.publics(keys))
    return endpoint_for(production.at, token=production.token).commit(production.app.id, Commit(edits={"root": edit}))


def good(production: Production, name: str) -> str:
    first = roles.parse(production.first_root.read_bytes(), Root, "root")
    return production.signer(name).sign(first.signed_bytes).signature


@pytest.mark.parametrize(
    ("name", "brought", "signature"),
    [
        ("rsa-pin", (), "00" * 256),  # under the pin's id, so that the pin would have "signed already"
        ("rsa-pin", ("rsa-pin",), "00" * 256),
        ("rsa-pin", (), None),  # nobody can hold it against anything
        ("rsa-pin", ("rsa-other",), None),
        ("mallory", ("mallory",), None),  # a good one of a key that is neither root's nor a pin's
        ("olga", (), None),
        ("rsa-pin", ("rsa-pin",), "00" * 4_000_000),
        ("rsa-pin", ("rsa-pin",), ""),
    ],
)
def test_a_signature_that_does_not_hold_is_not_taken(
    stood: Production, below: Below, name: str, brought: tuple[str, ...], signature: str | None
) -> None:
    before = below(stood.tree)
    with pytest.raises(VerificationError, match="on the first root"):
        more(stood, *brought, **{name: good(stood, name) if signature is None else signature})
    assert below(stood.tree) == before


def test_a_good_signature_replaces_a_bad_one(offered: Production) -> None:
    root = roles.parse(offered.first_root.read_bytes(), Root, "root")
    root.signatures[offered.id("rsa-pin")] = Signature(offered.id("rsa-pin"), "00" * 256)
    offered.first_root.write_bytes(root.to_bytes())
    pin = offered.pin_file("rsa-pin")
    assert offered.checked("old", pin=pin)[0] is UpdateStatus.FAILURE_INTEGRITY
    assert cosign(offered.where(), offered.uri("rsa-pin")).changed is True
    assert offered.checked("old", pin=pin) == (UpdateStatus.SUCCESS, 1)
    with pytest.raises(VerificationError):
        more(offered, "rsa-other", **{"rsa-other": "00" * 256, "rsa-pin": "11" * 256})
    assert more(offered, "rsa-pin", **{"rsa-pin": "11" * 256}) is False  # a bad one replaces no good one


def test_who_holds_the_root_needs_nothing_beside(stood: Production) -> None:
    assert more(stood, carol=good(stood, "carol")) is True
    assert more(stood, carol=good(stood, "carol")) is False  # ECDSA signs anew each time; one good one is enough
    assert stood.id("carol") in roles.parse(stood.first_root.read_bytes(), Root, "root").signatures


def test_what_the_root_says_cannot_be_changed_so(stood: Production) -> None:
    root = roles.parse(stood.first_root.read_bytes(), Root, "root")
    root.signed.expires = roles.after(300)
    edit = Edit(base=0, metadata=roles.signed_by(root, stood.signer("alice"), stood.signer("bob")).to_bytes())
    with pytest.raises(Conflict, match="not the app's first root"):
        endpoint_for(stood.at).commit(stood.app.id, Commit(edits={"root": edit}))


def test_signatures_are_not_piled_up(stood: Production) -> None:
    root = roles.parse(stood.first_root.read_bytes(), Root, "root")
    root.signatures |= {
        f"{number:064x}": Signature(f"{number:064x}", "00") for number in range(30)
    }  # as an older one took them
    stood.first_root.write_bytes(root.to_bytes())
    with pytest.raises(EndpointRefused, match="would have 33 signatures"):
        more(stood, "rsa-pin", **{"rsa-pin": good(stood, "rsa-pin")})


def test_a_commit_brings_keys_only_where_it_has_some(stood: Production) -> None:
    edit = Edit(base=0, metadata=b"{}", keys=stood.publics(["rsa-pin"]))
    assert commits.from_document(commits.to_document({"root": edit})) == {"root": edit}
    plain = commits.to_document({"root": Edit(base=0, metadata=b"{}")})
    assert b"keys" not in plain
    assert commits.from_document(plain)["root"].keys == ()
    many = Edit(base=0, metadata=b"{}", keys=stood.publics(["rsa-pin"]) * 9)
    with pytest.raises(MlpublishError, match="at most 8 keys"):
        commits.from_document(commits.to_document({"root": many}))


def test_through_a_server_the_pins_public_half_travels_along(stood: Production, serving: Any) -> None:
    with serving(stood.folder) as server:
        served = stood.served(server.url)
        assert cosign(served.where(), served.uri("rsa-legacy")).changed is True
        assert cosign(served.where(), served.uri("rsa-legacy")).changed is False
