"""One alias and the channel that follows it: look where the alias points, release what it moved to, remember it.

The order of writes is what makes a crash harmless: ``begun`` is noted before ``release()``, which makes no second release of
the same bytes, and the outcome after it. Whatever happens in between, the next look does it again and finds it done.

A channel moves when the alias moves, and only then: what an operator did to the channel in the meantime is left alone.
"""

from __future__ import annotations

import logging
import math
import random
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mlpublish.artifacts import Receipt
from mlpublish.errors import (
    BundleError,
    Conflict,
    ConversionError,
    EndpointUnreachable,
    FormatError,
    InternalError,
    MissingExtra,
    MlpublishError,
    RecipeError,
    UnknownScheme,
)
from mlpublish.formats.problem import problem_of
from mlpublish.mlflow_plugin.watch_log import LOG, say
from mlpublish.mlflow_plugin.watch_registry import pointed_at
from mlpublish.mlflow_plugin.watch_settings import Mapped
from mlpublish.mlflow_plugin.watch_state import Done, Ledger, Pointed, Record
from mlpublish.recipe import release
from mlpublish.registry.note import note_failure

# Trying again cannot help until the alias, the settings or the installation is another one.
_PERMANENT = (BundleError, ConversionError, FormatError, MissingExtra, RecipeError, UnknownScheme)
_SHORTEST, _LONGEST = 5.0, 600.0  # seconds between two tries

NEW, NO_ALIAS, RELEASING, SETTLED = "new", "no_alias", "releasing", "settled"
WAITING, RETRYING, UNREACHABLE, FAILED = "waiting", "retrying", "unreachable", "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a mapping stands.

    Args:
        state: ``new`` (not looked yet), ``no_alias``, ``releasing``, ``settled``; ``waiting`` for the signatures of a change;
            ``retrying``; ``unreachable`` (the registry); ``failed``: tried again when the alias moves or a watcher starts.
        version: the model version that the alias points at.
        release: the release that stands for it; what was released last, where there is none.
        change: the change that waits.
        next_try: UTC; None where nothing is to be tried.
    """

    mapped: Mapped
    state: str = NEW
    version: str | None = None
    release: int | None = None
    change: str | None = None
    last_error: MlpublishError | None = None
    next_try: str | None = None

    @property
    def troubled(self) -> bool:
        return self.state in (RETRYING, UNREACHABLE, FAILED)

    def to_dict(self) -> dict[str, Any]:
        return {
            "model": self.mapped.model,
            "alias": self.mapped.alias,
            "app": self.mapped.app.id,
            "app_version": self.mapped.app.version,
            "platform": self.mapped.app.platform,
            "channel": self.mapped.channel,
            "state": self.state,
            "version": self.version,
            "release": self.release,
            "change": self.change,
            "last_error": None if self.last_error is None else problem_of(self.last_error),
            "next_try": self.next_try,
        }

    def line(self) -> str:
        """One line for a reader."""
        error = "" if self.last_error is None else f" {self.last_error}"
        told = ", ".join(
            f"{name} {value}" for name, value in (("version", self.version), ("release", self.release)) if value is not None
        )
        return f"{self.mapped.model}@{self.mapped.alias} -> {self.mapped.target}: {self.state}{told and f' ({told})'}.{error}"


def pause_after(tries: int) -> float:
    """Seconds until the next try: doubled each time, with jitter, from 5 seconds to 10 minutes."""
    most = min(_LONGEST, _SHORTEST * 2.0 ** min(tries - 1, 16))
    return random.uniform(max(_SHORTEST, most / 2), most)  # noqa: S311 - spreads load, guards nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """A release that failed, or waits.

    Args:
        standing: what is shown until it is tried again.
        again: when that is, of the monotonic clock; infinite where it is not.
    """

    pointed: Pointed
    tries: int
    standing: Standing
    again: float


class Follower:
    """Keeps one channel where its alias is. ``look`` runs in one thread at a time; the rest may be called from another.

    Args:
        poll: seconds between two looks.
    """

    def __init__(self, mapped: Mapped, ledger: Ledger, *, poll: float) -> None:
        self.mapped = mapped
        self._ledger = ledger
        self._poll = poll
        self._next_look = 0.0  # of the monotonic clock
        self._outages = 0
        self._attempt: _Attempt | None = None
        self._woken = False
        done = ledger.record(mapped.key).done
        self.standing = Standing(mapped=mapped, release=None if done is None else done.release)

    def wake(self) -> None:
        """Look at once: something may have moved."""
        self._woken = True

    def due_in(self) -> float:
        """Seconds until the next look."""
        if self._woken:
            return 0.0
        again = math.inf if self._attempt is None or self._outages else self._attempt.again
        return max(0.0, min(self._next_look, again) - time.monotonic())

    def look(self) -> None:
        """Read the alias, and release what it moved to. Nothing is raised: what went wrong is in ``standing``."""
        self._woken = False  # before the registry is read, so that whoever wakes it meanwhile is not forgotten
        try:
            self._follow(pointed_at(self.mapped.model, self.mapped.alias))
        except MlpublishError as error:  # the registry, or the disk below the state
            self._postpone(UNREACHABLE if isinstance(error, EndpointUnreachable) else RETRYING, error)
        except Exception as exc:  # noqa: BLE001 - whatever it was, the other aliases are followed on, and this one tried again
            LOG.exception("unexpected")
            self._postpone(RETRYING, _unexpected(exc))
        else:
            self._outages = 0
            self._next_look = time.monotonic() + self._poll

    def _follow(self, pointed: Pointed | None) -> None:
        record, attempt = self._ledger.record(self.mapped.key), self._attempt
        number = None if record.done is None else record.done.release
        if pointed is None:
            self._rest(Standing(mapped=self.mapped, state=NO_ALIAS, release=number))
        elif record.settled(pointed):
            self._rest(Standing(mapped=self.mapped, state=SETTLED, version=pointed.version, release=number))
        elif attempt is not None and attempt.pointed == pointed and time.monotonic() < attempt.again:
            self.standing = attempt.standing
        else:
            self._release(pointed, record)

    def _release(self, pointed: Pointed, record: Record) -> None:
        attempt = self._attempt
        tries = attempt.tries + 1 if attempt is not None and attempt.pointed == pointed else 1
        if tries == 1:
            was = None if record.done is None else record.done.pointed.version
            say("alias_moved", {**self._names(), "was": was, "version": pointed.version})
        self.standing = replace(self.standing, state=RELEASING, version=pointed.version, next_try=None)
        self._ledger.begin(self.mapped.key)
        try:
            receipt = self._released(pointed, going_back=record.done is not None)
        except MlpublishError as error:
            self._failed(pointed, error, record, tries=tries)
        except Exception as exc:  # noqa: BLE001 - a library's surprise in the middle of a release is an outcome, too
            LOG.exception("unexpected")
            self._failed(pointed, _unexpected(exc), record, tries=tries)
        else:
            self._arrived(pointed, receipt, tries=tries)

    def _released(self, pointed: Pointed, *, going_back: bool) -> Receipt:
        """An alias that moved back takes the channel back, too; but at the first sight of an alias, nobody saw it move."""
        return release(
            f"models:/{self.mapped.model}/{pointed.version}",
            app=self.mapped.app,
            to=self.mapped.to,
            channel=self.mapped.channel,
            repository=self.mapped.repository,
            name=self.mapped.name,
            progress=False,
            going_back=going_back,
        )

    def _arrived(self, pointed: Pointed, receipt: Receipt, *, tries: int) -> None:
        told = Standing(mapped=self.mapped, version=pointed.version, release=receipt.number)
        if receipt.change is not None:  # its reviewers have not signed yet
            waiting = replace(told, state=WAITING, release=self.standing.release, change=receipt.change)
            self._try_again(pointed, waiting, tries=tries)
            return
        fresh = {"version": pointed.version, "release": receipt.number, "new": receipt.created}
        say("released", {**self._names(), **fresh})
        if receipt.registry is not None and receipt.registry.state == "failed":
            error = EndpointUnreachable(receipt.registry.detail, remedy=receipt.registry.remedy)
            self._try_again(pointed, replace(told, state=RETRYING, last_error=error), tries=tries)
            return
        done = Done(pointed=pointed, release=receipt.number, sha256=receipt.sha256, at=_utc())
        self._ledger.finish(self.mapped.key, done)
        self._rest(replace(told, state=SETTLED))

    def _failed(self, pointed: Pointed, error: MlpublishError, record: Record, *, tries: int) -> None:
        """Tell the registry, and try again where that can help."""
        note_failure(self.mapped.model, pointed.version, channel=self.mapped.channel, problem=str(error))
        failed = replace(self.standing, state=FAILED, version=pointed.version, last_error=error)
        ahead = isinstance(error, Conflict) and error.field == "channel" and record.done is None  # of what nobody saw move
        if not isinstance(error, _PERMANENT) and not ahead:
            self._try_again(pointed, replace(failed, state=RETRYING), tries=tries)
            return
        if not record.begun:  # a permanent error is raised before the channel moves; an earlier try may have moved it
            self._ledger.give_up(self.mapped.key)
        say(FAILED, {**self._names(), "version": pointed.version, "error": problem_of(error)}, level=logging.ERROR)
        self._attempt = _Attempt(pointed=pointed, tries=tries, standing=failed, again=math.inf)
        self.standing = failed

    def _try_again(self, pointed: Pointed, standing: Standing, *, tries: int) -> None:
        pause = pause_after(tries)
        self.standing = replace(standing, next_try=_utc(pause))
        again = time.monotonic() + pause
        self._attempt = _Attempt(pointed=pointed, tries=tries, standing=self.standing, again=again)
        self._tell(tries)

    def _postpone(self, state: str, error: MlpublishError) -> None:
        """Look again later; what was tried, and when it is tried again, stays as it is."""
        self._outages += 1
        pause = pause_after(self._outages)
        self._next_look = time.monotonic() + pause
        self.standing = replace(self.standing, state=state, last_error=error, next_try=_utc(pause))
        self._tell(self._outages)

    def _rest(self, standing: Standing) -> None:
        """Nothing is left to do until the alias moves."""
        self._attempt = None
        if standing != self.standing:
            say(standing.state, {**self._names(), "version": standing.version, "release": standing.release})
        self.standing = standing

    def _tell(self, tries: int) -> None:
        now = self.standing
        error = None if now.last_error is None else problem_of(now.last_error)
        level = logging.WARNING if now.troubled else logging.INFO
        told = {"version": now.version, "change": now.change, "error": error, "tries": tries, "next_try": now.next_try}
        say(now.state, {**self._names(), **told}, level=level)

    def _names(self) -> dict[str, str]:
        return {"model": self.mapped.model, "alias": self.mapped.alias, "target": self.mapped.target}


def _unexpected(exc: Exception) -> InternalError:
    return InternalError(
        f"An error that mlpublish did not expect: {type(exc).__name__}.", remedy="See the watcher's log, and report it."
    )


def _utc(seconds: float = 0.0) -> str:
    """Now, or so many seconds later."""
    return f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
