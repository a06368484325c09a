"""python-tuf's own client, unmodified, over HTTP: what it takes, we wrote as TUF wants it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from tuf.ngclient import Updater

from mlpublish.formats.channel import Channel, bundle_path, channel_path
from mlpublish.formats.policy import POLICY_PATH, Policy
from mlpublish.trust.keys import crypto_signer

if TYPE_CHECKING:
    from tests.checking.conftest import Lab


def updater(lab: Lab, folder: Path) -> Updater:
    (folder / "metadata").mkdir(parents=True, exist_ok=True)
    (folder / "targets").mkdir(exist_ok=True)
    base = f"{lab.web.url}/apps/{lab.app.id}"
    root = lab.development.first_root(lab.app.id)
    return Updater(str(folder / "metadata"), f"{base}/metadata", str(folder / "targets"), f"{base}/targets", bootstrap=root)


def downloaded(client: Updater, path: str) -> bytes:
    target = client.get_targetinfo(path)
    assert target is not None
    return Path(client.download_target(target)).read_bytes()


def test_it_downloads_release_channel_and_policy(lab: Lab, tmp_path: Path) -> None:
    lab.release()
    client = updater(lab, tmp_path / "client")
    client.refresh()
    assert downloaded(client, bundle_path(1)) == lab.stored(1).read_bytes()
    assert Channel.from_bytes(downloaded(client, channel_path("ios", "stable"))).entries[0].release == 1
    assert downloaded(client, POLICY_PATH) == Policy(app_id=lab.app.id).to_bytes()
    assert client.get_targetinfo(bundle_path(2)) is None


def test_it_goes_on_after_a_root_rotation_and_from_its_own_cache(lab: Lab, tmp_path: Path) -> None:
    lab.release()
    updater(lab, tmp_path / "client").refresh()
    new = crypto_signer(ec.generate_private_key(ec.SECP256R1()))
    lab.rotate_root(lambda root: root.add_key(new.public_key, "targets"))
    lab.bend(targets=lambda _: None, signers={"targets": new})
    lab.release()
    for folder in ("client", "another"):
        client = updater(lab, tmp_path / folder)
        client.refresh()
        assert downloaded(client, bundle_path(2)) == lab.stored(2).read_bytes()
