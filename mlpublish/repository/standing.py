"""The releases that stand in a repository: each bundle, and what lies beside it, held against the app role that names it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mlpublish.artifacts import Bundle
from mlpublish.errors import VerificationError
from mlpublish.formats.channel import ReleaseFacts, bundle_path, model_signature_path, signature_path
from mlpublish.reports import VerifyReport
from mlpublish.repository.head import Head, target_in
from mlpublish.repository.sources import Source
from mlpublish.trust import roles
from mlpublish.trust.beside import Beside, detached
from mlpublish.trust.chain import Chain
from mlpublish.trust.links import named
from mlpublish.trust.releases import held_bundle
from mlpublish.trust.trusted import Trust
from mlpublish.trust.verify import evidence_limits, files_of, model_signature_of, of_a_release, unheld, whole

_RELEASE = re.compile(r"releases/([0-9]+)/.+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an app role names, and where it is read from.

    Args:
        chain: every root of the app: a model.sig may be of a key that held the app role once.
        tell: is told which bundle is read.
    """

    source: Source
    head: Head
    chain: Chain
    trust: Trust
    tell: Callable[[str], None]

    def releases(self) -> tuple[VerifyReport, ...]:
        """Verify them all.

        Raises:
            VerificationError, FormatError, BundleError, NotFound: one is not what the app role says; ``field`` names it.
        """
        known = self.head.releases
        for path in self.head.targets.signed.targets:
            found = _RELEASE.fullmatch(path)
            if found is not None and int(found[1]) not in known:
                raise VerificationError(
                    f"The app role names {path}, and no release {found[1]}.", remedy="Sign the app role again.", field=path
                )
        return tuple(self._verified(facts) for _, facts in sorted(known.items()))

    def _verified(self, facts: ReleaseFacts) -> VerifyReport:
        path, app_id = bundle_path(facts.number), self.head.policy.app_id
        target = self.head.targets.signed.targets[path]
        self.tell(f"{app_id}: {path}, {target.length} bytes")
        with named(path), self.source.file(roles.stored_at(target), target.length) as file:
            if facts.app_id != app_id:
                raise VerificationError(
                    f"Release {facts.number} is signed for {facts.app_id}.", remedy="Sign it for this app.", field="app"
                )
            bundle = held_bundle(self.head.targets.signed, facts.number, file)
            files, beside = files_of(bundle), self._beside(facts.number, bundle)
        withdrawn = self.head.policy.withdrawn.get(facts.number)
        return VerifyReport(
            what=path,
            kind="release",
            bundle=replace(bundle, path=Path(path)),
            manifest=bundle.manifest,
            files=files,
            app_id=app_id,
            platform=facts.platform,
            app_versions=facts.app_versions,
            number=facts.number,
            signatures=beside.signatures,
            proven=(
                f"The holders of the app role signed these bytes as release {facts.number} of {app_id} "
                f"for {facts.platform} {', '.join(facts.app_versions)}.",
                whole(bundle),
                *(() if withdrawn is None else (f"They withdrew it: {withdrawn}.",)),
                *beside.proven,
            ),
            not_proven=(*beside.limits, *evidence_limits(bundle)),
        )

    def _beside(self, number: int, bundle: Bundle) -> Beside:
        return self._detached(number, bundle) + self._model_signature(number, bundle)

    def _detached(self, number: int, bundle: Bundle) -> Beside:
        path = signature_path(number)
        target, pin = self.head.targets.signed.targets.get(path), self.trust.pin
        if target is None:
            return Beside()
        with named(path):
            signature = target_in(self.source.read, target)
        if pin is None or not self.trust.is_rsa:
            return unheld(path)
        return of_a_release(detached(bundle, path, signature, pin), path)

    def _model_signature(self, number: int, bundle: Bundle) -> Beside:
        path = model_signature_path(number)
        target = self.head.targets.signed.targets.get(path)
        if target is None:
            return Beside()
        with named(path):
            return model_signature_of(target_in(self.source.read, target), bundle, self.chain)
