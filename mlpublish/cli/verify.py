"""``mlpublish verify``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import options, outcome
from mlpublish.reporting.text import one_line
from mlpublish.shown import parity_rows


@click.command()
@click.argument("what", type=click.Path(path_type=Path), metavar="RELEASE_OR_BUNDLE")
@click.option("--root", type=click.Path(path_type=Path), help="The app's trusted 1.root.json.")
@click.option("--pin", metavar="KEY", help="The predecessor's pinned key: base64 text or a file that holds it.")
@options.repository
@outcome.options
def command(what: Path, root: Path | None, pin: str | None, repository: str | None) -> None:
    """Verify a release's folder or a bundle, offline: who signed what, until when, and what that does not prove.

    The root of trust of a release is --root, --pin, mlpublish.toml's, or a development repository's. With --pin the detached
    signature beside the bundle (BUNDLE.zip.sig) is verified too; of a bare bundle it is all that can be.
    """
    from mlpublish.trust.verify import verify

    report = verify(what, root=root if root or pin else _root(what, repository), pin=pin)
    manifest = report.bundle.manifest
    lines = [f"{report.kind} {report.what}", f"bundle {manifest.name} {manifest.version}, sha256 {report.bundle.sha256}"]
    if report.app is not None:
        lines.append(f"release {report.number} of {report.app.id} {report.app.version} ({report.app.platform})")
    for role in report.roles:
        signers = ", ".join(keyid[:12] for keyid in role.signed_by)
        lines.append(
            f"{role.role} version {role.version}: {len(role.signed_by)} of {role.threshold} signatures ({signers}), "
            f"until {role.expires:%Y-%m-%d}"
        )
    for model in manifest.models:
        lines += [f"{model.name}: {key}: {value}" for key, value in parity_rows(model.parity).items() if value is not None]
    lines += [f"proven      {sentence}" for sentence in report.proven]
    lines += [f"not proven  {sentence}" for sentence in report.not_proven]
    outcome.tell("verify", report, "\n".join(one_line(line) for line in lines))


def _root(what: Path, repository: str | None) -> bytes | None:
    """What is trusted where neither option is given: what is configured for the release's app."""
    from mlpublish.repository import defaults
    from mlpublish.trust.releases import RECORD, read_release

    if not (what / RECORD).is_file():
        return None
    development = defaults.development_among(defaults.repository_for(repository))
    return defaults.root_of(read_release(what).release.app.id, None, development)
