"""``mlpublish step``."""

from __future__ import annotations

import json
from typing import TextIO

import click

from mlpublish.cli import outcome


@click.command()
@click.argument("name", metavar="STEP")
@click.option("--payload", type=click.File("r", encoding="utf-8"), default="-", help="A JSON file; by default stdin.")
@click.option("--store", default="file:artifacts", show_default=True, metavar="URI", help="Where the steps' files lie.")
@click.option("--schema", "wants_schema", is_flag=True, help="Print the step's JSON Schemas instead.")
@outcome.options
def command(name: str, payload: TextIO, store: str, wants_schema: bool) -> None:
    """Run one STEP (convert, bundle, sign, verify, publish, channel, check, release) with JSON in and JSON out."""
    from mlpublish import steps
    from mlpublish.errors import FormatError

    if wants_schema:
        schemas = steps.schema(name)
        outcome.tell("step", schemas, json.dumps(schemas, indent=2))
        return
    try:
        given = json.load(payload)
    except ValueError as exc:
        raise FormatError(f"The payload is not JSON: {exc}.", remedy="Correct it.", field="payload") from exc
    answer = steps.run_json(name, given, store=store)
    outcome.tell("step", answer, json.dumps(answer, indent=2))
