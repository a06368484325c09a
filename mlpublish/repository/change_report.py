"""What a reviewer sees of a change: recomputed from roles verified here, never from what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from securesystemslib.signer import Key

from mlpublish.artifacts import Bundle
from mlpublish.errors import RecipeError, VerificationError
from mlpublish.formats.mac_result import MacResult
from mlpublish.formats.manifest import ModelEntry
from mlpublish.formats.parity import parity_rows
from mlpublish.repository.change_state import OPEN_STATES
from mlpublish.repository.records import Kept, Received
from mlpublish.shown import Shown
from mlpublish.trust.approval import Need, Present, needs
from mlpublish.trust.changes import Change, Review
from mlpublish.trust.diff import Difference, differences
from mlpublish.trust.intents import holder
from mlpublish.trust.lints import Lint, lint
from mlpublish.trust.spelling import shortened
from mlpublish.trust.verify import evidence_limits

_KEY = r"[A-Za-z0-9+/=]{40,}|\"-----BEGIN PUBLIC KEY-----[^\"]*\""
_PUBLIC = re.compile(rf"(ecdsa-sha2-nistp256|ed25519|rsa-pkcs1v15-sha256) (?:{_KEY}), id ")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ChangeReport(Shown):
    """One change, as it stands.

    Args:
        state: see ``state_of``.
        summary: what it says of itself; for lists, never for a decision.
        differences: what it does.
        needs: who must sign, who did.
        reviews: what holders of its roles provably said to it.
        bundles: release number -> the bundle that it adds, held against the role byte for byte.
        findings: what is allowed and still worth a thought.
        mac: how a bundle's models answered on a Mac, by the word of whoever handed that over; it is of these very bytes.
    """

    app_id: str
    change: Change
    state: str
    differences: tuple[Difference, ...]
    needs: tuple[Need, ...]
    reviews: tuple[Received, ...]
    names: Mapping[str, str]
    bundles: Mapping[int, Bundle]
    findings: tuple[Lint, ...]
    mac: MacResult | None = None

    def with_mac_result(self, result: MacResult) -> ChangeReport:
        """The same with what ``compare-on-mac`` wrote of a bundle that it adds.

        Raises:
            RecipeError: the change adds no bundle.
            DigestMismatch: the result is of other bytes.
        """
        if not self.bundles:
            raise RecipeError(
                f"Change {self.change.id} adds no bundle, and a result of a Mac is of one.",
                remedy="Leave out the result.",
                field="mac_result",
            )
        bundles = list(self.bundles.values())
        bundle = next((each for each in bundles if each.sha256 == result.bundle_sha256), bundles[0])
        result.hold(bundle.manifest, sha256=bundle.sha256)
        return replace(self, mac=result)

    @property
    def missing(self) -> int:
        """How many signatures are still needed, over all roles."""
        return sum(need.missing for need in self.needs)

    @property
    def not_proven(self) -> tuple[str, ...]:
        """What signing this would not show."""
        limits = [each for bundle in self.bundles.values() for each in evidence_limits(bundle)]
        return tuple(limits)

    def rows(self) -> Mapping[str, object]:
        by = self.change.proposed_by
        said = f"said by {self.names.get(by, by[:12])}, not verified" if by else "not verified"
        shown: dict[str, object] = {
            "change": f"{self.change.id} of {self.app_id}",
            "state": self.state,
            "meant": f"{shortened(self.change.intent.summary)} ({said})",
        }
        for index, each in enumerate((each for each in self.differences if not each.routine), 1):
            shown[f"does {index}"] = f"{each.role}  {self._short(each)}"
        for number, bundle in self.bundles.items():
            shown |= self._bundle_rows(number, bundle)
        if self.mac is not None:
            shown |= {name: shortened(str(value)) for name, value in self.mac.rows().items() if name != "bundle"}
        for index, need in enumerate(self.needs, 1):
            shown[f"signatures {index}"] = need.sentence
        for index, review in enumerate(self.reviews, 1):
            shown[f"review {index}"] = self._told(review)
        for index, finding in enumerate(self.findings, 1):
            shown[f"note {index}"] = f"{finding.problem} {finding.remedy}"
        return shown | {"not proven": " ".join(self.not_proven) or None}

    def to_dict(self) -> dict[str, Any]:
        return {
            "change": self.change.id,
            "app": self.app_id,
            "state": self.state,
            "summary": self.change.intent.summary,
            "proposed_by": self.change.proposed_by,
            "differences": [each.to_dict() for each in self.differences],
            "needs": [need.to_dict() for need in self.needs],
            "missing": self.missing,
            "reviews": [
                {
                    "verdict": each.review.verdict,
                    "keyid": each.review.keyid,
                    "holder": self.names.get(each.review.keyid),
                    "at": each.review.at,
                    "received": each.at,
                    "comment": each.review.comment,
                }
                for each in self.reviews
            ],
            "bundles": {str(number): bundle.to_dict() for number, bundle in self.bundles.items()},
            "parity": {
                self._called(number, model): None if model.parity is None else model.parity.to_dict()
                for number, bundle in self.bundles.items()
                for model in bundle.manifest.models
            },
            "lineage": {
                self._called(number, model): model.provenance.to_dict()
                for number, bundle in self.bundles.items()
                for model in bundle.manifest.models
            },
            "findings": [{"role": each.role, "problem": each.problem, "remedy": each.remedy} for each in self.findings],
            "mac_result": None if self.mac is None else self.mac.to_dict(),
            "not_proven": list(self.not_proven),
        }

    def _short(self, each: Difference) -> str:
        """A key by its id alone, which is the digest of the key; ``to_dict`` has the key itself.

        Where an id is not its key's own, the whole text stands (and a finding tells that the change is refused).
        """
        refused = any(finding.refused for finding in self.findings)
        return each.sentence if refused or not each.what.startswith("key ") else _PUBLIC.sub(r"\1, id ", each.sentence)

    def _called(self, number: int, model: ModelEntry) -> str:
        """A model's name; where a change adds several releases, with its release's, or one would hide the other."""
        return model.name if len(self.bundles) == 1 else f"release {number} {model.name}"

    def _bundle_rows(self, number: int, bundle: Bundle) -> dict[str, object]:
        manifest = bundle.manifest
        rows: dict[str, object] = {
            f"release {number}": f"{manifest.name} {manifest.version}, {bundle.length} bytes, sha256 {bundle.sha256}",
        }
        for model in manifest.models:
            name = self._called(number, model)
            rows |= {f"{name}: {key}": value and shortened(str(value)) for key, value in parity_rows(model.parity).items()}
            lineage = {key: value for key, value in model.provenance.to_dict().items() if value not in (None, {}, [], "")}
            rows[f"{name}: lineage"] = shortened(", ".join(f"{key} {value}" for key, value in lineage.items()))
        return rows

    def _told(self, each: Received) -> str:
        who = self.names.get(each.review.keyid, each.review.keyid[:12])
        said = f": {shortened(each.review.comment)}" if each.review.comment else ""
        return f"{each.review.verdict} by {who} at {each.review.at}{said}"


def report_on(kept: Kept, present: Present, state: str, bundles: Mapping[int, Bundle]) -> ChangeReport:
    """What a change does to what is current.

    Args:
        present: verified; what the change was made from, or what is current now.
    """
    signed = kept.signed
    needed = needs(signed, present)
    keys = {key.keyid: key for need in needed for key in (*need.signed, *need.waiting)}
    return ChangeReport(
        app_id=signed.app_id,
        change=signed,
        state=state,
        differences=differences(signed, present),
        needs=needed,
        reviews=tuple(each for each in kept.reviews if _was_said(each.review, keys)),
        names={keyid: holder(key) for keyid, key in keys.items()},
        bundles=bundles,
        findings=lint(signed.root, signed.targets()),
    )


def listed(kept: Kept, present: Present, state: str) -> ChangeReport:
    """A change as a list has it: what it does is not looked at.

    Args:
        present: what is current.
    """
    signed = kept.signed
    needed = needs(signed, present) if state in OPEN_STATES else ()
    return ChangeReport(
        app_id=signed.app_id,
        change=signed,
        state=state,
        differences=(),
        needs=needed,
        reviews=kept.reviews,
        names={key.keyid: holder(key) for need in needed for key in (*need.signed, *need.waiting)},
        bundles={},
        findings=(),
    )


def _was_said(review: Review, keys: Mapping[str, Key]) -> bool:
    """Whether it is signed by a holder; a file or a server may put words into anybody's mouth."""
    try:
        if review.keyid in keys:
            review.verify(keys[review.keyid])
            return True
    except VerificationError:
        pass
    return False
