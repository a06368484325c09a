"""A release pipeline in plain Python: one step after another, each with JSON in and JSON out.

    python pipelines/release.py MODEL --app ID --app-version V --to URI --repository R [--store file:DIR] [--channel C]

Any engine that can call a function can run the same steps; nothing here knows mlpublish beyond ``run_json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from mlpublish.errors import MlpublishError
from mlpublish.steps import run_json

JSON = dict[str, Any]


def pipeline(
    model: str, *, app: str, app_version: str, to: str, repository: str, channel: str = "stable", store: str = "file:artifacts"
) -> dict[str, JSON]:
    """Convert, bundle, sign, verify, publish, offer, check.

    Returns:
        Each step's answer, by the step's name.
    """
    done: dict[str, JSON] = {}

    def run(step: str, **payload: object) -> JSON:
        done[step] = run_json(step, payload, store=store)
        return done[step]

    who = {"app": app, "app_version": app_version}
    converted = run("convert", model=model)
    bundled = run("bundle", models=[converted["model"]])
    signed = run("sign", bundle=bundled["bundle"], repository=repository, **who)
    run("verify", release=signed["release"], repository=repository)
    run("publish", release=signed["release"], to=to, repository=repository)
    run("channel", release=signed["number"], to=to, channel=channel, repository=repository, **who)
    run("check", at=to, channel=channel, repository=repository, **who)
    return done


def main() -> None:
    """Parse the arguments, run the pipeline, print what each step answered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    for option in ("--app", "--app-version", "--to", "--repository"):
        parser.add_argument(option, required=True)
    parser.add_argument("--channel", default="stable")
    parser.add_argument("--store", default="file:artifacts")
    given = vars(parser.parse_args())
    try:
        done = pipeline(given.pop("model"), **given)
    except MlpublishError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(json.dumps(done, indent=2))
    if done["check"]["status"] != "SUCCESS":
        sys.exit(f"The device says {done['check']['status']}: {done['check']['detail']}")


if __name__ == "__main__":
    main()
