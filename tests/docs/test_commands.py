"""Whatever a page types, the command line takes: every command and every option exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

import mlpublish
from mlpublish.cli.main import group

DOCS = Path(mlpublish.__file__).parent / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), Path(__file__).parents[2] / "README.md"]
FENCED = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(mlpublish [^`]+)`")


def typed(text: str) -> list[str]:
    """The calls of ``mlpublish`` in a page: in blocks of commands, and in the middle of a sentence."""
    lines = "\n".join(FENCED.findall(text)).replace("\\\n", " ").splitlines()
    inside = [match[0] for line in lines for match in re.finditer(r"(?<![\w/.-])mlpublish [^;&|]*", line)]
    return inside + [" ".join(call.split()) for call in INLINE.findall(FENCED.sub("", text))]


def unknown(call: str) -> str | None:
    """The first word of a call that nobody takes."""
    command: click.Command = group
    for word in shlex.split(call.replace("…", " "), comments=True)[1:]:
        if word.startswith("--"):
            options = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)} | {"--help", "--version"}
            if word.partition("=")[0] not in options:
                return word
        elif isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return word
            command = found
    return None


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_every_command_and_option_of_a_page_exists(file: Path) -> None:
    assert [(call, word) for call in typed(file.read_text(encoding="utf-8")) if (word := unknown(call)) is not None] == []


def test_the_pages_type_many_commands_and_a_wrong_one_is_noticed() -> None:
    assert sum(len(typed(file.read_text(encoding="utf-8"))) for file in PAGES) > 40
    assert unknown("mlpublish channel set --release 2 --nonsense") == "--nonsense"
    assert unknown("mlpublish channel steer --release 2") == "steer"
