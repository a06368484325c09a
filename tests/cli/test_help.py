"""Every command explains itself, and a slip of the hand is answered with what was meant."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from mlpublish.cli.main import group

VERBS = ("convert", "bundle", "sign", "verify", "publish", "channel", "check", "release")


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group, with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from commands(inner, (*path, name))


ALL = dict(commands(group))
LEAVES = {path: command for path, command in ALL.items() if not isinstance(command, click.Group)}


def test_every_verb_of_the_street_is_a_command():
    assert {(verb,) for verb in VERBS} <= set(ALL)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_says_what_the_command_does_and_ends_with_0(cli, path):
    ran = cli(*path, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(('mlpublish', *path))}")
    assert ALL[path].help.split(".")[0].split()[0] in ran.out


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_has_a_sentence_and_every_command_json_and_debug(path):
    options = [each for each in LEAVES[path].params if isinstance(each, click.Option)]
    assert {"--json", "--debug"} <= {flag for each in options for flag in each.opts}
    assert [each.opts for each in options if not each.help] == []


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_no_option_takes_a_secret_because_arguments_show_in_the_process_list(path):
    flags = {flag.lstrip("-") for each in LEAVES[path].params for flag in each.opts}
    assert not flags & {"token", "password", "secret", "passphrase"}


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_an_unknown_option_is_an_error_of_usage_in_the_envelope_too(cli, path):
    ran = cli(*path, "--no-such-option", "--json")
    assert ran.code == 2
    assert ran.envelope["schema"] == f"mlpublish.{'.'.join(path)}/1"
    assert ran.error["code"] == "usage"


def test_an_unknown_verb_is_answered_with_the_nearest(cli):
    ran = cli("chek")
    assert ran.code == 2
    assert "Did you mean 'check'?" in ran.err


def test_the_version_is_the_packages(cli):
    from mlpublish import __version__

    assert cli("--version").out == f"mlpublish, version {__version__}\n"
