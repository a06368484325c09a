"""``mlpublish-tuf-client``: the command line of tuf-conformance, over the network code of ``mlpublish check``.

The public suite of TUF clients (github.com/theupdateframework/tuf-conformance, CLIENT-CLI.md) so judges how a device of ours
fetches and what it refuses. How to run it: docs/write-a-client.md.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

import click

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile

    from mlpublish.checking.transport import Transport

_TIMEOUT = 300.0  # seconds for one command


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What stands on the command line.

    Args:
        folder: where trusted metadata is kept, ``root.json`` and its like.
        names: the targets to download.
        place: where they go.
    """

    folder: Path
    metadata_url: str
    names: tuple[str, ...]
    targets_url: str
    place: Path | None


class Client:
    """A TUF client that keeps what it trusts in a folder."""

    def __init__(self, asked: Asked) -> None:
        from tuf.ngclient import Updater

        from mlpublish.checking.fetching import MetadataFetcher

        self._asked, self._cancel = asked, threading.Event()
        transport, folder = self._way(asked.metadata_url)
        fetcher = MetadataFetcher(transport, self._cancel)
        # no bootstrap: what init put there is what is trusted at first
        self._updater = Updater(str(asked.folder), folder, fetcher=fetcher, bootstrap=None)

    def refresh(self) -> None:
        """Bring root, timestamp, snapshot and targets up to date."""
        self._updater.refresh()

    def download(self, name: str, folder: Path) -> None:
        """Bring a target into a folder, unless it is there already."""
        from mlpublish.errors import NotFound

        found = self._updater.get_targetinfo(name)
        if found is None:
            raise NotFound(f"Nobody signs {name}.", remedy="Publish it first.", field="target-name")
        place = folder / quote(name, safe="")
        if self._updater.find_cached_target(found, str(place)) is None:
            self._fetch(found, place)

    def _fetch(self, target: TargetFile, place: Path) -> None:
        from tuf.api.exceptions import LengthOrHashMismatchError

        from mlpublish.checking.fetching import download

        transport, folder = self._way(self._asked.targets_url)
        part = place.with_name(f".{place.name}.part")
        download(
            transport,
            f"{folder}{self._stored_at(target)}",
            part,
            length=target.length,
            sha256=target.hashes.get("sha256"),
            cancel=self._cancel,
            on_bytes=lambda _: None,
        )
        try:
            with part.open("rb") as stream:
                target.verify_length_and_hashes(stream)  # under every other hash too
        except LengthOrHashMismatchError:
            part.unlink()  # whole and wrong, it would be all that any later call looks at
            raise
        part.replace(place)

    def _stored_at(self, target: TargetFile) -> str:
        """Specification §6.2: with consistent snapshots a file's name begins with a digest."""
        from tuf.api.metadata import Root

        from mlpublish.trust import roles

        root = roles.parse((self._asked.folder / "root.json").read_bytes(), Root, "root").signed
        folder, slash, name = target.path.rpartition("/")
        return f"{folder}{slash}{next(iter(target.hashes.values()))}.{name}" if root.consistent_snapshot else target.path

    def _way(self, url: str) -> tuple[Transport, str]:
        """The transport to the folder that a URL names, as our devices have it: to the one above, and the folder's name."""
        from mlpublish.checking.fetching import HttpTransport
        from mlpublish.checking.patience import Patience

        above, _, name = url.rstrip("/").rpartition("/")
        return HttpTransport(f"{above}/", patience=Patience(timeout=_TIMEOUT)), f"{name}/"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--metadata-dir", "folder", type=click.Path(path_type=Path), required=True, help="Where trusted metadata is kept."
)
@click.option("--metadata-url", metavar="URL", default="", help="The repository's metadata.")
@click.option("--target-name", "names", metavar="PATH", multiple=True, help="Download this target.")
@click.option("--target-base-url", "targets_url", metavar="URL", default="", help="The repository's targets.")
@click.option("--target-dir", "place", type=click.Path(path_type=Path), help="Where downloads go.")
@click.pass_context
def group(
    ctx: click.Context, folder: Path, metadata_url: str, names: tuple[str, ...], targets_url: str, place: Path | None
) -> None:
    """A TUF client with the command line of tuf-conformance: init, refresh, download."""
    ctx.obj = Asked(folder=folder, metadata_url=metadata_url, names=names, targets_url=targets_url, place=place)


@group.command()
@click.argument("root", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.pass_obj
def init(asked: Asked, root: Path) -> None:
    """Trust this root at first, if it is one: signed by the threshold of its own keys."""
    from tuf.api.metadata import Root

    from mlpublish.repository.defaults import root_of
    from mlpublish.trust import roles

    content = root_of("", root, None) or b""
    trusted = roles.parse(content, Root, "root")
    roles.verify(trusted.signed, "root", trusted)
    asked.folder.mkdir(parents=True, exist_ok=True)
    part = asked.folder / ".root.json.part"
    try:
        part.write_bytes(content)
        part.replace(asked.folder / "root.json")
    finally:
        part.unlink(missing_ok=True)  # a full disk leaves nothing half-written


@group.command()
@click.pass_obj
def refresh(asked: Asked) -> None:
    """Bring the metadata up to date."""
    Client(asked).refresh()


@group.command()
@click.pass_obj
def download(asked: Asked) -> None:
    """Bring targets, in the order in which they are named."""
    if not asked.names or not asked.targets_url or asked.place is None:
        raise click.UsageError("Give --target-name, --target-base-url and --target-dir.")
    client = Client(asked)
    client.refresh()
    for name in asked.names:
        client.download(name, asked.place)


def main() -> NoReturn:
    """The console script: exit code 0, or 1 and one line on stderr."""
    try:
        group.main(prog_name="mlpublish-tuf-client", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - a door: whatever happens gets one line and a code
        click.echo(f"Error: {type(exc).__name__}: {exc}", err=True)
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    main()
