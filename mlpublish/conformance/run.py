"""``mlpublish conformance``: ask a client every case, and hold its answers against those that are expected."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from mlpublish.conformance import vectors as folders
from mlpublish.conformance.case import Answer, Case, Step
from mlpublish.conformance.catalogue import chosen, scenarios
from mlpublish.conformance.client import Client, NoAnswer
from mlpublish.conformance.host import Host
from mlpublish.conformance.report import CaseResult, ConformanceReport
from mlpublish.errors import RecipeError

_MOST_JOBS = 64


def conformance(
    entrypoint: str,
    *,
    names: Sequence[str] = (),
    vectors: Path | None = None,
    timeout: float = 60.0,
    jobs: int = 1,
    heard: Callable[[CaseResult, int], object] = lambda *_: None,
) -> ConformanceReport:
    """Ask a client the cases.

    Args:
        entrypoint: the client's command line (docs/write-a-client.md says what is added to it), split as a shell would.
        names: which cases, or patterns such as ``rollout-*``; by default all.
        vectors: a folder of cases; by default they are made here.
        timeout: seconds for one call of the client.
        jobs: how many cases run at once, each with its own host and device.
        heard: called with each result, in order, and with how many there will be.

    Returns:
        A ConformanceReport; a client that does not answer, or breaks what is around it, is a failed case, not an error.

    Raises:
        RecipeError: there is no such program, or the system cannot run it; or a number is none that can be meant.
        NotFound: there is no case of a name, or none in the folder.
        FormatError: a ``case.json`` is none.
    """
    if not (math.isfinite(timeout) and timeout > 0):
        raise RecipeError(f"timeout is {timeout:g}.", remedy="Give more than 0 seconds.", field="timeout")
    if not 1 <= jobs <= _MOST_JOBS:
        raise RecipeError(f"jobs is {jobs}.", remedy=f"Give 1 to {_MOST_JOBS}.", field="jobs")
    client = Client(entrypoint, timeout=timeout)
    cases = [case.made() for case in chosen(scenarios() if vectors is None else folders.read(vectors), names)]
    pool, results = ThreadPoolExecutor(jobs), []
    try:
        for result in pool.map(lambda case: _played(client, case), cases):
            heard(result, len(cases))
            results.append(result)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        client.end()
    return ConformanceReport(entrypoint=entrypoint, results=tuple(results))


def _played(client: Client, case: Case) -> CaseResult:
    """One case from its first step to its last, or to the first that goes wrong."""
    began, number, problem, got = time.monotonic(), 0, None, None
    try:
        with Host.running() as host, _scratch() as folder:
            while problem is None and number < len(case.steps):
                number += 1
                problem, got = _asked(client, case, case.steps[number - 1], host, folder)
    except OSError as exc:  # a client can take the folder away, or use up what this process may open; the others go on
        problem, got = f"it could not be asked: {exc}", None
    result = CaseResult(name=case.name, group=case.group, shows=case.shows, seconds=time.monotonic() - began)
    if problem is None:
        return result
    number = max(number, 1)
    return replace(result, step=number, problem=problem, expected=case.steps[number - 1].expect, got=got)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for one case; what cannot be removed afterwards stays, and spoils no result."""
    scratch = TemporaryDirectory(prefix="mlpublish-conformance-", ignore_cleanup_errors=True)  # something may still write there
    try:
        yield Path(scratch.name)
    finally:
        with contextlib.suppress(OSError):  # another user's files, as a client in a container leaves them
            scratch.cleanup()


def _asked(client: Client, case: Case, step: Step, host: Host, folder: Path) -> tuple[str | None, Answer | None]:
    """What is wrong with the answer to one step, if anything; and the answer, if there was one."""
    host.serve(case.served(step), step.bend)
    try:
        got = client.ask(step, at=host.url, device=folder / "device", trusted=_laid_out(case, step, folder))
    except NoAnswer as exc:
        return f"expected {step.expect}; {exc}", None
    if got != step.expect:
        return f"expected {step.expect}; got {got}", got
    return _not_resumed(host, step), got


def _laid_out(case: Case, step: Step, folder: Path) -> Path:
    """What the app trusts, as a file."""
    name = step.root or step.pin or ""
    file = folder / PurePosixPath(name).name
    file.write_bytes(case.files[name])
    return file


def _not_resumed(host: Host, step: Step) -> str | None:
    """Where a download had to go on, whether it did."""
    asked = next((start for path, start in host.ranges.items() if path.endswith("bundle.zip")), 0)
    if step.resumed_at is None or asked == step.resumed_at:
        return None
    return f"the bundle was asked for from byte {asked}, not from {step.resumed_at} (Range)"
