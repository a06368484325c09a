"""convert: a trained model becomes a Core ML file that is proven to answer as the model does."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mlpublish.addresses import without_credentials
from mlpublish.artifacts import ConvertedModel
from mlpublish.converting.from_coreml import Taking, check_asked
from mlpublish.converting.from_file import opened_file
from mlpublish.converting.from_mlflow import MLFLOW_SCHEMES, opened_uri
from mlpublish.converting.parity import EXACT, gate, measure, tolerance_for
from mlpublish.converting.source import Origin, Precision, Source, source_for
from mlpublish.coreml import golden
from mlpublish.coreml.compare import Answers
from mlpublish.coreml.package import SUFFIXES, describe, files_of, normalise
from mlpublish.errors import ConversionError, RecipeError, StorageError
from mlpublish.formats.evidence import MlflowLineage, ParityReport, Tolerance
from mlpublish.formats.manifest import MODEL_NAME, FileEntry
from mlpublish.plugins import scheme_of
from mlpublish.reporting.progress import Progress, shown

TARGETS = ("iOS15", "iOS16", "iOS17", "iOS18", "iOS26")
PRECISIONS = ("auto", "float16", "float32")


def convert(
    model: object,
    *,
    name: str | None = None,
    samples: object | None = None,
    target: str = "iOS16",
    precision: str = "auto",
    tolerance: Tolerance | float | None = None,
    out: Path | str | None = None,
    progress: Progress = True,
    trust_pickle: bool = False,
) -> ConvertedModel:
    """Write a model as Core ML, run the saved file on samples, and let it through only if it answers as the model does.

    Args:
        model: a fitted model, an MLflow URI (``models:/digits@champion``, ``runs:/<id>/model``), or a file: ``.skops``,
            XGBoost's ``.json`` and ``.ubj``, LightGBM's ``.txt``, a pickle (``.pkl``, ``.pickle``, ``.joblib``). A model that
            was logged as Core ML is taken as it was converted: its digests are checked and its golden rows asked again.
        name: the file's stem and the model's name in a bundle; by default the registered model's, else the stem of the file
            that it came from, else the class in lower case.
        samples: rows to compare on, the first axis is the row (an array, a list, a DataFrame, a tensor); by default the
            MLflow model's ``input_example``.
        target: the lowest system that must load the file, for ML Programs; classic models load on every one.
        precision: ``auto`` (float16 for networks, float32 for everything else), ``float16`` or ``float32``.
        tolerance: a Tolerance, or the largest relative difference; by default 1e-4, for float16 files 2e-2 with 99 % of
            the labels.
        out: the folder to write into, made if absent; by default a new one, named like the model, under the current one.
        progress: False for silence, or a function that is told each phase.
        trust_pickle: allow loading a model, from MLflow or a file, even if that runs code which its author chose.

    Returns:
        The model on disk with its evidence; ``ConvertedModel.read`` takes its record.

    Raises:
        ConversionError: the model or its samples cannot be used.
        ParityError: the file does not answer as the model does. Nothing is left behind then, nor after any other error.
        NotFound: nothing is at the URI, or there is no such file.
        RecipeError: a setting is none.
        StorageError: ``out`` cannot be written.
    """
    _check_settings(name, target, precision)
    with shown(progress, steps=4) as tell:
        tell("Opening the model")
        with _origin(model, trust_pickle=trust_pickle) as origin:
            work = _work(origin, name, samples, target, precision, tolerance, tell)
            destination = _destination(out, work.name)
            with _staging(destination) as staging:
                return _hand_over(work.done(staging, origin.lineage), destination)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One conversion, with everything decided."""

    source: Source
    samples: object
    name: str
    target: str
    precision: Precision
    tolerance: Tolerance
    tell: Callable[[str], None]

    def done(self, folder: Path, lineage: MlflowLineage | None) -> ConvertedModel:
        """Write the model, its evidence and its record into a folder."""
        inputs, expected = self.source.inputs(self.samples), self.source.answers(self.samples)
        twin = self._twin(folder, inputs, expected) if self.precision == "float16" else None
        path = self._written(folder, self.precision)
        self.tell(f"Running the saved file on {len(next(iter(inputs.values())))} samples")
        report = gate(measure(path, samples=inputs, expected=expected, tolerance=self.tolerance, twin=twin))
        kept = folder / f"{self.name}.golden"
        held = golden.write(kept, inputs, expected) is not None
        described = describe(path)
        return ConvertedModel(
            path=path,
            name=self.name,
            kind=described.kind,
            specification_version=described.specification_version,
            precision=described.precision,
            interface=described.interface,
            provenance=replace(self.source.provenance, mlflow=lineage),
            parity=report,
            files=files_of(path),
            golden=kept if held else None,
            evidence=tuple(FileEntry.of(PurePosixPath(each.name), each) for each in sorted(kept.iterdir())) if held else (),
        ).write()

    def _written(self, folder: Path, precision: Precision) -> Path:
        self.tell(f"Converting to {precision}")
        path = self.source.write(folder, self.name, samples=self.samples, precision=precision, target=self.target)
        normalise(path)
        return path

    def _twin(self, folder: Path, inputs: Mapping[str, NDArray[np.generic]], expected: Answers) -> ParityReport:
        """The same model in float32: what remains of its difference is the conversion's, not the precision's."""
        with TemporaryDirectory(dir=folder) as aside:
            path = self._written(Path(aside), "float32")
            return measure(path, samples=inputs, expected=expected, tolerance=EXACT)


def _work(
    origin: Origin,
    name: str | None,
    samples: object | None,
    target: str,
    precision: str,
    tolerance: Tolerance | float | None,
    tell: Callable[[str], None],
) -> _Work | Taking:
    if isinstance(origin.model, ConvertedModel):
        check_asked(origin.model, samples=samples, precision=precision)
        allowed = None if tolerance is None else tolerance_for(origin.model.precision, tolerance)
        return Taking(model=origin.model, name=name or origin.model.name, tolerance=allowed, tell=tell)
    source = source_for(origin.model)
    asked = source.precision if precision == "auto" else "float16" if precision == "float16" else "float32"
    return _Work(
        source=source,
        samples=_samples(samples, origin),
        name=_name(name, origin),
        target=target,
        precision=asked,
        tolerance=tolerance_for(asked, tolerance),
        tell=tell,
    )


def _check_settings(name: str | None, target: str, precision: str) -> None:
    for field, value, known in (("target", target, TARGETS), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise RecipeError(f"{value!r} is not a {field}.", remedy=f"Use one of: {', '.join(known)}.", field=field)
    if name is not None and re.fullmatch(MODEL_NAME, name) is None:
        raise RecipeError(
            f"{name!r} is not a model's name.",
            remedy="Use letters, digits, '-' and '_', at most 64, beginning with a letter or digit.",
            field="name",
        )


@contextmanager
def _origin(model: object, *, trust_pickle: bool) -> Iterator[Origin]:
    """What a MODEL argument stands for."""
    if isinstance(model, str) and scheme_of(model) in MLFLOW_SCHEMES:
        with opened_uri(model, trust_pickle=trust_pickle) as origin:
            yield origin
        return
    if isinstance(model, str) and "://" in model:
        raise ConversionError(
            f"{without_credentials(model)} cannot be converted: it is neither a file nor an MLflow URI.",
            remedy="Download it and name the file, or give an MLflow URI (models:/name@alias).",
            field="model",
        )
    if isinstance(model, str | Path):
        yield opened_file(Path(model), trust_pickle=trust_pickle)
    else:
        yield Origin(model=model)


def _samples(samples: object | None, origin: Origin) -> object:
    rows = origin.samples if samples is None else samples
    if rows is None:
        raise ConversionError(
            "There are no samples to prove the file on.",
            remedy="Pass samples= (rows as the model takes them), or log the MLflow model with input_example=.",
            field="samples",
        )
    return rows


def _name(name: str | None, origin: Origin) -> str:
    wanted = name or origin.name or type(origin.model).__name__.lower()
    return re.sub(r"[^A-Za-z0-9_-]", "-", wanted).lstrip("-_")[:64] or "model"


def _destination(out: Path | str | None, name: str) -> Path:
    if out is None:
        candidates = (Path.cwd() / (name if number == 1 else f"{name}-{number}") for number in range(1, 10_000))
        return next(folder for folder in candidates if not folder.exists())
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise RecipeError(f"{folder} is a file.", remedy="Name a folder.", field="out")
    return folder


@contextmanager
def _staging(destination: Path) -> Iterator[Path]:
    """A folder on the destination's own disk, gone when the block ends; so an error leaves nothing behind."""
    nearest = next(folder for folder in (destination, *destination.absolute().parents) if folder.is_dir())
    try:
        with TemporaryDirectory(prefix=".mlpublish-", dir=nearest) as staging:
            yield Path(staging)
    except OSError as exc:
        raise StorageError(
            f"{destination} cannot be written: {exc.strerror or exc}.", remedy="Name another folder.", field="out"
        ) from exc


def _hand_over(converted: ConvertedModel, destination: Path) -> ConvertedModel:
    """Move what was staged into the destination; what stood there under the same names is replaced, the rest stays."""
    destination.mkdir(parents=True, exist_ok=True)
    for suffix in SUFFIXES:
        _remove(destination / f"{converted.name}{suffix}")
    for staged in sorted(converted.path.parent.iterdir()):
        _remove(destination / staged.name)
        staged.rename(destination / staged.name)
    kept = None if converted.golden is None else destination / converted.golden.name
    return replace(converted, path=destination / converted.path.name, golden=kept)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
