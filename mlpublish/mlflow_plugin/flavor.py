"""The Core ML flavor: MLflow keeps a converted model whole, with its evidence, and predicts with it on any machine.

An MLflow model of this flavor holds the ConvertedModel as ``convert`` wrote it (``data/coreml``), so that it can be released
later without converting again. ``mlflow.pyfunc.load_model`` runs it with our evaluator, on macOS with Apple's runtime.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any

from mlpublish.artifacts import ConvertedModel
from mlpublish.coreml.converted import IN_MLFLOW, check_unchanged, copied, foreign, read_only
from mlpublish.coreml.package import SUFFIXES, models_in
from mlpublish.errors import ConversionError, RecipeError
from mlpublish.formats.wire import dump
from mlpublish.mlflow_plugin.runs import log_evidence, run_for

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.models import Model, ModelSignature
    from mlflow.models.model import ModelInfo

    from mlpublish.mlflow_plugin.predicting import CoreMLPredictor

FLAVOR_NAME = "coreml"
PARITY = "parity.json"

_REQUIRED = ("mlpublish", "coremltools", "numpy", "pandas")


def save_model(
    model: object,
    path: str | Path,
    *,
    mlflow_model: Model | None = None,
    signature: ModelSignature | None = None,
    input_example: object = None,
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    executor: str = "auto",
) -> None:
    """Write a model as an MLflow model of this flavor into a folder.

    Args:
        model: what ``convert()`` gave, the folder or record that it wrote, or a ``.mlmodel``, ``.mlpackage`` or coremltools
            MLModel, which then travels without evidence.
        path: the folder, which does not exist yet.
        mlflow_model: MLflow's Model to write into.
        signature: by default found by running the model on its example.
        input_example: rows as a caller gives them; by default the first golden ones, if they fit the signature.
        pip_requirements: by default this mlpublish, coremltools, numpy and pandas: MLflow's own inference takes seconds.
        extra_pip_requirements: others beside these.
        metadata: kept with the model.
        executor: what predicts: ``auto`` (Apple's runtime on macOS, else our evaluator), ``mlpublish`` or ``apple``;
            ``mlflow.pyfunc.load_model(…, model_config={"executor": …})`` overrides it.

    Raises:
        ConversionError, FormatError: it is no Core ML model, the example does not fit, or the model changed since it was
            converted.
        RecipeError: the folder is in use, the executor is none, or a file of requirements is not there.
    """
    import mlflow.models
    import mlflow.pyfunc

    from mlpublish.mlflow_plugin.predicting import EXECUTORS, one_of
    from mlpublish.mlflow_plugin.signatures import described_by

    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecipeError(f"{folder} is not empty.", remedy="Name a folder that does not exist yet.", field="path")
    one_of(EXECUTORS, "executor", executor)
    with _taken(model, "model") as converted, TemporaryDirectory(prefix="mlpublish-") as aside:
        kept = Path(aside, IN_MLFLOW.name)
        kept.mkdir()
        copied(converted, kept)
        found, example = described_by(converted, signature, input_example)
        described = mlflow.models.Model() if mlflow_model is None else mlflow_model
        described.add_flavor(FLAVOR_NAME, **_settings(converted))
        mlflow.pyfunc.save_model(
            path=str(folder),
            loader_module=__name__,
            data_path=str(kept),
            mlflow_model=described,
            signature=found,
            input_example=example,
            pip_requirements=_requirements(pip_requirements, extra_pip_requirements),
            extra_pip_requirements=None if pip_requirements is None else extra_pip_requirements,
            metadata=None if metadata is None else dict(metadata),
            model_config={"executor": executor},
        )
        if converted.parity is not None:
            (folder / PARITY).write_bytes(dump(converted.parity.to_dict()))


def log_model(
    model: object,
    name: str | None = None,
    *,
    registered_model_name: str | None = None,
    signature: ModelSignature | None = None,
    input_example: object = None,
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str = FLAVOR_NAME,
    step: int = 0,
    await_registration_for: int | None = 300,
    executor: str = "auto",
) -> ModelInfo:
    """Log a model to MLflow, with its parity report as artifact and metrics.

    It goes to the active run; without one to the run that trained the model, if it was converted from MLflow; else to a
    new one. A run that had ended stays ended, as it was.

    Args:
        model: as in ``save_model``.
        name: the LoggedModel's name; by default the model's.
        registered_model_name: also register it under this name.
        signature, input_example, pip_requirements, extra_pip_requirements, metadata, executor: as in ``save_model``.
        params, tags: of the LoggedModel.
        model_type: what ``mlflow.search_logged_models(filter_string="model_type='coreml'")`` finds.
        step: the step of the run that the model belongs to.
        await_registration_for: how long to wait for the registered version, in seconds; 0 or None for not at all.

    Returns:
        MLflow's ModelInfo.

    Raises:
        NotFound: the run that trained the model is not in the tracking store that MLflow is set to.
        ConversionError, FormatError, RecipeError: as in ``save_model``.
    """
    from mlpublish.converting.mlflow_errors import answering
    from mlpublish.mlflow_plugin.predicting import EXECUTORS, one_of
    from mlpublish.mlflow_plugin.signatures import described_by

    one_of(EXECUTORS, "executor", executor)
    with _taken(model, name or "model") as converted:
        check_unchanged(converted)  # all of this before anything is written to the store
        _requirements(pip_requirements, extra_pip_requirements)
        found, example = described_by(converted, signature, input_example)
        with answering(), run_for(converted) as run:
            info = _logged(
                run,
                name or converted.name,
                params={**(params or {}), **run.data.params},
                tags=tags,
                model_type=model_type,
                model=converted,
                registered_model_name=registered_model_name,
                signature=found,
                input_example=example,
                pip_requirements=pip_requirements,
                extra_pip_requirements=extra_pip_requirements,
                metadata=metadata,
                step=step,
                await_registration_for=await_registration_for,
                executor=executor,
            )
            if converted.parity is not None:
                log_evidence(converted.parity, run_id=run.info.run_id, model_id=info.model_id, file=PARITY, step=step)
    return info


def _logged(
    run: Run, name: str, *, params: Mapping[str, Any], tags: Mapping[str, Any] | None, model_type: str, **settings: Any
) -> ModelInfo:
    """Log to a run that need not be active: MLflow itself would put the model into the experiment that is."""
    import mlflow
    from mlflow.models import Model

    logged = mlflow.initialize_logged_model(
        name=name,
        source_run_id=run.info.run_id,
        tags=None if tags is None else {key: str(value) for key, value in tags.items()},
        params={key: str(value) for key, value in params.items()},
        model_type=model_type,
        experiment_id=run.info.experiment_id,
    )
    flavor = sys.modules[__name__]
    info: ModelInfo = Model.log(
        artifact_path=None, flavor=flavor, run_id=run.info.run_id, model_id=logged.model_id, tags=tags, **settings
    )
    return info


def load_model(model_uri: str | Path, dst_path: str | Path | None = None) -> ConvertedModel:
    """Get a model back as it was converted, ready for ``bundle`` and ``release``.

    Args:
        model_uri: ``models:/<name>@<alias>``, ``models:/<name>/<version>``, ``runs:/<run id>/<name>`` or a folder.
        dst_path: the folder for its files, made if absent; by default a new temporary one, which is the caller's to remove.

    Returns:
        The model, its record and its golden data in that folder, as ``convert`` writes them.

    Raises:
        NotFound: there is no such model, or the artifact store lost it.
        ConversionError: it is of another flavor.
        FormatError: it is not what was logged.
        RecipeError: a model of that name lies in the folder already.
        EndpointUnreachable: the tracking server does not answer.
    """
    from mlpublish.converting.download import kept_at

    with TemporaryDirectory(prefix="mlpublish-") as aside:
        kept = kept_at(str(model_uri), Path(aside), flavor=FLAVOR_NAME)
        folder = Path(mkdtemp(prefix="mlpublish-")) if dst_path is None else Path(dst_path)
        folder.mkdir(parents=True, exist_ok=True)
        return copied(kept, folder)


def _load_pyfunc(data_path: str, model_config: Mapping[str, Any] | None = None) -> CoreMLPredictor:
    """What ``mlflow.pyfunc.load_model`` calls; its errors are MLflow's, in one line."""
    from mlpublish.mlflow_plugin.deployments_errors import told
    from mlpublish.mlflow_plugin.predicting import CoreMLPredictor, runner_for

    with told():
        return CoreMLPredictor(runner_for(read_only(Path(data_path)).path, **(model_config or {})))


@contextmanager
def _taken(model: object, name: str) -> Iterator[ConvertedModel]:
    """The converted model that an argument stands for; what had to be written for it is gone when the block ends."""
    if isinstance(model, ConvertedModel):
        yield model
        return
    with TemporaryDirectory(prefix="mlpublish-") as aside:
        path = Path(model) if isinstance(model, str | Path) else _saved(model, name, Path(aside))
        yield _on_disk(path, Path(aside))


def _on_disk(path: Path, aside: Path) -> ConvertedModel:
    if path.name.endswith(".converted.json") and path.is_file():
        return ConvertedModel.read(path)
    if path.suffix in SUFFIXES:
        record = path.with_name(f"{path.stem}.converted.json")
        return ConvertedModel.read(record) if record.is_file() else foreign(path, Path(mkdtemp(dir=aside)))
    if path.is_dir():
        return read_only(path)
    raise _no_model(str(path))


def _saved(model: Any, name: str, aside: Path) -> Path:
    """A coremltools MLModel as a file."""
    if type(model).__module__.partition(".")[0] != "coremltools":
        raise _no_model(f"An object of the class {type(model).__name__}")
    kinds = [each.WhichOneof("Type") for each in models_in(model.get_spec())]
    suffix = ".mlpackage" if "mlProgram" in kinds else ".mlmodel"
    path = aside / f"{name}{suffix}"
    model.save(str(path))
    return path


def _no_model(what: str) -> ConversionError:
    return ConversionError(
        f"{what} is no Core ML model.",
        remedy="Give what mlpublish.convert() gave or wrote, a .mlmodel, a .mlpackage or a coremltools MLModel.",
        field="model",
    )


def _settings(model: ConvertedModel) -> dict[str, Any]:
    """What MLmodel says of the flavor."""
    return {
        "data": str(IN_MLFLOW),
        "model": model.path.name,
        "kind": model.kind,
        "precision": model.precision,
        "specification_version": model.specification_version,
        "mlpublish_version": version("mlpublish"),
        "coremltools_version": version("coremltools"),
        "code": None,
    }


def _requirements(asked: Sequence[str] | str | None, extra: Sequence[str] | str | None) -> Sequence[str] | str:
    for name, path in (("pip_requirements", asked), ("extra_pip_requirements", extra)):
        if isinstance(path, str) and not Path(path).is_file():
            raise RecipeError(f"{path} is no file.", remedy="Name a file of requirements, or give them as a list.", field=name)
    if asked is not None:
        return asked
    if isinstance(extra, str):
        extra = [line for line in Path(extra).read_text().splitlines() if line.strip()]
    return [*(f"{name}=={version(name)}" for name in _REQUIRED), *(extra or ())]
