"""What is told about a model beside its bytes: its interface, where it came from, and that it answers as its source does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mlpublish.formats.wire import Reader, decimal


def _frozen() -> Mapping[str, str]:
    return MappingProxyType({})


def feature_name(column: str) -> str:
    """A frame's column as a Core ML feature: letters, digits and ``_``, as Xcode's generated code and MIL want them."""
    return re.sub(r"^(?=[0-9])", "_", re.sub(r"[^A-Za-z0-9_]+", "_", column).strip("_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One input or output.

    Args:
        kind: Core ML's feature type: ``multiArray``, ``image``, ``int64``, ``double``, ``string`` or ``dictionary``.
        shape: its dimensions; empty for scalars and dictionaries.
        dtype: the element's type; for a dictionary the key's type.
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    dtype: str = "float32"

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "shape": list(self.shape), "dtype": self.dtype}

    @classmethod
    def from_reader(cls, reader: Reader) -> Feature:
        return cls(
            name=reader.text("name"),
            kind=reader.text("kind"),
            shape=reader.whole_numbers("shape"),
            dtype=reader.text("dtype"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A model's inputs and outputs, in the order of its specification."""

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"inputs": [each.to_dict() for each in self.inputs], "outputs": [each.to_dict() for each in self.outputs]}

    @classmethod
    def from_reader(cls, reader: Reader) -> Interface:
        return cls(
            inputs=tuple(Feature.from_reader(each) for each in reader.each("inputs")),
            outputs=tuple(Feature.from_reader(each) for each in reader.each("outputs")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowLineage:
    """Where in MLflow a model came from.

    Args:
        registered_model: its name in the registry, if it is registered.
        version: its registered version, as text.
        model_id: the LoggedModel.
        run_id: the run that made it.
        git_commit: the source's commit, as MLflow noted it.
        metrics: name -> decimal string.
        params: name -> value.
        datasets: name -> digest, of the data that the run noted.
    """

    registered_model: str | None = None
    version: str | None = None
    model_id: str | None = None
    run_id: str | None = None
    git_commit: str | None = None
    metrics: Mapping[str, str] = field(default_factory=_frozen)
    params: Mapping[str, str] = field(default_factory=_frozen)
    datasets: Mapping[str, str] = field(default_factory=_frozen)

    def to_dict(self) -> dict[str, Any]:
        return {
            "registered_model": self.registered_model,
            "version": self.version,
            "model_id": self.model_id,
            "run_id": self.run_id,
            "git_commit": self.git_commit,
            "metrics": dict(self.metrics),
            "params": dict(self.params),
            "datasets": dict(self.datasets),
        }

    @classmethod
    def from_reader(cls, reader: Reader) -> MlflowLineage:
        return cls(
            registered_model=reader.optional("registered_model", reader.text),
            version=reader.optional("version", reader.text),
            model_id=reader.optional("model_id", reader.text),
            run_id=reader.optional("run_id", reader.text),
            git_commit=reader.optional("git_commit", reader.text),
            metrics=MappingProxyType(reader.text_map("metrics")),
            params=MappingProxyType(reader.text_map("params")),
            datasets=MappingProxyType(reader.text_map("datasets")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who made a model, with what.

    Args:
        framework: ``scikit-learn``, ``torch``, ``coreml``, …
        framework_version: of the library that held the source model.
        source: the source's class or, for a Core ML file, its type.
        converters: library -> version that wrote the Core ML file.
        mlflow: the lineage, for a model from MLflow.
    """

    framework: str
    framework_version: str
    source: str
    converters: Mapping[str, str] = field(default_factory=_frozen)
    mlflow: MlflowLineage | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "framework": self.framework,
            "framework_version": self.framework_version,
            "source": self.source,
            "converters": dict(self.converters),
            "mlflow": None if self.mlflow is None else self.mlflow.to_dict(),
        }

    @classmethod
    def from_reader(cls, reader: Reader) -> Provenance:
        return cls(
            framework=reader.text("framework"),
            framework_version=reader.text("framework_version"),
            source=reader.text("source"),
            converters=MappingProxyType(reader.text_map("converters")),
            mlflow=reader.optional("mlflow", lambda name: MlflowLineage.from_reader(reader.inner(name))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a converted model's answers may stand from the source's.

    Args:
        rel: the largest ``max_rel_diff`` that passes.
        labels: the smallest share of samples, 0 to 1, that must get the same label.
    """

    rel: float
    labels: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return {"rel": decimal(self.rel), "labels": decimal(self.labels)}

    @classmethod
    def from_reader(cls, reader: Reader) -> Tolerance:
        return cls(rel=reader.decimal("rel"), labels=reader.decimal("labels"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """That the saved Core ML file was run, and how its answers compare with the source model's.

    Args:
        samples: how many rows were compared.
        max_abs_diff: the largest absolute difference of any output.
        max_rel_diff: per output over all samples max|got − want| / max|want|, the largest of the outputs.
        label_agreement: share of samples with the same label, or None where the model gives none.
        tolerance: what was allowed.
        executor: what ran the Core ML side: ``mlpublish evaluator <v>`` or ``coremltools <v> on macOS <v>``.
        twin: for a float16 model, the same comparison for its float32 twin.
    """

    samples: int
    max_abs_diff: float
    max_rel_diff: float
    label_agreement: float | None
    tolerance: Tolerance
    executor: str
    twin: ParityReport | None = None

    @property
    def passed(self) -> bool:
        """Whether this report and its twin's are within what was allowed (a NaN is not)."""
        labels = self.label_agreement is None or self.label_agreement >= self.tolerance.labels
        return self.max_rel_diff <= self.tolerance.rel and labels and (self.twin is None or self.twin.passed)

    def to_dict(self) -> dict[str, Any]:
        return {
            "samples": self.samples,
            "max_abs_diff": decimal(self.max_abs_diff),
            "max_rel_diff": decimal(self.max_rel_diff),
            "label_agreement": None if self.label_agreement is None else decimal(self.label_agreement),
            "tolerance": self.tolerance.to_dict(),
            "executor": self.executor,
            "twin": None if self.twin is None else self.twin.to_dict(),
        }

    @classmethod
    def from_reader(cls, reader: Reader) -> ParityReport:
        return cls(
            samples=reader.whole_number("samples", least=1),
            max_abs_diff=reader.decimal("max_abs_diff"),
            max_rel_diff=reader.decimal("max_rel_diff"),
            label_agreement=reader.optional("label_agreement", reader.decimal),
            tolerance=Tolerance.from_reader(reader.inner("tolerance")),
            executor=reader.text("executor"),
            twin=reader.optional("twin", lambda name: ParityReport.from_reader(reader.inner(name))),
        )
