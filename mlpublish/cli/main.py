"""The ``mlpublish`` command; a verb's file is imported when that verb is called."""

from __future__ import annotations

import difflib
import sys
from importlib import import_module

import click

from mlpublish.cli import outcome
from mlpublish.version import __version__

# name -> (module, what `mlpublish --help` says of it), in the order of the street
_VERBS = {
    "demo": ("demo", "Play the whole street on this machine, with a model trained on the spot."),
    "release": ("release", "Take models the whole street: convert, bundle, sign, publish, channel."),
    "convert": ("convert", "Write a model as Core ML and prove that it answers as the model does."),
    "bundle": ("bundle", "Put converted models and other files into one reproducible zip."),
    "sign": ("sign", "Make a bundle a numbered release of an app, with one signature."),
    "verify": ("verify", "Verify a bundle, a release or a repository, offline."),
    "inspect": ("inspect", "Tell what a model or a bundle is: interface, contents, sizes, origin, what is wrong."),
    "compare-on-mac": ("compare_on_mac", "On a Mac: golden inputs through Apple's runtime and ours, and a result to show."),
    "publish": ("publish", "Hand a signed release to a server or a folder."),
    "channel": ("channel", "Say what a channel offers: set, list, show, rollout, pause, resume, rollback, remove."),
    "plan": ("plan", "Say who would get what from a channel, and why not; nothing is downloaded or signed."),
    "check": ("check", "Play the device once, and say in one of nine statuses what happened."),
    "review": ("review", "Look at changes, sign or reject them; withdraw releases, set floors."),
    "repo": ("repo", "Make repositories, say who must act, renew, replace keys."),
    "keys": ("keys", "Make, import and show keys; put a pin into an app's configuration."),
    "serve": ("serve", "Run the embedded update server."),
    "watch": ("watch", "Let channels follow aliases of MLflow's registry: an alias moves, the model is released."),
    "step": ("step", "Run one step with JSON in and JSON out, for pipelines."),
    "bench": ("bench", "Measure how fast saved models run here, and what the parity gate catches."),
    "conformance": ("conformance", "Ask a client that you wrote the cases of docs/write-a-client.md."),
}

_EPILOG = """\
Exit codes: 0 ok, 1 permanent (bad input, parity), 2 usage, 3 verification failed, 4 not authorised, 5 conflict, 6 not
found, 7 transient (try again), 8 somebody must act (repo status), 130 interrupted, 143 terminated; check: 10 CANCELED,
11 NETWORK_PROBLEM, 12 DOWNLOADING, 13 NOT_ENOUGH_SPACE, 14 UNZIPPING, 15 ALREADY_IN_PROGRESS, 16 INTEGRITY, 17 UNKNOWN.
"""


class LazyGroup(click.Group):
    """Imports a verb's file only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _VERBS:
            return None
        command: click.Command = import_module(f"mlpublish.cli.{_VERBS[cmd_name][0]}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest verb when there is none of that name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            near = difflib.get_close_matches(args[0], _VERBS, n=1)
            if not near:
                raise
            raise click.UsageError(f"{exc.message} Did you mean {near[0]!r}?", ctx) from exc

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _VERBS.items()])


@click.group(cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mlpublish")
def group() -> None:
    """Takes a trained model to a phone, proven: convert, bundle, sign, publish, check."""


def main() -> None:
    """The console script."""
    outcome.run(group, sys.argv[1:])
