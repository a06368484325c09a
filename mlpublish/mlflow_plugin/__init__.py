"""MLflow doors."""
