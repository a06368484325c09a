"""What a notebook shows of a manifest's parts: a model's interface, a bundle's models and files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlpublish.formats.evidence import Feature, Interface, MlflowLineage
from mlpublish.formats.manifest import FileEntry, Manifest, ModelEntry
from mlpublish.formats.parity import ParityReport
from mlpublish.shown import Block, Folded, Table, size

_OPEN = 8  # files; more are folded away


def interface_table(interface: Interface) -> Table:
    """Every input and output, in the order of the specification."""
    rows = [("input", each) for each in interface.inputs] + [("output", each) for each in interface.outputs]
    return Table("Interface", ("", "name", "kind", "shape", "dtype"), tuple((way, *_feature(each)) for way, each in rows))


def models_table(models: Sequence[ModelEntry]) -> Table:
    """Every model, what it takes and gives, and how it was proven."""
    return Table(
        "Models",
        ("model", "kind", "precision", "inputs", "outputs", "parity"),
        tuple(
            (
                each.name,
                each.kind,
                each.precision,
                ", ".join(feature.name for feature in each.interface.inputs),
                ", ".join(feature.name for feature in each.interface.outputs),
                _parity(each.parity),
            )
            for each in models
        ),
    )


def files_blocks(files: Sequence[FileEntry]) -> Iterator[Block]:
    """Every file with its size; many are folded away."""
    rows = tuple((str(each.path), size(each.length), f"{each.sha256[:12]}…") for each in files)
    title = f"Files ({len(files)})"
    if len(files) <= _OPEN:
        yield Table(title, ("file", "size", "sha256"), rows)
    else:
        yield Folded(title, (Table("", ("file", "size", "sha256"), rows),))


def contents_blocks(manifest: Manifest) -> Iterator[Block]:
    """The models, then the files."""
    yield models_table(manifest.models)
    yield from files_blocks(manifest.files)


def lineage_rows(lineage: MlflowLineage | None) -> dict[str, object]:
    """Where in MLflow a model came from; nothing, where it came from elsewhere."""
    if lineage is None:
        return {}
    registered = None if lineage.registered_model is None else f"{lineage.registered_model} {lineage.version or ''}".strip()
    metrics = ", ".join(f"{name} {value}" for name, value in lineage.metrics.items())
    return {
        "registered model": registered,
        "run": lineage.run_id,
        "git commit": lineage.git_commit,
        "metrics": metrics or None,
    }


def _feature(feature: Feature) -> tuple[str, str, str, str]:
    return feature.name, feature.kind, str(feature.shape) if feature.shape else "", feature.dtype


def _parity(parity: ParityReport | None) -> str:
    if parity is None:
        return "not measured"
    labels = "" if parity.label_agreement is None else f", labels {parity.label_agreement:.2%}"
    return f"{'passed' if parity.passed else 'FAILED'}: {parity.max_rel_diff:.1e} (allowed {parity.tolerance.rel:.0e}){labels}"
