"""How a case is written: a function plays it on a forge, and says after each move what a client must answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlpublish.conformance.case import Answer, Case, Step
from mlpublish.conformance.forge import Forge
from mlpublish.formats.status import Reason, UpdateStatus

PIN_FILE = "pin.pem"


class Script:
    """Writes down what is served, and what is expected of a device that goes through it all."""

    def __init__(self) -> None:
        self.forge = Forge()
        self.files: dict[str, bytes] = {}
        self.steps: list[Step] = []
        self._trust: dict[str, str] = {}
        self._states: list[Mapping[str, bytes]] = []

    def begins_with(self, forge: Forge, *, pin: bytes | None = None) -> Forge:
        """Play on another forge than the usual one."""
        self.forge = forge
        if pin is not None:
            self.files[PIN_FILE] = pin
            self._trust = {"pin": PIN_FILE}
        return forge

    def embeds_its_root(self) -> None:
        """From now on the app embeds the root that is served then, as it does that of the first step."""
        self._trust = {}

    def installs(self, number: int, **step: Any) -> None:
        """A check that goes well and leaves the release in use that the channel offers."""
        self._asks(Answer.of(UpdateStatus.SUCCESS, installed=number, offered=number), step)

    def brings_nothing(self, reason: Reason, *, installed: int | None = None, offered: int | None = None, **step: Any) -> None:
        """A check that goes well and brings nothing new, for a reason."""
        self._asks(Answer.of(UpdateStatus.SUCCESS, installed=installed, offered=offered, reason=reason), step)

    def fails(
        self,
        status: UpdateStatus = UpdateStatus.FAILURE_INTEGRITY,
        *,
        installed: int | None = None,
        offered: int | None = None,
        **step: Any,
    ) -> None:
        """A check that ends so and changes nothing."""
        self._asks(Answer.of(status, installed=installed, offered=offered), step)

    def _asks(self, expected: Answer, step: dict[str, Any]) -> None:
        """Note a step.

        Args:
            step: members of Step that are not the usual; ``app_version`` and ``platform`` replace those of the forge's app.
        """
        who = {"version": step.pop("app_version", None), "platform": step.pop("platform", None)}
        app = replace(self.forge.app, **{name: value for name, value in who.items() if value is not None})
        state = self._state()
        self._trust = self._trust or {"root": f"{state}/{self.forge.path_of_root(1)}"}
        given: dict[str, Any] = {"serve": state, "app": app, "channel": "stable", "expect": expected} | self._trust
        self.steps.append(Step(**(given | step)))

    def _state(self) -> str:
        """The folder of what the forge has now; a state that was served before keeps its own."""
        if self.forge.files not in self._states:
            self._states.append(dict(self.forge.files))
            number = len(self._states)
            self.files |= {f"{number}/{path}": content for path, content in self.forge.files.items()}
        return str(self._states.index(self.forge.files) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A case that is not made yet."""

    name: str
    group: str
    shows: str
    play: Callable[[Script], None]

    def made(self) -> Case:
        """The case, with all its files."""
        script = Script()
        self.play(script)
        return Case(name=self.name, group=self.group, shows=self.shows, steps=tuple(script.steps), files=script.files)


class Group:
    """Cases of one kind; as a decorator it takes what a case shows, and the function that plays it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scenarios: list[Scenario] = []

    def __call__(self, shows: str) -> Callable[[Callable[[Script], None]], Callable[[Script], None]]:
        def taken(play: Callable[[Script], None]) -> Callable[[Script], None]:
            self.add(play.__name__.replace("_", "-"), shows, play)
            return play

        return taken

    def add(self, name: str, shows: str, play: Callable[[Script], None]) -> None:
        """One more case."""
        self.scenarios.append(Scenario(name=name, group=self.name, shows=shows, play=play))
