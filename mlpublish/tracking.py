"""How long MLflow's tracking server is waited for: a server that is down is told within a minute.

MLflow itself would ask for four minutes, and wait two for each answer. It takes these limits from the environment alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


@contextmanager
def patient(more: Mapping[str, str] | None = None) -> Iterator[None]:
    """Let MLflow ask with these limits inside the block; what somebody has set stays.

    Args:
        more: other variables of MLflow that are meant in the block.
    """
    meant = {**PATIENCE, **(more or {})}
    ours = {name: value for name, value in meant.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
