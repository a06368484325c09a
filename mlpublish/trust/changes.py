"""A *change*: an edit of an app's signed roles that waits for signatures, and what a reviewer says to it.

    change.json    {"format": 1, "app": …, "intent": {…}, "proposed_by": key id, "edits": {role: {"base": n, "metadata": …}}}
    review.json    {"format": 1, "statement": {…}, "keyid": …, "signature": …, "signatures": {role: …}}

``intent`` says what was meant, so that the edit can be made again from a newer base; nobody ever trusts it: what a change does
is recomputed from the roles (``diff.py``). The statement, who says what about which bytes and when, is signed with the
reviewer's key too, so that the record is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.exceptions import VerificationError as SignatureError
from securesystemslib.signer import Key, Signature
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.artifacts import check_app_id
from mlpublish.errors import RecipeError, VerificationError
from mlpublish.formats.wire import Reader, digest_of, dump
from mlpublish.trust import roles
from mlpublish.trust.intents import Intent
from mlpublish.trust.signer import Signer

CHANGE_FORMAT = 1
REVIEW_FORMAT = 1
ROLES = ("root", "targets", "channels")  # each is appointed by one before it
KEY_ID = "[0-9a-f]{64}"
CHANGE_ID = r"(root|targets|channels)-[0-9]{1,19}-[0-9a-f]{32}"
_SIGNATURE = "([0-9a-f]{2}){1,2048}"
_DOMAIN = b"mlpublish review statement\n"  # no bytes that are signed here are a role's, nor the other way round


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One signed role to commit.

    Args:
        base: the version that it was made from (0: there is none yet); if another one is current, the commit is a Conflict.
        metadata: the role's bytes, with the signatures that it has.
        present: sha256 of what the version says that it was made from; in a change it is part of what a reviewer signs, so that
            no edit is signed against one state and committed against another. Empty for none, and where nobody reviews.
        keys: public halves of signers that no role names, such as a pin's; they travel with a commit only.
    """

    base: int
    metadata: bytes
    present: str = ""
    keys: tuple[Key, ...] = ()

    @classmethod
    def of(cls, present: Metadata[Root] | Metadata[Targets], edited: Metadata[Root] | Metadata[Targets]) -> Edit:
        """An edit made from this version of the role."""
        said = digest_of(present.signed_bytes)
        return cls(base=present.signed.version, metadata=edited.to_bytes(), present=said)

    @classmethod
    def from_reader(cls, reader: Reader, name: str) -> Edit:
        """Read an edit of the role of this name; it must be metadata that can be signed, nothing is verified.

        Raises:
            FormatError: it is not.
        """
        present = reader.optional("present", reader.digest) or ""
        edit = cls(base=reader.whole_number("base"), metadata=reader.text("metadata").encode(), present=present)
        roles.parse_named(edit.metadata, name)
        return edit


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Roles that wait for signatures.

    Args:
        proposed_by: the key id of whoever made it; empty where nobody had to sign yet (a repository that is to be made).
    """

    app_id: str
    intent: Intent
    proposed_by: str
    edits: Mapping[str, Edit]

    @property
    def id(self) -> str:
        """``<role>-<version>-<32 digits of the sha256 of what it says and was made from>``; signatures do not alter it."""
        name = next(each for each in ROLES if each in self.edits)
        digest = digest_of("".join(self.digests[each] for each in sorted(self.edits)).encode())
        return f"{name}-{self.role(name).signed.version}-{digest[:32]}"

    @property
    def digests(self) -> Mapping[str, str]:
        """role -> sha256 of everything that a reviewer agrees to: what is signed, and what it was made from."""
        return {
            name: digest_of(
                dump({"base": edit.base, "present": edit.present, "signed": digest_of(self.role(name).signed_bytes)})
            )
            for name, edit in self.edits.items()
        }

    @property
    def founds(self) -> bool:
        """Whether it makes a repository; that it then holds nothing but first versions was seen to when it was read."""
        return self.intent.kind == "found"

    @property
    def root(self) -> Metadata[Root] | None:
        return roles.parse(self.edits["root"].metadata, Root, "root") if "root" in self.edits else None

    def targets(self, name: str = "targets") -> Metadata[Targets] | None:
        """The app role, or the channels role."""
        return roles.parse(self.edits[name].metadata, Targets, name) if name in self.edits else None

    def role(self, name: str) -> Metadata[Root] | Metadata[Targets]:
        """One of its roles."""
        return roles.parse_named(self.edits[name].metadata, name)

    def signed_with(self, reviews: tuple[Review, ...]) -> dict[str, Edit]:
        """The edits with the signatures of these reviews, in the order of their key ids."""
        edits = {}
        for name, edit in self.edits.items():
            role = self.role(name)
            for review in sorted(reviews, key=lambda each: each.keyid):
                if name in review.signatures:
                    role.signatures[review.keyid] = Signature(review.keyid, review.signatures[name])
            role.signatures = dict(sorted(role.signatures.items()))
            edits[name] = replace(edit, metadata=role.to_bytes())
        return edits

    def to_bytes(self) -> bytes:
        return dump(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        edits = {
            name: {"base": edit.base, "metadata": edit.metadata.decode()} | ({"present": edit.present} if edit.present else {})
            for name, edit in self.edits.items()
        }
        return {
            "format": CHANGE_FORMAT,
            "app": self.app_id,
            "intent": self.intent.to_dict(),
            "proposed_by": self.proposed_by,
            "edits": edits,
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> Change:
        return cls.from_reader(Reader.parse(data, what="change"))

    @classmethod
    def from_reader(cls, reader: Reader) -> Change:
        """Read a change; its roles must be metadata, nothing is verified.

        Raises:
            FormatError: a member is wrong, or it edits no role, an unknown one, or another app's.
            VerificationError: its channels role is another app's.
        """
        reader.version("format", known=CHANGE_FORMAT)
        edits = reader.inner("edits")
        if not edits.values or not set(edits.values) <= set(ROLES):
            reader.refuse("edits", f"an object with one or more of {', '.join(ROLES)}")
        change = cls(
            app_id=_app_id(reader),
            intent=Intent.from_reader(reader.inner("intent")),
            proposed_by=reader.text("proposed_by", f"({KEY_ID})?"),
            edits=MappingProxyType({name: Edit.from_reader(edits.inner(name), name) for name in edits.values}),
        )
        versions = {name: change.role(name).signed.version for name in change.edits}
        if any((edit.base == 0) != change.founds for edit in change.edits.values()) or (
            change.founds and versions != dict.fromkeys(ROLES, 1)
        ):
            reader.refuse("edits", "the first version of every role where a repository is made, and later ones elsewhere")
        change._refuse_other_app(reader)
        return change

    def _refuse_other_app(self, reader: Reader) -> None:
        """Where apps share keys, a role of one would verify for the other."""
        root, targets, channels = self.root, self.targets(), self.targets(roles.CHANNELS)
        if root is not None:
            roles.check_root_bound(root.signed, self.app_id)
        if targets is not None and (bound := roles.policy_of(targets.signed).app_id) != self.app_id:
            reader.refuse("app", f"{bound}, whose app role it edits")
        for name, role in (("targets", targets), (roles.CHANNELS, channels)):
            if role is not None:
                roles.check_shape(name, role.signed)
        if channels is not None:
            roles.check_bound(channels.signed, self.app_id)


def _app_id(reader: Reader) -> str:
    try:
        return check_app_id(reader.text("app"))
    except RecipeError:
        reader.refuse("app", "an app's bundle id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What the holder of one key says to a change.

    Args:
        verdict: ``approve`` or ``reject``.
        digests: role -> sha256 of the signed bytes that are meant; empty in a rejection.
        comment: the reason of a rejection, or whatever the reviewer adds.
        at: when, in UTC, by the reviewer's clock.
        signature: over the statement.
        signatures: role -> the signature on the role itself.
    """

    app_id: str
    change_id: str
    verdict: str
    at: str
    keyid: str
    comment: str = ""
    digests: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    signature: str = ""
    signatures: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def statement(self) -> dict[str, Any]:
        return {
            "app": self.app_id,
            "change": self.change_id,
            "verdict": self.verdict,
            "at": self.at,
            "comment": self.comment,
            "roles": dict(self.digests),
        }

    @property
    def signed_bytes(self) -> bytes:
        """What the statement's signature covers."""
        return _DOMAIN + dump(self.statement)

    def verify(self, key: Key) -> None:
        """Hold the statement against the reviewer's key.

        Raises:
            VerificationError: it is not the key's.
        """
        try:
            key.verify_signature(Signature(self.keyid, self.signature), self.signed_bytes)
        except (UnverifiedSignatureError, SignatureError) as exc:
            raise VerificationError(
                f"The review of {self.change_id} by {self.keyid[:12]} is not signed by that key.",
                remedy="Ask the reviewer to sign again: mlpublish review sign.",
                field="review",
            ) from exc

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": REVIEW_FORMAT,
            "statement": self.statement,
            "keyid": self.keyid,
            "signature": self.signature,
            "signatures": dict(self.signatures),
        }

    def to_bytes(self) -> bytes:
        return dump(self.to_dict())

    @classmethod
    def from_bytes(cls, data: bytes) -> Review:
        return cls.from_reader(Reader.parse(data, what="review"))

    @classmethod
    def from_reader(cls, reader: Reader) -> Review:
        """Read a review; nothing is verified.

        Raises:
            FormatError: a member is wrong, or what is signed is not what is said.
        """
        reader.version("format", known=REVIEW_FORMAT)
        statement, signatures = reader.inner("statement"), reader.text_map("signatures")
        review = cls(
            app_id=_app_id(statement),
            change_id=statement.text("change", CHANGE_ID),
            verdict=statement.text("verdict", "approve|reject"),
            at=_time(statement),
            comment=statement.text("comment"),
            digests=MappingProxyType({name: statement.inner("roles").digest(name) for name in statement.text_map("roles")}),
            keyid=reader.text("keyid", KEY_ID),
            signature=reader.text("signature", _SIGNATURE),
            signatures=MappingProxyType({name: reader.inner("signatures").text(name, _SIGNATURE) for name in signatures}),
        )
        if not set(review.digests) <= set(ROLES) or bool(review.digests) != (review.verdict == "approve"):
            statement.refuse("roles", f"one or more of {', '.join(ROLES)} in an approval, none in a rejection")
        if set(review.signatures) != set(review.digests):
            reader.refuse("signatures", "a signature for each role of the statement")
        return review


def _time(reader: Reader) -> str:
    text = reader.text("at", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    try:
        datetime.fromisoformat(text)
    except ValueError:
        reader.refuse("at", "a time in UTC, such as 2026-01-31T12:00:00Z")
    return text


def reviewed(change: Change, names: tuple[str, ...], signer: Signer, *, verdict: str = "approve", comment: str = "") -> Review:
    """A review by the holder of a key.

    Args:
        names: the roles to sign; none in a rejection.

    Raises:
        RecipeError: the comment holds bytes that are no text.
        SigningError: the key does not sign.
    """
    if not comment.isascii() and any("\ud800" <= letter <= "\udfff" for letter in comment):
        raise RecipeError("The comment is not proper text.", remedy="Write it in UTF-8.", field="comment")
    keyid = signer.public_key.keyid
    unsigned = Review(
        app_id=change.app_id,
        change_id=change.id,
        verdict=verdict,
        at=f"{roles.now():%Y-%m-%dT%H:%M:%SZ}",
        comment=comment,
        digests={name: change.digests[name] for name in names},
        keyid=keyid,
    )
    return replace(
        unsigned,
        signature=signer.sign(unsigned.signed_bytes).signature,
        signatures={name: signer.sign(change.role(name).signed_bytes).signature for name in names},
    )
