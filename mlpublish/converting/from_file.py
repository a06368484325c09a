"""convert from a file: what a training library saved, opened without running code that came with it.

A saved Booster of LightGBM, and of XGBoost if it was no classifier's, knows its classes by number: 0, 1, …; the labels of an
estimator are kept by skops and by pickles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mlpublish.converting.files import lightgbm_text
from mlpublish.converting.files.skops_file import opened_skops
from mlpublish.converting.files.xgboost_file import opened_xgboost
from mlpublish.converting.quiet import silence
from mlpublish.converting.source import Origin
from mlpublish.coreml.package import SUFFIXES
from mlpublish.errors import ConversionError, MissingExtra, NotFound
from mlpublish.shown import fact

_TORCH = (".pt2", ".pt", ".pth")


def opened_file(path: Path, *, trust_pickle: bool) -> Origin:
    """Load a model from a file, by what its name ends in.

    Args:
        path: ``.skops``, XGBoost's ``.json`` and ``.ubj``, LightGBM's ``.txt``; pickles: ``.pkl``, ``.pickle``, ``.joblib``.
        trust_pickle: allow pickles, which run code that their author chose.

    Returns:
        The model, called like the file.

    Raises:
        NotFound: there is no such file.
        ConversionError: it is of no known kind, holds no whole model, or would have to be trusted.
        MissingExtra: the library that reads it is not installed.
    """
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        raise ConversionError(f"{path} cannot be converted: {_why_not(path)}.", remedy=_instead(path), field="model")
    if not path.exists():
        raise NotFound(f"There is no file {path}.", remedy="Name a file, or an MLflow URI (models:/name@alias).", field="model")
    if opener is _pickle and not trust_pickle:
        raise ConversionError(
            f"{path} is a pickle: loading it runs code that its author chose.",
            remedy="If you trust who wrote it, pass trust_pickle=True (--trust-pickle); else save it with skops.io.dump.",
            field="model",
        )
    return Origin(model=opener(path, _content(path)), name=path.stem)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConversionError(
            f"{path} cannot be read: {exc.strerror or exc}.", remedy="Name a model file that can be read.", field="model"
        ) from exc
    if not content:
        raise ConversionError(f"{path} is empty.", remedy="Save the model again.", field="model")
    return content


def _lightgbm(path: Path, content: bytes) -> object:
    try:
        from lightgbm import Booster
    except ImportError as exc:
        raise MissingExtra(f"{path} needs lightgbm.", remedy="Run pip install 'mlpublish[lightgbm]'.") from exc
    from lightgbm.basic import LightGBMError

    text = content.decode(errors="replace")
    try:
        lightgbm_text.parsed(text)  # what is no whole model would end this process
        with silence():
            return Booster(model_str=text)
    except ConversionError as exc:
        raise ConversionError(f"{path} cannot be read. {exc.problem}", remedy=exc.remedy, field="model") from exc
    except LightGBMError as exc:
        raise ConversionError(
            f"{path} is no model of LightGBM: {fact(exc)}.",
            remedy="Write it again with Booster.save_model.",
            field="model",
        ) from exc


def _pickle(path: Path, content: bytes) -> object:
    from io import BytesIO

    import joblib

    try:
        with silence():
            model: object = joblib.load(BytesIO(content))
    except ModuleNotFoundError as exc:
        raise ConversionError(
            f"{path} needs {exc.name}, which is not installed.", remedy=f"Install {exc.name}.", field="model"
        ) from exc
    except Exception as exc:  # a pickle raises whatever its classes do
        raise ConversionError(
            f"{path} cannot be unpickled: {fact(exc)}.",
            remedy="Load it where it was written, with the same versions, and save it again.",
            field="model",
        ) from exc
    return model


_OPENERS: Mapping[str, Callable[[Path, bytes], object]] = {
    ".skops": opened_skops,
    ".json": opened_xgboost,
    ".ubj": opened_xgboost,
    ".txt": _lightgbm,
    ".pkl": _pickle,
    ".pickle": _pickle,
    ".joblib": _pickle,
}


SAVED = tuple(_OPENERS)
"""What the names of such files end in."""


def _why_not(path: Path) -> str:
    return "it is a Core ML model already" if path.suffix in SUFFIXES else "models are not read from such files"


def _instead(path: Path) -> str:
    if path.suffix in SUFFIXES:
        return "Give it to bundle as it is."
    if path.suffix in _TORCH:
        return "Load it and give the module (torch.export.load(F).module()), or log it in MLflow and give its URI."
    return (
        f"Files that are read end in {', '.join(_OPENERS)}. Or load the model and give the object (in Python), or log it in "
        "MLflow and give its URI (models:/name@alias)."
    )
