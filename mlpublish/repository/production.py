"""The folder that ``mlpublish repo init DIR`` makes for production: no offline key lies in it, and no one machine holds all.

    DIR/{server.toml, holders.json, repository/<app id>/…, tokens/{admin,deployer,operator,monitor}}

``holders.json`` says who will hold the roles of each app that is added; the online key is named in ``server.toml`` by its URI.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlpublish.errors import RecipeError
from mlpublish.formats.policy import Policy
from mlpublish.repository.change_report import ChangeReport, report_on
from mlpublish.repository.development import make_tokens
from mlpublish.repository.endpoint import endpoint_for
from mlpublish.repository.founding import Holders, founding
from mlpublish.storage.in_folder import create_private, make_folder
from mlpublish.trust import approval
from mlpublish.trust.approval import Present
from mlpublish.trust.changes import reviewed
from mlpublish.trust.signer import Signer, signer_for

HOLDERS = "holders.json"
_SERVER_TOML = """\
# The embedded server of this repository (mlpublish serve); paths are relative to this file.
repository = "repository"
tokens = "tokens"

[online]                        # the only keys that a server holds: they say what is fresh, never what a release is
snapshot = {snapshot}
timestamp = {timestamp}
snapshot_days = 7
timestamp_days = 1
"""


def make(folder: Path, holders: Holders, *, snapshot: str, timestamp: str) -> None:
    """Make the folder; one that was made so already stays as it is.

    Args:
        snapshot, timestamp: the online keys' URIs.

    Raises:
        RecipeError: something else lies there, or it was made for other holders.
        SigningError: keys or thresholds that nobody may be appointed with.
    """
    founding(Policy(app_id="com.example.app"), holders)  # refuses here what it would refuse for every app
    standing = folder / HOLDERS
    if standing.is_file() and standing.read_bytes() != holders.to_bytes():
        raise RecipeError(
            f"{folder} was made for other holders.",
            remedy="Change the keys of apps that stand with: mlpublish repo rotate; for a new app with other holders "
            "give another folder.",
            field="folder",
        )
    if not standing.is_file() and folder.exists() and (not folder.is_dir() or any(folder.glob("[!.]*"))):
        raise RecipeError(f"{folder} holds something else.", remedy="Name a folder that is new or empty.", field="folder")
    make_folder(folder)
    create_private(standing, holders.to_bytes())  # first: by it the next run knows the folder, if this one breaks off
    make_folder(folder / "repository", mode=0o755)
    make_tokens(folder / "tokens")
    toml = _SERVER_TOML.format(snapshot=_quoted(snapshot), timestamp=_quoted(timestamp))
    create_private(folder / "server.toml", toml.encode())


def add_app(folder: Path, policy: Policy, *, signers: Sequence[Signer | str] = ()) -> ChangeReport:
    """Propose the repository of one more app, with the holders that the folder names.

    Args:
        signers: keys that sign at once; the other holders sign with ``mlpublish review sign``.

    Returns:
        The change; committed, if these signatures were enough.

    Raises:
        RecipeError: the folder was not made by ``make``.
        Conflict: the app has a repository already.
    """
    if not (folder / HOLDERS).is_file():
        raise RecipeError(
            f"{folder} names no holders.",
            remedy="Make it with: mlpublish repo init DIR (and who holds which role).",
            field="folder",
        )
    change = founding(policy, Holders.from_bytes((folder / HOLDERS).read_bytes()))
    reviews = []
    for given in signers:
        signer = signer_for(given)
        names = approval.may_sign(change, Present(), signer.public_key.keyid)
        if not names:
            raise RecipeError(
                f"The key {signer.public_key.keyid[:12]} would hold none of the roles.",
                remedy="Sign with keys that --root-keys, --app-keys or --operator-keys named.",
                field="sign",
            )
        reviews.append(reviewed(change, names, signer))
    kept = endpoint_for(folder).propose(policy.app_id, change, tuple(reviews), {})
    return report_on(kept, Present(), "waiting" if kept.closed is None else kept.closed.outcome, {})


def _quoted(uri: str) -> str:
    """A TOML basic string."""
    escaped = uri.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
