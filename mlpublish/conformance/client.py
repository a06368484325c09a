"""A client under test: a command line that is called as ``mlpublish check --json`` is, and answers on stdout."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from mlpublish.conformance.case import Answer, Step
from mlpublish.errors import FormatError, RecipeError
from mlpublish.formats.wire import MAX_DOCUMENT, Reader

_LAST = 400  # characters of stderr that are told
_GLANCE = 0.05  # seconds between two looks at how much a client has printed


class NoAnswer(Exception):
    """A client did not answer as docs/write-a-client.md says; the message says how. Never seen outside this folder."""


class Client:
    """Calls a command, never through a shell.

    Args:
        entrypoint: program and arguments, split as a shell would.
        timeout: seconds for one call.
    """

    def __init__(self, entrypoint: str, *, timeout: float) -> None:
        self._command = _command(entrypoint)
        self._timeout = timeout
        self._running: set[subprocess.Popen[bytes]] = set()
        self._has_started = self._has_ended = False

    def ask(self, step: Step, *, at: str, device: Path, trusted: Path) -> Answer:
        """Play one check.

        Args:
            at: the host's URL.
            device: the device's folder, the same in every step of a case.
            trusted: the root that the app embeds, or the key that it pins.

        Raises:
            NoAnswer: it did not end in time, or printed no answer, or one without end.
            RecipeError: the system cannot run it at all.
        """
        with TemporaryFile() as stdout, TemporaryFile() as stderr:  # not pipes: what a client leaves running could hold them
            code = self._run([*self._command, *arguments_of(step, at, device, trusted)], stdout, stderr)
            try:
                return answer_in(_read(stdout), code)
            except FormatError as exc:
                told = _read(stderr).decode(errors="replace").strip()[-_LAST:]
                said = f" It said: {told}" if told else ""
                raise NoAnswer(f"exit code {code} without an answer: {exc.problem}{said}") from exc

    def end(self) -> None:
        """End what runs, and what another thread starts from now on: it may be between two steps of a case."""
        self._has_ended = True
        for process in list(self._running):
            _end(process)

    def _run(self, command: Sequence[str], stdout: BinaryIO, stderr: BinaryIO) -> int:
        process = self._started(command, stdout, stderr)
        self._running.add(process)
        try:
            if self._has_ended:  # looked at once ``end`` could see the process: one of the two ends it
                raise NoAnswer("nothing is asked any more")
            return self._awaited(process, stdout, stderr)
        finally:
            _end(process)  # and what it leaves running, which could write into the next step
            self._running.discard(process)

    def _started(self, command: Sequence[str], stdout: BinaryIO, stderr: BinaryIO) -> subprocess.Popen[bytes]:
        """A process, in a group of its own; a program that never ran is a mistake of the call, not an answer."""
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=_environment(), process_group=0
            )
        except OSError as exc:
            if self._has_started:
                raise NoAnswer(f"it cannot be started any more: {exc.strerror}") from exc
            raise RecipeError(
                f"{command[0]!r} cannot be run: {exc.strerror}.",
                remedy="Make it a program of this system, or a script whose first line names an interpreter that is there.",
                field="entrypoint",
            ) from exc
        self._has_started = True
        return process

    def _awaited(self, process: subprocess.Popen[bytes], *outputs: BinaryIO) -> int:
        """The exit code; a client that prints without end is not waited for, since it would fill the disk."""
        until, code = time.monotonic() + self._timeout, None
        while code is None:
            if time.monotonic() > until:
                raise NoAnswer(f"no answer within {self._timeout:g} s")
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(_GLANCE)
            if any(os.fstat(output.fileno()).st_size > MAX_DOCUMENT for output in outputs):
                raise NoAnswer(f"it printed more than {MAX_DOCUMENT} bytes")
        return code


def _command(entrypoint: str) -> list[str]:
    try:
        command = shlex.split(entrypoint)
    except ValueError as exc:
        raise RecipeError(f"{entrypoint!r} is no command line: {exc}.", remedy="Close its quotes.", field="entrypoint") from exc
    if not command or shutil.which(command[0]) is None:
        raise RecipeError(
            f"There is no program {command[0] if command else ''!r}.",
            remedy="Name the client as you would call it, such as --entrypoint 'python my_client.py'.",
            field="entrypoint",
        )
    return command


def arguments_of(step: Step, at: str, device: Path, trusted: Path) -> list[str]:
    """The command line that docs/write-a-client.md defines."""
    arguments = ["--at", at, "--app", step.app.id, "--app-version", step.app.version, "--platform", step.app.platform]
    arguments += ["--channel", step.channel, "--device", str(device)]
    arguments += ["--root" if step.root is not None else "--pin", str(trusted), "--json"]
    told = {"device-id": step.device_id, "os-version": step.os_version, "shipped-release": step.shipped_release}
    return arguments + [part for name, value in told.items() if value is not None for part in (f"--{name}", str(value))]


def _environment() -> dict[str, str]:
    """A proxy cannot reach our loopback."""
    return os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def answer_in(printed: bytes, code: int) -> Answer:
    """What a client printed and ended with.

    Raises:
        FormatError: it is no answer.
    """
    reader = Reader.parse(printed, what="what it printed")
    if reader.has("error"):
        raise FormatError(
            f"it reports an error, {reader.inner('error').text('message')}", remedy="Answer with a status.", field="error"
        )
    return Answer.from_reader(reader.inner("result") if reader.has("result") else reader, exit_code=code)


def _read(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read(MAX_DOCUMENT)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a client and what it started, but for what went into a session of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing of it runs; the latter is how macOS says so
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
