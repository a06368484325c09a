"""MLflow's webhooks, verified: who sent it, when, and whether it is about an alias that is followed; nothing here acts.

A delivery is signed as Standard Webhooks has it (measured with MLflow 3.17):

    X-MLflow-Delivery-Id: <uuid>
    X-MLflow-Timestamp: <unix seconds>
    X-MLflow-Signature: v1,<base64 of HMAC-SHA256(secret, "<delivery id>.<timestamp>." + body)>

MLflow sends no signature for a webhook that has no secret; such a delivery is refused. Its ``test_webhook`` sends a validly
signed event of the model ``example_model`` and the alias ``example_alias``, and nothing else tells it from a real one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mlpublish.errors import EndpointRefused
from mlpublish.formats.wire import Reader

ID, TIMESTAMP, SIGNATURE = "X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature"
WINDOW = 300  # seconds that a delivery's clock may differ from ours, both ways
MAX_BODY = 64 * 1024  # bytes; an alias event has a few hundred
ENTITY, ACTIONS = "model_version_alias", ("created", "deleted")
_TEST = ("example_model", "example_alias")
# Id, timestamp and body are signed joined by dots: an id with a dot would let bytes move from one into the other.
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What an authentic delivery says.

    Args:
        delivery: its id; a delivery that MLflow repeats has the same one.
        sent: when it was sent, in unix seconds.
        model, alias: empty where the event is about something else.
        version: the version that the alias was set to, for the log alone: only the registry knows where it points now.
    """

    delivery: str
    sent: int
    entity: str
    action: str
    model: str = ""
    alias: str = ""
    version: str | None = None

    def ignored(self, followed: Collection[tuple[str, str]]) -> str | None:
        """Why this event is none of ours; None if it is.

        Args:
            followed: the pairs of model and alias that are.
        """
        if self.entity != ENTITY or self.action not in ACTIONS:
            return f"{self.entity}.{self.action} is not about an alias"
        if (self.model, self.alias) in followed:
            return None
        if (self.model, self.alias) == _TEST:
            return "a test event"
        return f"{self.model}@{self.alias} is not followed"


def event_of(headers: Mapping[str, str], body: bytes, *, secret: str, now: float) -> Event:
    """Verify a delivery and read it.

    Args:
        headers: the request's; names are looked up as MLflow writes them, so the mapping should ignore case.
        body: its raw bytes.
        secret: the webhook's.
        now: unix seconds.

    Raises:
        EndpointRefused: 401 it is not signed, not with this secret, or not now; 400 a header is missing or none; 413 too long.
        FormatError: it is authentic, and no event of MLflow's form.
    """
    if len(body) > MAX_BODY:
        raise EndpointRefused(f"The body has more than {MAX_BODY} bytes.", remedy="Send an MLflow event.", status=413)
    given = headers.get(SIGNATURE)
    if given is None:
        raise EndpointRefused(
            "The delivery is not signed.",
            remedy="Give the webhook in MLflow the watcher's secret.",
            field=SIGNATURE,
            status=401,
        )
    delivery, seconds = _header(headers, ID, _ID), _header(headers, TIMESTAMP, _SECONDS)
    if not _is_signed(given, delivery, seconds, body, secret):
        raise EndpointRefused(
            "The signature does not fit the delivery.",
            remedy="Give the webhook in MLflow the secret that [watch] secret names.",
            field=SIGNATURE,
            status=401,
        )
    if abs(now - int(seconds)) > WINDOW:
        raise EndpointRefused(
            f"The delivery was sent more than {WINDOW} seconds away from now.",
            remedy="Set both clocks; an old delivery is not taken again.",
            field=TIMESTAMP,
            status=401,
        )
    return _read(Reader.parse(body, what="the webhook"), delivery, int(seconds))


def sign(delivery: str, seconds: str, body: bytes, secret: str) -> str:
    """The signature header that MLflow sends."""
    content = f"{delivery}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()


def _is_signed(given: str, delivery: str, seconds: str, body: bytes, secret: str) -> bool:
    """Whether one of the signatures is right; there are several, with spaces between, while a secret is being replaced.

    The text is compared, not the bytes that it encodes: base64 writes the same bytes in more than one way.
    """
    right = sign(delivery, seconds, body, secret).encode()
    # A header's stray bytes arrive as surrogates, which UTF-8 has none for. All are compared, whichever fits.
    fits = [hmac.compare_digest(each.encode(errors="backslashreplace"), right) for each in given.split(" ")]
    return any(fits)


def _header(headers: Mapping[str, str], name: str, form: re.Pattern[str]) -> str:
    value = headers.get(name, "")
    if form.fullmatch(value) is None:
        raise EndpointRefused(f"{name} is missing, or is none.", remedy="Send it as MLflow does.", field=name, status=400)
    return value


def _read(reader: Reader, delivery: str, sent: int) -> Event:
    entity, action, data = reader.text("entity"), reader.text("action"), reader.inner("data")
    if entity != ENTITY:
        return Event(delivery=delivery, sent=sent, entity=entity, action=action)
    return Event(
        delivery=delivery,
        sent=sent,
        entity=entity,
        action=action,
        model=data.text("name"),
        alias=data.text("alias"),
        version=data.optional("version", data.text),
    )
