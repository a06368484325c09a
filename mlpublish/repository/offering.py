"""What an operator may write into a channel: the rules of an edit, which refuse here what a device would refuse later.

A plan makes the same edits without signing them, so that what it says is what ``channel`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlpublish.artifacts import App
from mlpublish.errors import NotFound, RecipeError
from mlpublish.formats.channel import Entry, ReleaseFacts
from mlpublish.formats.policy import Policy
from mlpublish.repository.head import Head


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """What an app role says of its releases: the ones that a channel may offer are among them."""

    policy: Policy
    releases: Mapping[int, ReleaseFacts]

    @classmethod
    def of(cls, head: Head) -> Approved:
        return cls(policy=head.policy, releases=head.releases)

    def fits(self, app: App, number: int) -> bool:
        """Whether a device of this app version would take the release."""
        facts = self.releases.get(number)
        return (
            facts is not None
            and facts.platform == app.platform
            and app.version in facts.app_versions
            and number not in self.policy.withdrawn
            and number >= self.policy.floor(app.platform, app.version)
        )

    def facts(self, app_id: str, number: int) -> ReleaseFacts:
        """What is signed of a release.

        Raises:
            NotFound: the app role names no such release.
        """
        facts = self.releases.get(number)
        if facts is None:
            known = ", ".join(str(each) for each in sorted(self.releases)) or "none"
            raise NotFound(
                f"{app_id} has no release {number}.", remedy=f"Publish it first; there are: {known}.", field="release"
            )
        return facts

    def check(self, app: App, number: int) -> None:
        """Refuse a release that does not fit, with the reason.

        Raises:
            NotFound: the app role names no such release.
            RecipeError: it is for another platform or app version, withdrawn, or below the floor.
        """
        facts = self.facts(app.id, number)
        if not self.fits(app, number):
            floor = self.policy.floor(app.platform, app.version)
            why = self.policy.withdrawn.get(number)
            told = f"withdrawn ({why})" if why is not None else f"for {facts.platform} {', '.join(facts.app_versions)}"
            raise RecipeError(
                f"Release {number} cannot be offered to {app.platform} {app.version}: it is {told}, and the floor is {floor}.",
                remedy="Name an approved release for this app version, at or above the floor.",
                field="release",
            )

    def offering(self, app: App, present: Entry | None, release: int, rollout: int, otherwise: int | None) -> Entry:
        """The entry that offers a release; outside a partial rollout stays what all could get before, if it still can be."""
        check_percent(rollout)
        kept = None if present is None else present.release
        if present is not None and (present.rollout < 100 or present.release == release):
            kept = present.otherwise  # what was on trial itself, or is offered anew, is not what the others keep
        others = None if rollout == 100 else otherwise if otherwise is not None else self._if_it_fits(app, kept)
        for number in (release, *(() if others is None else (others,))):
            self.check(app, number)
        return Entry(app_version=app.version, release=release, rollout=rollout, otherwise=others)

    def standing(self, app: App, present: Entry | None) -> Entry:
        """The present entry, if it can still be offered; what the others keep is dropped where it no longer can."""
        entry = existing(app, present)
        self.check(app, entry.release)
        return replace(entry, otherwise=self._if_it_fits(app, entry.otherwise))

    def rolled_back(self, app: App, present: Entry | None, release: int | None) -> Entry:
        """The entry that offers an older release to everybody: the one named, or what stood before."""
        number = release if release is not None else self._before(app, existing(app, present))
        self.check(app, number)
        return Entry(app_version=app.version, release=number)

    def _before(self, app: App, entry: Entry) -> int:
        """What the others keep, as it was offered to everybody once; else the newest older one."""
        kept = self._if_it_fits(app, entry.otherwise)
        if kept is not None and kept < entry.release:
            return kept
        older = [number for number in self.releases if number < entry.release and self.fits(app, number)]
        if not older:
            raise NotFound(
                f"There is no approved release below {entry.release} for {app.platform} {app.version}.",
                remedy="Name one with --release N, or pause the channel.",
                field="release",
            )
        return max(older)

    def _if_it_fits(self, app: App, number: int | None) -> int | None:
        return number if number is not None and self.fits(app, number) else None


def existing(app: App, entry: Entry | None) -> Entry:
    """Give back the entry of an app version that has one.

    Raises:
        NotFound: it has none.
    """
    if entry is None:
        raise NotFound(
            f"The channel offers {app.platform} {app.version} nothing yet.",
            remedy="Set it with: mlpublish channel set.",
            field="app_version",
        )
    return entry


def check_percent(percent: int) -> None:
    """Refuse what is no percentage.

    Raises:
        RecipeError: it is below 0 or above 100.
    """
    if not 0 <= percent <= 100:
        raise RecipeError(f"{percent} % is not a rollout.", remedy="Give 0 to 100.", field="rollout")
