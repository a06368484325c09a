"""``mlpublish keys``."""

from __future__ import annotations

import base64
import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlpublish.cli import outcome
from mlpublish.errors import NotFound
from mlpublish.formats.wire import digest_of
from mlpublish.reporting.text import one_line

if TYPE_CHECKING:
    from mlpublish.trust.key_files import KeyFiles

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def command() -> None:
    """Make, import and show keys; put a pin into an app's configuration."""


def _protected(command: F) -> F:
    """Where a new file's passphrase comes from; never an argument, because arguments show in the process list."""
    command = click.option("--alias", metavar="A", help="The entry's name in a .p12; by default the file's name.")(command)
    command = click.option("--no-passphrase", is_flag=True, help="Write it unencrypted, readable by you only.")(command)
    command = click.option(
        "--passphrase-file", type=click.Path(path_type=Path), metavar="F", help="A file that holds the new passphrase."
    )(command)
    return click.option(
        "--passphrase-env", metavar="NAME", help="A variable that holds it. [MLPUBLISH_KEY_PASSPHRASE; else you are asked]"
    )(command)


@command.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--type", "kind", default="ecdsa", show_default=True, metavar="T", help="ecdsa (P-256), ed25519 or rsa.")
@click.option("--bits", type=int, default=3072, show_default=True, help="An RSA key's length.")
@_protected
@outcome.options
def new(file: Path, kind: str, bits: int, alias: str | None, **protection: Any) -> None:
    """Make a private key, FILE.pem or FILE.p12, and its public half FILE.pub beside it."""
    from mlpublish.trust import key_files, keys

    key_files.check_place(file)
    key = keys.new_key(kind, bits=bits)
    passphrase = _passphrase(file, **protection)
    _tell("keys.new", key_files.write_key(file, key, passphrase=passphrase, alias=alias or file.stem))


@command.command("import")
@click.argument("uri", metavar="KEYURI")
@click.option(
    "-o", "--out", "file", type=click.Path(path_type=Path), required=True, metavar="FILE", help="FILE.pem or FILE.p12."
)
@_protected
@outcome.options
def import_(uri: str, file: Path, alias: str | None, **protection: Any) -> None:
    """Take a private key out of a keystore or file, such as keystore:old.jks?alias=prod, into FILE.pem or FILE.p12."""
    from mlpublish.trust import key_files
    from mlpublish.trust.signer import signer_for

    key_files.check_place(file)
    key = key_files.exportable(signer_for(uri))
    passphrase = _passphrase(file, **protection)
    _tell("keys.import", key_files.write_key(file, key, passphrase=passphrase, alias=alias or file.stem))


@command.command()
@click.argument("what", metavar="WHAT")
@outcome.options
def show(what: str) -> None:
    """Show a key's public half: of a key URI, a public key, a certificate, a pin's text or an mfpclient file."""
    from mlpublish.trust import keys

    found = keys.find_public(what)
    spki = keys.spki_of(found.key)
    facts: dict[str, str | None] = {
        "keyid": found.key.keyid,
        "type": keys.kind_of(found.key),
        "scheme": found.key.scheme,
        "form": found.form,
        "sha256": digest_of(spki),
        "spki": base64.b64encode(spki).decode(),
    }
    outcome.tell("keys.show", facts, _lines(facts))


@command.command("export-plist")
@click.argument("key", metavar="KEY")
@click.argument("file", type=click.Path(path_type=Path), metavar="MFPCLIENT")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@outcome.options
def export_plist(key: str, file: Path, dry_run: bool) -> None:
    """Write KEY's public half into the app's mfpclient.plist or mfpclient.properties as wlSecureModelUpdatePublicKey.

    Nothing else in the file changes.
    """
    from mlpublish.trust import key_files, keys

    public = keys.read_public(key)
    try:
        before = file.read_bytes()
    except OSError as exc:
        raise NotFound(f"{file} cannot be read.", remedy="Name the app's mfpclient file.", field="file") from exc
    after = key_files.with_pin(before, file.name, public)
    if after != before and not dry_run:
        key_files.replace_in_place(file, after)
    result = {"file": str(file), "keyid": public.keyid, "changed": after != before, "written": after != before and not dry_run}
    outcome.tell("keys.export-plist", result, _difference(before, after) or f"{file} holds this pin already.")


def _passphrase(file: Path, *, passphrase_env: str | None, passphrase_file: Path | None, no_passphrase: bool) -> str | None:
    from mlpublish.trust import key_files
    from mlpublish.trust.passphrases import PASSPHRASE, STOREPASS, choose

    if no_passphrase and (passphrase_env or passphrase_file):
        raise click.UsageError("--no-passphrase leaves nothing to read a passphrase for.")
    if no_passphrase:
        return None
    secret = STOREPASS if file.suffix == key_files.KEYSTORE else PASSPHRASE
    given = zip(secret.parameters, (passphrase_env, passphrase_file), strict=True)
    return choose(secret, {name: str(value) for name, value in given if value is not None}, of=str(file))


def _tell(verb: str, made: KeyFiles) -> None:
    from mlpublish.trust.keys import kind_of

    facts = {
        "uri": made.uri,
        "keyid": made.key.keyid,
        "type": kind_of(made.key),
        "private": str(made.private),
        "public": str(made.public),
    }
    outcome.tell(verb, facts, _lines(facts))


def _lines(facts: Mapping[str, str | None]) -> str:
    width = max(map(len, facts))
    return "\n".join(one_line(f"{name:<{width}}  {value}") for name, value in facts.items())


def _difference(before: bytes, after: bytes) -> str:
    """What changed, line by line; a binary plist has no lines, so there its values."""
    from mlpublish.formats import mfpclient

    def lines(content: bytes) -> list[str]:
        if content.startswith(b"bplist"):
            values = mfpclient.read(content, mfpclient.Kind.BINARY_PLIST)
            return [f"{name} = {value}" for name, value in values.items()]
        return content.decode(errors="replace").splitlines()

    return "\n".join(
        one_line(line) for line in difflib.unified_diff(lines(before), lines(after), "before", "after", "", "", 1, "")
    )
