"""mlpublish: a trained model walks in at one end of a street and arrives, proven, on the phone at the other.

    model ─convert→ ConvertedModel ─bundle→ Bundle ─sign→ Release ─publish→ Receipt ─channel→ offered …  check → CheckReport

Each verb is a function here; ``release`` is the whole street in one call. Nothing heavy is imported until a verb needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlpublish.version import __version__ as __version__

if TYPE_CHECKING:
    from mlpublish import mlflow as mlflow
    from mlpublish.artifacts import App, Bundle, ConvertedModel, Receipt, Release
    from mlpublish.bundling.bundle import bundle
    from mlpublish.checking.check import check
    from mlpublish.converting.convert import convert
    from mlpublish.errors import MlpublishError
    from mlpublish.formats.evidence import ParityReport, Tolerance
    from mlpublish.formats.manifest import Manifest
    from mlpublish.formats.status import Reason, UpdateStatus
    from mlpublish.inspecting.compare_on_mac import compare_on_mac
    from mlpublish.inspecting.inspect import inspect
    from mlpublish.publishing.publish import publish
    from mlpublish.recipe import release
    from mlpublish.reports import CheckReport, PlanReport, VerifyReport
    from mlpublish.repository import channels as channel
    from mlpublish.repository import review
    from mlpublish.repository.plan import plan
    from mlpublish.repository.verify import verify
    from mlpublish.signing.sign import sign

_HOMES = {
    "App": "mlpublish.artifacts",
    "Bundle": "mlpublish.artifacts",
    "CheckReport": "mlpublish.reports",
    "ConvertedModel": "mlpublish.artifacts",
    "Manifest": "mlpublish.formats.manifest",
    "MlpublishError": "mlpublish.errors",
    "ParityReport": "mlpublish.formats.evidence",
    "PlanReport": "mlpublish.reports",
    "Reason": "mlpublish.formats.status",
    "Receipt": "mlpublish.artifacts",
    "Release": "mlpublish.artifacts",
    "Tolerance": "mlpublish.formats.evidence",
    "UpdateStatus": "mlpublish.formats.status",
    "VerifyReport": "mlpublish.reports",
    "bundle": "mlpublish.bundling.bundle",
    "channel": "mlpublish.repository.channels",
    "check": "mlpublish.checking.check",
    "compare_on_mac": "mlpublish.inspecting.compare_on_mac",
    "convert": "mlpublish.converting.convert",
    "inspect": "mlpublish.inspecting.inspect",
    "plan": "mlpublish.repository.plan",
    "publish": "mlpublish.publishing.publish",
    "release": "mlpublish.recipe",
    "review": "mlpublish.repository.review",
    "sign": "mlpublish.signing.sign",
    "verify": "mlpublish.repository.verify",
}

__all__ = [
    "App",
    "Bundle",
    "CheckReport",
    "ConvertedModel",
    "Manifest",
    "MlpublishError",
    "ParityReport",
    "PlanReport",
    "Reason",
    "Receipt",
    "Release",
    "Tolerance",
    "UpdateStatus",
    "VerifyReport",
    "bundle",
    "channel",
    "check",
    "compare_on_mac",
    "convert",
    "inspect",
    "plan",
    "publish",
    "release",
    "review",
    "sign",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "mlflow":  # no part of __all__: an asterisk must not hide MLflow itself
        return import_module("mlpublish.mlflow")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(home)
    value = module if name in ("channel", "review") else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
