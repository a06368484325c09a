"""All that is told of what was looked at: a model, or several with what they came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlpublish.errors import RecipeError
from mlpublish.formats.mac_result import MacResult
from mlpublish.formats.manifest import Manifest
from mlpublish.inspecting.facts import MOST, ModelFacts, told_of
from mlpublish.shown import Badge, Block, Facts, Folded, Sentences, Shown, Table, size

_NOT_SIGNED = "Nothing here says who made it: inspect looks at no signature. mlpublish verify does."


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """The bundle that the models lie in.

    Args:
        sha256: the zip's; None where it is unpacked.
        length: the zip's, in bytes.
        manifest_sha256: of the manifest's bytes.
    """

    manifest: Manifest
    manifest_sha256: str
    sha256: str | None = None
    length: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.manifest.name,
            "version": self.manifest.version,
            "created_by": self.manifest.created_by,
            "files": len(self.manifest.files),
            "unpacked_length": self.manifest.unpacked_length,
            "manifest_sha256": self.manifest_sha256,
            "sha256": self.sha256,
            "length": self.length,
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Inspection(Shown):
    """What lies at a path.

    Args:
        what: the path's last part.
        kind: ``model``, ``converted model``, ``bundle``, ``unpacked bundle`` or ``release``.
        models: each of them.
        bundle: what they lie in, where that is a bundle.
        release: what a release's folder says of itself, unverified: app, versions, number.
        mac: how they answered on a Mac, if that was asked for; it is of these very bytes.
        findings: what is wrong with the whole; each model has its own.
    """

    what: str
    kind: str
    models: tuple[ModelFacts, ...]
    bundle: BundleFacts | None = None
    release: Mapping[str, str] | None = None
    mac: MacResult | None = None
    findings: tuple[str, ...] = ()

    def with_mac_result(self, result: MacResult) -> Inspection:
        """The same with what a Mac answered.

        Raises:
            RecipeError: this is no bundle, and such a result is of one.
            DigestMismatch: the result is of other bytes.
        """
        if self.bundle is None:
            raise RecipeError(
                f"{self.what} is no bundle, and a result of a Mac is of one.",
                remedy="Inspect the bundle that was run there.",
                field="mac_result",
            )
        result.hold(self.bundle.manifest, sha256=self.bundle.sha256, manifest_sha256=self.bundle.manifest_sha256)
        return replace(self, mac=result)

    @property
    def sound(self) -> bool:
        """Whether nothing was found to be wrong."""
        return not self.findings and not any(model.findings for model in self.models)

    def rows(self) -> Mapping[str, object]:
        rows = self._whole_rows()
        for model in self.models:
            called = f"{model.name}: " if self.bundle is not None or len(self.models) > 1 else ""
            rows |= {f"{called}{name}": value for name, value in model.rows().items()}
        if self.mac is not None:
            rows |= {name: value for name, value in self.mac.rows().items() if name != "bundle"}
        return rows

    def brief(self) -> str:
        wrong = "" if self.sound else ", with findings"
        if self.kind == "model":
            (model,) = self.models
            return f"{model.name} ({model.kind}, {size(model.length)}){wrong}"
        names = ", ".join(f"{model.name} ({model.kind})" for model in self.models)
        return f"{self.kind} {self.what}: {names or 'no model'}{wrong}"

    def blocks(self) -> Iterable[Block]:
        yield Badge(self.kind)
        yield Badge("sound" if self.sound else "something is wrong", self.sound)
        yield Facts(self._whole_rows())
        for model in self.models:
            yield from _model_blocks(model)
        if self.mac is not None:
            yield Facts(self.mac.rows())

    def to_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "kind": self.kind,
            "models": [model.to_dict() for model in self.models],
            "bundle": None if self.bundle is None else self.bundle.to_dict(),
            "release": None if self.release is None else dict(self.release),
            "mac_result": None if self.mac is None else self.mac.to_dict(),
            "findings": list(self.findings),
            "not_proven": [_NOT_SIGNED],
        }

    def _whole_rows(self) -> dict[str, object]:
        rows: dict[str, object] = {self.kind: self.what}
        if self.release is not None:
            said = ", ".join(f"{name} {value}" for name, value in self.release.items())
            rows["says of itself"] = f"{said} (not verified: mlpublish verify)"
        if self.bundle is not None:
            manifest = self.bundle.manifest
            rows["bundle"] = f"{manifest.name} {manifest.version}, made by {manifest.created_by}"
            rows["bundle files"] = f"{len(manifest.files)}, {size(manifest.unpacked_length)} unpacked"
            rows["bundle sha256"] = self.bundle.sha256
            rows["manifest sha256"] = self.bundle.manifest_sha256
        for place, finding in enumerate(self.findings, 1):
            rows[f"{self.kind} finding {place}"] = finding
        return rows


def _model_blocks(model: ModelFacts) -> Iterable[Block]:
    known = {name for function in model.functions for name, _ in function.rows()}
    yield Facts({"model": model.name} | {name: value for name, value in model.rows().items() if name not in known})
    for function in model.functions[:MOST]:
        sides = (function.interface.inputs, function.interface.outputs, function.interface.states)
        rows = tuple(
            (side, each.name, told_of(each))
            for side, some in zip(("input", "output", "state"), sides, strict=True)
            for each in some[:MOST]
        )
        yield Table(f"Interface of {function.name}", ("", "name", "type"), rows)
    for stage in model.stages[:MOST]:
        counted = tuple((name, str(count)) for name, count in stage.counts.items())
        yield Folded(f"{stage.kind} {stage.name}".strip(), (Table("", ("operation", "how many"), counted),))
    yield Sentences("What is wrong", model.findings[:MOST])
