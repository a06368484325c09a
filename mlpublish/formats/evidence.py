"""What is told about a model beside its bytes: its interface, where it came from, and that it answers alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mlpublish.formats.interface import Feature as Feature
from mlpublish.formats.interface import Flexible as Flexible
from mlpublish.formats.interface import Interface as Interface
from mlpublish.formats.interface import feature_name as feature_name
from mlpublish.formats.parity import ParityReport as ParityReport
from mlpublish.formats.parity import Tolerance as Tolerance
from mlpublish.formats.wire import Reader


def _frozen() -> Mapping[str, str]:
    return MappingProxyType({})


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
        datasets: name -> digest, of the data that the run, or a metric of the model, noted.
        flavor: the MLflow flavor that it was loaded with.
        mlflow_version: of the MLflow that logged it.
        left_out: how many ``params``, ``metrics`` or ``datasets`` MLflow has beyond the ones here: too many for a manifest, or
            like a credential.
    """

    registered_model: str | None = None
    version: str | None = None
    model_id: str | None = None
    run_id: str | None = None
    git_commit: str | None = None
    metrics: Mapping[str, str] = field(default_factory=_frozen)
    params: Mapping[str, str] = field(default_factory=_frozen)
    datasets: Mapping[str, str] = field(default_factory=_frozen)
    flavor: str | None = None
    mlflow_version: str | None = None
    left_out: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def to_dict(self) -> dict[str, Any]:
        """What is not known since manifests began is written only where it is known, so that older ones keep their bytes."""
        known = {"flavor": self.flavor, "mlflow_version": self.mlflow_version, "left_out": dict(self.left_out)}
        return {
            "registered_model": self.registered_model,
            "version": self.version,
            "model_id": self.model_id,
            "run_id": self.run_id,
            "git_commit": self.git_commit,
            "metrics": dict(self.metrics),
            "params": dict(self.params),
            "datasets": dict(self.datasets),
            **{name: value for name, value in known.items() if value},
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
            flavor=reader.optional("flavor", reader.text),
            mlflow_version=reader.optional("mlflow_version", reader.text),
            left_out=MappingProxyType(reader.optional("left_out", reader.number_map) or {}),
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
