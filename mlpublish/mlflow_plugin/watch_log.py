"""The watcher's log: one JSON object per line, also for whatever the libraries below it say."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

LOG = logging.getLogger("mlpublish.watch")


def say(event: str, fields: Mapping[str, object], *, level: int = logging.INFO) -> None:
    """Log what happened.

    Args:
        event: one word of the table in docs/watch.md.
        fields: JSON values; what is None is left out.
    """
    LOG.log(level, event, extra={"fields": {name: value for name, value in fields.items() if value is not None}})


def log_to_stderr() -> None:
    """Write every log line of this process to stderr, as JSON.

    The stream is taken now: while a model is converted, ``sys.stderr`` is somewhere else, so that libraries are quiet.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    LOG.setLevel(logging.INFO)


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            told |= {"event": record.getMessage(), **fields}
        else:
            told |= {"event": "library", "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)
