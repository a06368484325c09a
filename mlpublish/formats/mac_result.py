"""What ``mlpublish compare-on-mac`` writes: how the models of one bundle answer in Apple's runtime, and in our evaluator.

The document is bound to the bytes that were run: the bundle's sha256, its manifest's, and each model's. It is not signed: it
says what a Mac answered, by the word of whoever hands it over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlpublish.errors import DigestMismatch, NotFound
from mlpublish.formats.manifest import Manifest, digest_of_files
from mlpublish.formats.wire import MAX_DOCUMENT, Reader, decimal, dump
from mlpublish.shown import Shown, plain

MAC_RESULT_FORMAT = 1
GOLDEN = "golden data"
OURS = ("mlpublish device", "mlpublish exact")
APPLES = ("apple CPU_ONLY", "apple ALL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How far two sides stand apart in one output, over all golden samples.

    Args:
        left, right: ``golden data``, one of ``OURS`` or of ``APPLES``; ``left`` is what is wanted.
        max_abs: the largest absolute difference; None for labels, and where ``problem`` says why.
        max_rel: max|right − left| / max|left|.
        labels: share of samples with the same label or choice; None where the output has none.
        problem: why there is no number, such as answers that are not finite; empty where there is one.
    """

    output: str
    left: str
    right: str
    max_abs: float | None = None
    max_rel: float | None = None
    labels: float | None = None
    problem: str = ""

    @property
    def told(self) -> str:
        """The numbers, in words."""
        if self.problem:
            return f"{self.output}: {self.problem}"
        parts = [] if self.max_abs is None else [f"largest difference {self.max_abs:.1e}"]
        parts += [] if self.max_rel is None else [f"relative {self.max_rel:.1e}"]
        parts += [] if self.labels is None else [f"labels agree on {self.labels:.2%}"]
        return f"{self.output}: {', '.join(parts)}"

    def to_dict(self) -> dict[str, Any]:
        numbers = {"max_abs": self.max_abs, "max_rel": self.max_rel, "labels": self.labels}
        return {
            "output": self.output,
            "left": self.left,
            "right": self.right,
            **{name: None if value is None else decimal(value) for name, value in numbers.items()},
            "problem": self.problem,
        }

    @classmethod
    def from_reader(cls, reader: Reader) -> Compared:
        return cls(
            output=reader.text("output"),
            left=reader.text("left"),
            right=reader.text("right"),
            max_abs=reader.optional("max_abs", reader.decimal),
            max_rel=reader.optional("max_rel", reader.decimal),
            labels=reader.optional("labels", reader.decimal),
            problem=reader.text("problem"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOnMac:
    """One model of the bundle.

    Args:
        digest: ``digest_of_files`` of its files.
        samples: how many golden samples it was asked; 0 where it carries none.
        failed: executor -> why it could not be run with it.
    """

    name: str
    digest: str
    samples: int
    compared: tuple[Compared, ...] = ()
    failed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "digest": self.digest,
            "samples": self.samples,
            "compared": [each.to_dict() for each in self.compared],
            "failed": dict(self.failed),
        }

    @classmethod
    def from_reader(cls, reader: Reader) -> ModelOnMac:
        return cls(
            name=reader.text("name"),
            digest=reader.digest("digest"),
            samples=reader.whole_number("samples"),
            compared=tuple(Compared.from_reader(each) for each in reader.each("compared")),
            failed=MappingProxyType(reader.text_map("failed")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mac:
    """Where it ran: versions, and the hardware as macOS names it (``Mac15,3``)."""

    macos: str
    hardware: str
    coremltools: str
    mlpublish: str

    def __str__(self) -> str:
        return f"macOS {self.macos} on {self.hardware}, coremltools {self.coremltools}, mlpublish {self.mlpublish}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "macos": self.macos,
            "hardware": self.hardware,
            "coremltools": self.coremltools,
            "mlpublish": self.mlpublish,
        }

    @classmethod
    def from_reader(cls, reader: Reader) -> Mac:
        return cls(
            macos=reader.text("macos"),
            hardware=reader.text("hardware"),
            coremltools=reader.text("coremltools"),
            mlpublish=reader.text("mlpublish"),
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MacResult(Shown):
    """How a bundle's models answer their golden inputs on one Mac.

    Args:
        bundle_sha256: the zip's.
        manifest_sha256: of its manifest, which names every file: what an unpacked bundle is known by.
        at: when, UTC, as ``2026-12-01T14:00:00Z``.
    """

    bundle_name: str
    bundle_version: str
    bundle_sha256: str
    manifest_sha256: str
    mac: Mac
    at: str
    models: tuple[ModelOnMac, ...]

    def hold(self, manifest: Manifest, *, sha256: str | None = None, manifest_sha256: str | None = None) -> None:
        """See that it speaks of these very bytes.

        Args:
            manifest: the bundle's.
            sha256: the zip's; None where there is only what was unpacked of it.
            manifest_sha256: of the manifest's bytes, where they are at hand.

        Raises:
            DigestMismatch: it is of another bundle, or of other models.
        """
        if sha256 not in (None, self.bundle_sha256):
            raise _of_others("bundle", self.bundle_sha256, str(sha256))
        if manifest_sha256 not in (None, self.manifest_sha256):
            raise _of_others("manifest", self.manifest_sha256, str(manifest_sha256))
        digests = {each.name: digest_of_files(manifest.files_of(each)) for each in manifest.models}
        for model in self.models:
            if digests.get(model.name) != model.digest:
                raise _of_others(f"model {model.name}", model.digest, digests.get(model.name, "none"))

    def rows(self) -> Mapping[str, object]:
        shown: dict[str, object] = {
            "on a Mac": f"{self.mac}, at {self.at} (not signed: by the word of whoever wrote it)",
            "bundle": f"{self.bundle_name} {self.bundle_version}, sha256 {self.bundle_sha256}",
        }
        return shown | self.model_rows()

    def model_rows(self) -> dict[str, object]:
        """Model by model, what was compared and what failed."""
        shown: dict[str, object] = {}
        for model in self.models:
            if not model.samples:
                shown[f"{model.name}: on a Mac"] = "not run: it carries no golden data"
            for executor, why in model.failed.items():
                shown[f"{model.name}: {executor}"] = f"failed: {why}"
            pairs = dict.fromkeys((each.left, each.right) for each in model.compared)
            for left, right in pairs:
                told = (each.told for each in model.compared if (each.left, each.right) == (left, right))
                shown[f"{model.name}: {right} against {left}"] = "; ".join(told)
        return {plain(name): value for name, value in shown.items()}

    def brief(self) -> str:
        return f"{self.bundle_name} {self.bundle_version}, {len(self.models)} models on macOS {self.mac.macos}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": MAC_RESULT_FORMAT,
            "bundle": {
                "name": self.bundle_name,
                "version": self.bundle_version,
                "sha256": self.bundle_sha256,
                "manifest_sha256": self.manifest_sha256,
            },
            "mac": self.mac.to_dict(),
            "at": self.at,
            "models": [each.to_dict() for each in self.models],
        }

    def to_bytes(self) -> bytes:
        return dump(self.to_dict())

    @classmethod
    def from_bytes(cls, data: bytes, what: str = "result.json") -> MacResult:
        reader = Reader.parse(data, what=what)
        reader.version("format", known=MAC_RESULT_FORMAT)
        bundle = reader.inner("bundle")
        return cls(
            bundle_name=bundle.text("name"),
            bundle_version=bundle.text("version"),
            bundle_sha256=bundle.digest("sha256"),
            manifest_sha256=bundle.digest("manifest_sha256"),
            mac=Mac.from_reader(reader.inner("mac")),
            at=reader.text("at"),
            models=tuple(ModelOnMac.from_reader(each) for each in reader.each("models")),
        )

    @classmethod
    def read(cls, file: Path) -> MacResult:
        """Read what ``compare-on-mac`` wrote.

        Raises:
            NotFound: it cannot be read.
            FormatError: it is no such document.
        """
        try:
            with file.open("rb") as stream:
                data = stream.read(MAX_DOCUMENT + 1)
        except OSError as exc:
            raise NotFound(
                f"{file} cannot be read: {exc.strerror}.",
                remedy="Name the file that mlpublish compare-on-mac wrote.",
                field="mac_result",
            ) from exc
        return cls.from_bytes(data, what=file.name)


def _of_others(what: str, of: str, found: str) -> DigestMismatch:
    return DigestMismatch(
        f"The result is of another {what} (sha256 {of[:12]}…, here {found[:12]}…).",
        remedy="Run mlpublish compare-on-mac with this bundle on a Mac.",
        field="mac_result",
    )
