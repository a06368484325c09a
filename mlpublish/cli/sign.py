"""``mlpublish sign``."""

from __future__ import annotations

from pathlib import Path

import click

from mlpublish.cli import options, outcome


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), metavar="BUNDLE.zip")
@options.repository
@options.app
@options.key
@options.root
@click.option("--number", type=int, metavar="N", help="The release number; by default the next.")
@click.option("--legacy-key", metavar="KEYURI", help="The predecessor's RSA key: put its signature beside the bundle.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The release's folder.")
@outcome.options
def command(
    bundle: Path,
    repository: str | None,
    app_id: str | None,
    app_version: str | None,
    platform: str | None,
    key: str | None,
    root: Path | None,
    number: int | None,
    legacy_key: str | None,
    out: Path | None,
) -> None:
    """Make BUNDLE.zip a numbered release of an app: a folder with the bundle and the signed app role.

    With an ECDSA P-256 key also model.sig, an OpenSSF Model Signing signature over what is in the bundle.
    """
    from mlpublish.signing.sign import sign

    app = options.settled(app_id, app_version, platform)
    made = sign(bundle, repository=repository, app=app, signer=key, number=number, legacy=legacy_key, out=out, root=root)
    outcome.tell("sign", made)
