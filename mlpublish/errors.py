"""One tree of errors; each carries the fact and the way out.

A library's own error is wrapped once, in its adapter, ``from exc``. Doors (the command line, MLflow, an orchestrator)
translate; ``exit_code`` and ``code`` are here so that every door says the same (docs/exit-codes.md).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlpublish.shown import Shown


class MlpublishError(Exception):
    """Something that mlpublish was asked for cannot be done.

    Args:
        problem: the fact, in one line, without a secret.
        remedy: what the reader can do about it.
        field: the input that is to blame, where there is one (``files[3].path``).
    """

    exit_code = 1
    retryable = False

    def __init__(self, problem: str, *, remedy: str, field: str | None = None) -> None:
        self.problem = _harmless(problem)
        super().__init__(self.problem)
        self.remedy = remedy
        self.field = field

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"

    def __reduce__(self) -> tuple[object, ...]:  # a process that works for another hands its error over
        return _made_again, (type(self), self.problem, self.remedy), self.__dict__

    @property
    def code(self) -> str:
        """The class name in snake_case, the same in every door (``endpoint_unreachable``)."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()


_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LONGEST = 20_000  # characters: the fact stands in front, and a log line is no place for a file's content


def _harmless(problem: str) -> str:
    """What a file says of itself (a name, an id) must not steer the terminal that shows a traceback, nor fill it."""
    plain = _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", problem[:_LONGEST])
    return plain if len(problem) <= _LONGEST else f"{plain}… ({len(problem)} characters)"


def _made_again(kind: type[MlpublishError], problem: str, remedy: str) -> MlpublishError:
    return kind(problem, remedy=remedy)


class RecipeError(MlpublishError):
    """A setting, a keyword or a configuration file asks for something that cannot be meant."""

    exit_code = 2


class UnknownScheme(MlpublishError):
    """No adapter is installed for a URI's scheme or a model's framework."""

    exit_code = 2


class InternalError(MlpublishError):
    """A server failed in a way that nobody foresaw; what happened is in its log under the id that it tells."""

    retryable = True


class MissingExtra(MlpublishError):
    """An optional library is needed and not installed."""


class NotFound(MlpublishError):
    """A thing that was named does not exist where it was looked for."""

    exit_code = 6


class FormatError(MlpublishError):
    """A document is not what its format says; ``field`` names the place."""


class NewerFormat(FormatError):
    """A document is of a format version that this mlpublish does not know yet."""


class BundleError(MlpublishError):
    """A bundle cannot be made or read."""


class SigningError(MlpublishError):
    """A key could not be opened or used, or a role could not be made."""


class StorageError(MlpublishError):
    """The disk, the object store or the database refused."""


class ConversionError(MlpublishError):
    """A model cannot be converted."""


class ParityError(ConversionError):
    """The saved Core ML file does not answer as the source model does.

    Args:
        report: the ParityReport that failed; a notebook shows it with a plot.
    """

    def __init__(self, problem: str, *, remedy: str, field: str | None = None, report: Shown | None = None) -> None:
        super().__init__(problem, remedy=remedy, field=field)
        self.report = report


class VerificationError(MlpublishError):
    """A signature, a digest or a rule of trust does not hold."""

    exit_code = 3


class ThresholdNotMet(VerificationError):
    """Fewer signatures than the role's threshold are valid."""


class Expired(VerificationError):
    """A role's metadata has run out."""


class RolledBack(VerificationError):
    """An older version was offered than one already seen."""


class DigestMismatch(VerificationError):
    """Bytes are not those that were signed."""


class PublishError(MlpublishError):
    """An endpoint did not take what was offered."""


class EndpointRefused(PublishError):
    """The endpoint answered and said no.

    Args:
        status: its HTTP status, or the nearest one for endpoints that are not HTTP.
    """

    def __init__(self, problem: str, *, remedy: str, field: str | None = None, status: int = 400) -> None:
        super().__init__(problem, remedy=remedy, field=field)
        self.status = status
        if status in (401, 403):
            self.exit_code = 4
        elif status == 404:
            self.exit_code = 6


class EndpointUnreachable(PublishError):
    """The endpoint did not answer, or answered that it cannot now (429, 5xx)."""

    exit_code = 7
    retryable = True


class AlreadyPublished(PublishError):
    """The release number stands for other bytes already."""

    exit_code = 5


class Conflict(PublishError):
    """Somebody else changed the same thing in the meantime; the edit must be made again from the new state."""

    exit_code = 5
