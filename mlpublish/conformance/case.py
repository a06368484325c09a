"""A case: what is served, who asks, and what a client must answer; as values and as ``case.json`` (docs/write-a-client.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlpublish.artifacts import App
from mlpublish.errors import FormatError, RecipeError
from mlpublish.formats.channel import NAME
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.formats.wire import Reader, dump

CASE = "case.json"
CASE_FORMAT = 1
CASE_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
_ARGUMENT = r"[^\x00-\x1f\x7f]{1,200}"  # what any system passes to a program


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client says of one check.

    Args:
        status: one of the nine (docs/statuses.md).
        exit_code: the status's own.
        installed: the release number in use afterwards.
        offered: the release number that the channel points this device at, as soon as the client knows it.
        reason: why nothing new arrived, where all went well.
        detail: what happened in the client's own words; shown where it is wrong, never compared.
    """

    status: str
    exit_code: int
    installed: int | None = None
    offered: int | None = None
    reason: str | None = None
    detail: str | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls, status: UpdateStatus, *, installed: int | None = None, offered: int | None = None, reason: Reason | None = None
    ) -> Answer:
        """The answer that goes with a status."""
        why = None if reason is None else reason.value
        return cls(status=status.value, exit_code=status.exit_code, installed=installed, offered=offered, reason=why)

    def __str__(self) -> str:
        told = {"installed": self.installed, "offered": self.offered, "reason": self.reason}
        facts = [f"{name} {value}" for name, value in told.items() if value is not None]
        said = "" if self.detail is None else f" ({self.detail})"
        return ", ".join([self.status, *facts, f"exit code {self.exit_code}"]) + said

    def to_dict(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "exit_code": self.exit_code,
            "installed": self.installed,
            "offered": self.offered,
            "reason": self.reason,
            **({} if self.detail is None else {"detail": self.detail}),
        }

    @classmethod
    def from_reader(cls, reader: Reader, *, exit_code: int | None = None) -> Answer:
        """Read an answer.

        Args:
            exit_code: the one that was seen, for what a client printed.
        """
        return cls(
            status=reader.text("status"),
            exit_code=reader.whole_number("exit_code") if exit_code is None else exit_code,
            installed=reader.optional("installed", reader.whole_number),
            offered=reader.optional("offered", reader.whole_number),
            reason=reader.optional("reason", reader.text),
            detail=reader.optional("detail", reader.text),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """What the host does instead of simply serving a file.

    Args:
        path: the end of the path whose answers are bent.
        status: answer with this error status.
        page: answer 200 with a web page, as a captive portal does.
        cut: close the connection after so many bytes of the file.
        starts: answer a Range with 206 from this byte on, whatever byte was asked for.
        whole: answer a Range with 200 and the whole file.
        spaces: send so many spaces behind the file, and do not say how long the answer is.
    """

    path: str
    status: int | None = None
    page: bool = False
    cut: int | None = None
    starts: int | None = None
    whole: bool = False
    spaces: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Without the members that change nothing."""
        members = {name: getattr(self, name) for name in ("path", "status", "page", "cut", "starts", "whole", "spaces")}
        return {name: value for name, value in members.items() if value is not None and value is not False and value != 0} | (
            {} if self.starts is None else {"starts": self.starts}
        )

    @classmethod
    def from_reader(cls, reader: Reader) -> Bend:
        return cls(
            path=reader.text("path"),
            status=reader.optional("status", lambda name: reader.whole_number(name, least=400, most=599)),
            page=reader.optional("page", reader.truth) or False,
            cut=reader.optional("cut", reader.whole_number),
            starts=reader.optional("starts", reader.whole_number),
            whole=reader.optional("whole", reader.truth) or False,
            spaces=reader.optional("spaces", lambda name: reader.whole_number(name, most=100_000_000)) or 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One check of a case; the device stays the same from step to step.

    Args:
        serve: the folder of the case that is served.
        root: the file of the case that the app embeds, often one of those that are served; or
        pin: the file with the key that it pins.
        resumed_at: the byte at which the bundle must be asked for, where going on is the point.
    """

    serve: str
    app: App
    channel: str
    expect: Answer
    root: str | None = None
    pin: str | None = None
    device_id: str | None = None
    os_version: str | None = None
    shipped_release: int | None = None
    bend: Bend | None = None
    resumed_at: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Without the members that are None."""
        members = {
            "serve": self.serve,
            "app": self.app.id,
            "app_version": self.app.version,
            "platform": self.app.platform,
            "channel": self.channel,
            "root": self.root,
            "pin": self.pin,
            "device_id": self.device_id,
            "os_version": self.os_version,
            "shipped_release": self.shipped_release,
            "bend": None if self.bend is None else self.bend.to_dict(),
            "resumed_at": self.resumed_at,
            "expect": self.expect.to_dict(),
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def from_reader(cls, reader: Reader) -> Step:
        root, pin = reader.optional("root", reader.text), reader.optional("pin", reader.text)
        if (root is None) is (pin is None):
            reader.refuse("root", "there, or pin instead of it")

        def argument(name: str) -> str:
            return reader.text(name, _ARGUMENT)

        return cls(
            serve=reader.text("serve", r"[0-9]{1,3}"),
            app=_app_of(reader),
            channel=reader.text("channel", NAME),
            root=root,
            pin=pin,
            device_id=reader.optional("device_id", argument),
            os_version=reader.optional("os_version", argument),
            shipped_release=reader.optional("shipped_release", reader.whole_number),
            bend=reader.optional("bend", lambda name: Bend.from_reader(reader.inner(name))),
            resumed_at=reader.optional("resumed_at", reader.whole_number),
            expect=Answer.from_reader(reader.inner("expect")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that a client must get right.

    Args:
        group: the kind of thing, such as ``signatures``.
        shows: it in one sentence.
        files: what lies in the case's folder: ``1/<app id>/metadata/…``, ``pin.pem``.
    """

    name: str
    group: str
    shows: str
    steps: tuple[Step, ...]
    files: Mapping[str, bytes] = field(repr=False)

    def made(self) -> Case:
        """Itself: a case that was read is chosen among as one that is not made yet."""
        return self

    def served(self, step: Step) -> dict[str, bytes]:
        """What a static host has at a step: ``<app id>/metadata/…`` and so on."""
        folder = f"{step.serve}/"
        return {path.removeprefix(folder): content for path, content in self.files.items() if path.startswith(folder)}

    def to_bytes(self) -> bytes:
        """Its ``case.json``."""
        return dump(
            {
                "format": CASE_FORMAT,
                "name": self.name,
                "group": self.group,
                "shows": self.shows,
                "steps": [step.to_dict() for step in self.steps],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, files: Mapping[str, bytes], *, what: str = CASE) -> Case:
        """Read a ``case.json`` that lies beside these files.

        Args:
            what: what errors call it.

        Raises:
            FormatError: it is none, has no step, or names a file that is not there.
        """
        reader = Reader.parse(data, what=what)
        reader.version("format", known=CASE_FORMAT)
        steps = tuple(Step.from_reader(each) for each in reader.each("steps"))
        if not steps:
            reader.refuse("steps", "a list of at least one step")  # every client would pass
        for name in (step.root or step.pin or "" for step in steps):
            if name not in files:
                raise FormatError(
                    f"{what} names {name!r}, which is not there.", remedy="Save the vectors again.", field="steps"
                )
        return cls(
            name=reader.text("name", CASE_NAME),
            group=reader.text("group", CASE_NAME),
            shows=reader.text("shows"),
            steps=steps,
            files=files,
        )


def _app_of(reader: Reader) -> App:
    """Who asks.

    Raises:
        FormatError: there is no such app, version or platform.
    """
    try:
        return App(id=reader.text("app"), platform=reader.text("platform"), version=reader.text("app_version"))
    except RecipeError as exc:
        place = reader.place(exc.field or "app")
        raise FormatError(f"{reader.what}: {place}: {exc.problem}", remedy=exc.remedy, field=place) from exc
