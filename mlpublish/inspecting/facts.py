"""What is told of one model, and of what came with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mlpublish.formats.evidence import Provenance
from mlpublish.formats.interface import Feature, Interface
from mlpublish.formats.manifest import FileEntry, digest_of_files
from mlpublish.formats.minimum_os import minimum_os
from mlpublish.formats.parity import ParityReport, parity_rows
from mlpublish.inspecting.contents import Numbers, Stage
from mlpublish.shown import size

SYSTEMS = {"ios": "iOS", "macos": "macOS", "watchos": "watchOS", "tvos": "tvOS", "visionos": "visionOS"}
ON_A_PHONE = "That phones compile a downloaded .mlpackage is said by third parties and not verified by us."
_LABELS = 5  # shown of many
MOST = 200
"""Lines of one kind that are shown of many; all of them are in --json."""

_FILES = 8  # shown of many; all of them are in --json


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a bundle, or the record beside a converted model, says of a model.

    Args:
        golden: how many golden samples it carries; None for none.
    """

    parity: ParityReport | None
    provenance: Provenance
    golden: int | None

    def rows(self) -> Mapping[str, object]:
        source = self.provenance
        lineage = source.mlflow
        registered = None if lineage is None else f"{lineage.registered_model or 'a run'} {lineage.version or ''}".strip()
        return {
            "source": f"{source.source} of {source.framework} {source.framework_version}",
            "MLflow": registered,
            **parity_rows(self.parity),
            "golden data": "none" if self.golden is None else f"{self.golden} samples",
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "parity": None if self.parity is None else self.parity.to_dict(),
            "provenance": self.provenance.to_dict(),
            "golden_samples": self.golden,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of a model: what it takes, gives and remembers; its labels if it is a classifier."""

    name: str
    interface: Interface
    labels: tuple[int | str, ...] = ()

    def rows(self) -> Iterator[tuple[str, object]]:
        sides = (("input", self.interface.inputs), ("output", self.interface.outputs), ("state", self.interface.states))
        for side, features in sides:
            yield from ((f"{side} {each.name}", told_of(each)) for each in features[:MOST])
            yield from left_out(f"{side}s", len(features)).items()
        if self.labels:
            first = ", ".join(str(each) for each in self.labels[:_LABELS])
            more = ", …" if len(self.labels) > _LABELS else ""
            yield "class labels", f"{len(self.labels)}: {first}{more}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **self.interface.to_dict(),
            "class_labels": len(self.labels),
            "first_labels": list(self.labels[:_LABELS]),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model.

    Args:
        name: its file or package.
        function: the name of the function that is called by default.
        functions: what can be told of each.
        stages: a pipeline's models, a program's functions, or the one model that it is.
        unsupported: what our evaluator does not run; None where that cannot be told.
        metadata: author, license, version, description, and what somebody added.
        made_by: what coremltools noted: its version, the source, the day.
        files: every file, by its place in the package.
        evidence: what came with it; None for a bare file.
        findings: what is wrong with it, in sentences.
    """

    name: str
    kind: str
    specification_version: int
    precision: str
    function: str
    functions: tuple[Function, ...]
    stages: tuple[Stage, ...]
    numbers: Numbers
    unsupported: tuple[str, ...] | None
    metadata: Mapping[str, str]
    made_by: Mapping[str, str]
    files: tuple[FileEntry, ...]
    evidence: Evidence | None = None
    findings: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """One sha256 of all its files: ``digest_of_files``."""
        return digest_of_files(self.files)

    @property
    def length(self) -> int:
        """Bytes of all its files."""
        return sum(entry.length for entry in self.files)

    @property
    def systems(self) -> dict[str, str]:
        """Platform -> the lowest version of its system that loads the model."""
        return {platform: minimum_os(self.specification_version, platform) for platform in SYSTEMS}

    def rows(self) -> dict[str, object]:
        rows: dict[str, object] = {
            "kind": f"{self.kind}, specification {self.specification_version}, {self.precision}",
            "minimum OS": ", ".join(f"{SYSTEMS[name]} {version}" for name, version in self.systems.items()),
        }
        for function in self.functions[:MOST]:
            called = f"{function.name}: " if len(self.functions) > 1 else ""
            rows |= {f"{called}{name}": value for name, value in function.rows()}
        if len(self.functions) > 1:
            rows["default function"] = self.function
        rows |= left_out("functions", len(self.functions))
        for place, stage in enumerate(self.stages[:MOST], 1):
            rows[self._stage_name(place, stage)] = stage.told
        rows |= left_out("contents", len(self.stages))
        return rows | self._number_rows() | self._origin_rows() | self._file_rows()

    def _stage_name(self, place: int, stage: Stage) -> str:
        if len(self.stages) == 1:
            return "contents"
        return f"contents {place} {stage.name} {stage.kind}".replace("  ", " ")

    def _number_rows(self) -> dict[str, object]:
        numbers, bits = self.numbers, self.numbers.bits_per_parameter
        rows: dict[str, object] = {
            "not evaluated": "cannot be told" if self.unsupported is None else ", ".join(self.unsupported) or "nothing",
            "size": f"{size(self.length)} in {len(self.files)} file{'s' if len(self.files) > 1 else ''}",
        }
        if numbers.parameters:
            told = f"{numbers.parameters:,} in {size(numbers.stored)}"
            rows["parameters"] = told if bits is None else f"{told}, {bits:.3g} bits each"
        rows["stored as"] = ", ".join(f"{dtype} {size(length)}" for dtype, length in numbers.by_dtype.items()) or None
        if numbers.parameters:
            parts = (f"{each.kind}: {each.tensors} tensor{'' if each.tensors == 1 else 's'}" for each in numbers.compressed)
            share = f" ({numbers.compressed_share:.1%} of the parameters)"
            rows["compression"] = f"{', '.join(parts)}{share}" if numbers.compressed else "none"
        return rows

    def _origin_rows(self) -> dict[str, object]:
        rows: dict[str, object] = dict(islice(self.metadata.items(), MOST))
        rows |= left_out("metadata", len(self.metadata))
        rows["made by"] = ", ".join(f"{name} {value}" for name, value in self.made_by.items()) or None
        if self.evidence is not None:
            rows |= self.evidence.rows()
        return rows

    def _file_rows(self) -> dict[str, object]:
        rows: dict[str, object] = {"sha256": self.digest}
        for entry in islice(self.files, _FILES):
            rows[f"file {entry.path}"] = f"{entry.sha256}  {size(entry.length)}"
        if len(self.files) > _FILES:
            rows["more files"] = f"{len(self.files) - _FILES}; --json has them all"
        for place, finding in enumerate(self.findings[:MOST], 1):
            rows[f"finding {place}"] = finding
        rows |= left_out("findings", len(self.findings))
        rows["on a phone"] = ON_A_PHONE if self.is_package else None
        return rows

    @property
    def is_package(self) -> bool:
        return any(entry.path.suffix == ".mlmodel" and len(entry.path.parts) > 1 for entry in self.files)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "specification_version": self.specification_version,
            "minimum_os": self.systems,
            "precision": self.precision,
            "function": self.function,
            "functions": [each.to_dict() for each in self.functions],
            "stages": [each.to_dict() for each in self.stages],
            "numbers": self.numbers.to_dict(),
            "unsupported": None if self.unsupported is None else list(self.unsupported),
            "metadata": dict(self.metadata),
            "made_by": dict(self.made_by),
            "length": self.length,
            "sha256": self.digest,
            "files": [entry.to_dict() for entry in self.files],
            "evidence": None if self.evidence is None else self.evidence.to_dict(),
            "findings": list(self.findings),
            "not_proven": [ON_A_PHONE] if self.is_package else [],
        }


def left_out(kind: str, count: int) -> dict[str, object]:
    """The line that stands for what is beyond ``MOST`` of a kind; none where nothing is."""
    return {f"more {kind}": f"and {count - MOST:,} more; --json has them all"} if count > MOST else {}


def told_of(feature: Feature) -> str:
    """A feature in words."""
    match feature.kind:
        case "image":
            told = f"image {feature.color_space}, (height, width) = {feature.shapes_told}"
        case "dictionary":
            told = f"dictionary of {feature.dtype} to double"
        case "sequence":
            told = f"sequence of {feature.dtype}"
        case "multiArray" | "state":
            told = f"{feature.kind} {feature.dtype} {feature.shapes_told if feature.shape else 'of a shape that is not said'}"
        case _:
            told = feature.kind
    if feature.flexible is not None and feature.shape:
        told += f", by default {feature.shape}"
    if feature.optional:
        told += ", optional" if feature.default is None else f", optional (else {feature.default:g})"
    return told
