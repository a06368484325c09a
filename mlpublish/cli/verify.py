"""``mlpublish verify``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlpublish.cli import options, outcome
from mlpublish.formats.parity import parity_rows
from mlpublish.reporting.text import one_line

if TYPE_CHECKING:
    from mlpublish.formats.channel import Channel
    from mlpublish.reports import RoleReport, VerifyReport


@click.command()
@click.argument("what", metavar="BUNDLE|RELEASE|FOLDER|URL")
@click.option("--root", type=click.Path(path_type=Path), help="The app's trusted 1.root.json.")
@click.option("--pin", metavar="KEY", help="A key that is trusted instead: its text, or a file that holds it.")
@click.option("--app", "app_id", metavar="ID", help="Which app of several is meant; by default all.")
@click.option(
    "--signature", type=click.Path(path_type=Path), metavar="F", help="A bundle's .sig or model.sig, if it is not beside it."
)
@click.option("--ca", type=click.Path(path_type=Path), metavar="F", help="For a URL: certificate authorities (PEM) to trust.")
@click.option("--files", "every_file", is_flag=True, help="List every file of a bundle with its length and sha256.")
@options.repository
@outcome.options
def command(
    what: str,
    root: Path | None,
    pin: str | None,
    app_id: str | None,
    signature: Path | None,
    ca: Path | None,
    every_file: bool,
    repository: str | None,
) -> None:
    """Verify a bundle, a release or a repository: who signed what, until when, and what that does not prove.

    WHAT is a bundle's zip, the folder that it was unpacked into, a release's folder, an app's repository, a folder of such or a
    server's; or the URL of a server, of an app there (…/apps/<app id>) or of a zip. Of what lies on this disk nothing is asked
    of a network.

    Trusted is --root, --pin, mlpublish.toml's root, or a development repository's. With --pin the signature beside a bundle is
    verified: BUNDLE.zip.sig of an RSA key, model.sig of an ECDSA key. Exit code 3 means that a link is broken; it is named.
    """
    from mlpublish.repository.verify import verify

    report = verify(what, root=root, pin=pin, app=app_id, signature=signature, repository=repository, ca=ca)
    outcome.tell("verify", report, "\n".join(one_line(line) for line in _lines(report, every_file, set())))


def _lines(report: VerifyReport, every_file: bool, told: set[str]) -> Iterator[str]:
    """A report line by line, its parts behind it; a limit that was told already is counted, not told again."""
    yield f"{report.kind} {report.what}"
    if report.manifest is not None:
        yield from _bundle(report, every_file)
    if report.number is not None:
        yield f"release {report.number} of {report.app_id} {', '.join(report.app_versions)} ({report.platform})"
    elif report.app_id is not None:
        yield f"app {report.app_id}"
    yield from (_role(role) for role in report.roles)
    yield from (f"signature   {file}: key {keyid[:12]}" for file, keyid in report.signatures.items())
    yield from (line for channel in report.channels for line in _channel(channel))
    yield from (f"proven      {sentence}" for sentence in report.proven)
    yield from (f"not proven  {sentence}" for sentence in report.not_proven if sentence not in told)
    if again := sum(sentence in told for sentence in report.not_proven):
        yield f"not proven  and what was told above already ({again} of these)"
    yield from (f"warning     {sentence}" for sentence in report.warnings)
    told.update(report.not_proven)
    for part in report.parts:
        yield ""
        yield from _lines(part, every_file, told)


def _bundle(report: VerifyReport, every_file: bool) -> Iterator[str]:
    manifest, bundle = report.manifest, report.bundle
    assert manifest is not None
    digest = "" if bundle is None else f", sha256 {bundle.sha256}"
    yield f"bundle {manifest.name} {manifest.version}, {len(report.files)} files{digest}"
    if every_file:
        yield from (f"file  {entry.sha256}  {entry.length:>12}  {entry.path}" for entry in report.files)
    for model in manifest.models:
        golden = "none" if model.golden is None else f"{model.golden}"
        rows = parity_rows(model.parity) | {"golden data": golden}
        yield from (f"{model.name}: {key}: {value}" for key, value in rows.items() if value is not None)


def _role(role: RoleReport) -> str:
    left = f"{role.days_left} days left" if role.days_left > 0 else "less than a day left"
    return (
        f"{role.role} version {role.version}: {role.threshold} of {role.keys} needed, {len(role.signed_by)} signed "
        f"({', '.join(role.signers)}), until {role.expires:%Y-%m-%d %H:%M} UTC ({left})"
    )


def _channel(channel: Channel) -> Iterator[str]:
    for entry in channel.entries:
        share = "" if entry.rollout == 100 else f" to {entry.rollout} %, {entry.otherwise or 'nothing'} to the others"
        paused = ", paused" if entry.paused else ""
        yield f"channel {channel.channel} ({channel.platform}) {entry.app_version}: release {entry.release}{share}{paused}"
