"""Steps at work: each call in the JSON that an orchestrator would send, validated by the step's own schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mlpublish import steps

Step = Callable[..., dict[str, Any]]


@pytest.fixture
def step(here: Path, tmp_path: Path) -> Step:
    """``step("sign", bundle=…)``: through JSON both ways, what goes in and what comes out valid by the schemas."""

    def run(name: str, /, **payload: object) -> dict[str, Any]:
        schemas, given = steps.schema(name), json.loads(json.dumps(payload))
        Draft202012Validator(schemas["input"]).validate(given)
        answer = json.loads(json.dumps(steps.run_json(name, given, store=f"file:{tmp_path / 'store'}")))
        Draft202012Validator(schemas["output"]).validate(answer)
        return answer

    return run
