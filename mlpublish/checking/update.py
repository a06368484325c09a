"""One update check against a signed repository, in the order of TUF's client workflow (specification §5): root, timestamp,
snapshot, app role, channels role; then the offer rule; then the bundle.
"""

from __future__ import annotations

from mlpublish.checking.fetching import download
from mlpublish.checking.installing import install
from mlpublish.checking.metadata import Metadata, Trust, refresh
from mlpublish.checking.play import Play
from mlpublish.checking.state import Installed
from mlpublish.checking.unpacked import unpack_bundle
from mlpublish.formats.archive import Archive
from mlpublish.formats.channel import Offer, bundle_path, offer_for, pointed_at
from mlpublish.formats.status import ProgressStatus, Reason, UpdateStatus
from mlpublish.reports import CheckReport
from mlpublish.trust import roles


def update(play: Play, trust: Trust, channel: str) -> CheckReport:
    """Ask the app's repository, and install what the channel offers.

    Raises:
        DeviceFailure, and what outcome.py has a row for: the check ends with that status.
        RecipeError: nothing is trusted, or the pin is none.
    """
    with play.phase("installed"):
        play.device.leave_altered(play.app, play.stop_if_canceled)
    with play.phase("metadata"):
        known = refresh(play.transport, play.device, trust, play.cancel, play.app.id)
        play.roles = known.roles()
    policy = known.policy
    floor = play.device.raise_floor(play.app, policy.floor(play.app.platform, play.app.version))
    left = _leave_withdrawn(play, known, floor)
    with play.phase("channel"):
        content = known.channel(play.app.platform, channel)
        play.roles = known.roles(channels=True)
    play.device.saw_verified(known.clock.judged)
    facts = play.facts
    pointed = pointed_at(content, facts)
    play.offered = None if isinstance(pointed, Reason) else pointed
    releases = {} if play.offered is None else known.releases(play.offered)
    offer = offer_for(content, policy, releases, facts, floor=floor)
    if isinstance(offer, Offer):
        return _take(play, known, offer.release)
    reason = Reason.WITHDRAWN if left else offer
    return play.report(UpdateStatus.SUCCESS, f"Nothing new: {reason.sentence}.", reason)


def _take(play: Play, known: Metadata, number: int) -> CheckReport:
    """Download, verify, unpack beside the current release, swap."""
    target, facts = known.target(bundle_path(number)), known.releases(number)[number]
    sha256 = target.hashes["sha256"]
    part = play.device.part_of(sha256)
    play.device.sweep(but=part)  # what an abandoned release left behind must not be what the space is missing for
    play.need_space(target.length + facts.unpacked_length - (part.stat().st_size if part.exists() else 0))
    if play.listener is not None:
        play.listener.on_start(target.length)
    with play.phase("download"):
        download(
            play.transport,
            roles.stored_at(target),
            part,
            length=target.length,
            sha256=sha256,
            cancel=play.cancel,
            on_bytes=lambda done: play.tell(ProgressStatus.DOWNLOAD_IN_PROGRESS, target.length, done),
        )
    new = Installed(release=number, sha256=sha256, platform=play.app.platform, app_version=play.app.version)
    with part.open("rb") as stream:
        on_bytes = play.unzipping(facts.unpacked_length)
        install(
            play,
            new,
            lambda folder: unpack_bundle(Archive.read(stream), folder, on_bytes, manifest_sha256=facts.manifest),
        )
    play.verified = (
        f"The bundle is byte for byte what the app role signs as release {number} (sha256 {sha256[:12]}…).",
        "Its manifest is the signed one, and its files are those that the manifest lists.",
    )
    return play.report(UpdateStatus.SUCCESS, f"Release {number} ({facts.name} {facts.version}) is installed and in use.")


def _leave_withdrawn(play: Play, known: Metadata, floor: int) -> bool:
    current = play.device.current_for(play.app)
    play.device.forget_withdrawn(known.policy.withdrawn)
    if current is None or current.release not in known.policy.withdrawn:
        return False
    play.device.leave(play.app, known.policy.withdrawn, floor)
    kept = play.device.current_for(play.app)
    return kept is None or kept.release != current.release
