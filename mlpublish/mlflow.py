"""The Core ML flavor for MLflow: ``mlpublish.mlflow.log_model(converted, name="digits")`` (docs/mlflow.md).

This is ``mlpublish.mlflow_plugin.flavor`` under the name that a notebook wants; MLflow itself is imported when a function runs.
"""

from __future__ import annotations

from mlpublish.mlflow_plugin.flavor import FLAVOR_NAME, load_model, log_model, save_model

__all__ = ["FLAVOR_NAME", "load_model", "log_model", "save_model"]
