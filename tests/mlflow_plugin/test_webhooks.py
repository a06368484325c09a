"""A delivery is MLflow's, of now, and about a followed alias; or it is refused, or ignored with a reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.webhooks.delivery import _generate_hmac_signature
from mlflow.webhooks.types import ModelVersionAliasCreatedPayload, ModelVersionAliasDeletedPayload

from mlpublish.errors import EndpointRefused, FormatError
from mlpublish.mlflow_plugin.webhooks import ID, MAX_BODY, SIGNATURE, TIMESTAMP, WINDOW, Event, event_of, sign

SECRET, NOW = "correct horse battery staple", 1_790_000_000
DELIVERY = "0b0f2b9e-7d0c-4d53-8d8f-0a8b1f6f7a11"


def body_of(entity: str = "model_version_alias", action: str = "created", **data: object) -> bytes:
    told = data or {"name": "digits", "alias": "champion", "version": "2"}
    return json.dumps({"entity": entity, "action": action, "timestamp": "2026-11-24T12:00:00+00:00", "data": told}).encode()


BODY = body_of()


def headers_for(body: bytes = BODY, *, at: int = NOW, delivery: str = DELIVERY, secret: str = SECRET) -> dict[str, str]:
    return {ID: delivery, TIMESTAMP: str(at), SIGNATURE: sign(delivery, str(at), body, secret)}


def read(headers: dict[str, str], body: bytes = BODY, *, now: float = NOW) -> Event:
    return event_of(headers, body, secret=SECRET, now=now)


def test_what_mlflow_signs_is_read() -> None:
    signature = _generate_hmac_signature(SECRET, DELIVERY, str(NOW), BODY.decode())
    event = read({ID: DELIVERY, TIMESTAMP: str(NOW), SIGNATURE: signature})
    assert event == Event(
        delivery=DELIVERY,
        sent=NOW,
        entity="model_version_alias",
        action="created",
        model="digits",
        alias="champion",
        version="2",
    )
    assert event.ignored({("digits", "champion")}) is None


def test_one_right_signature_among_several_is_enough() -> None:
    headers = headers_for()
    old = sign(DELIVERY, str(NOW), BODY, "the secret before")
    assert read(headers | {SIGNATURE: f"{old} {headers[SIGNATURE]}"}) == read(headers)
    with pytest.raises(EndpointRefused):
        read(headers | {SIGNATURE: f"{old} {old}"})


@settings(max_examples=200)
@given(place=st.integers(0, len(BODY) - 1), byte=st.integers(1, 255))
def test_no_altered_byte_of_the_body_verifies(place: int, byte: int) -> None:
    altered = BODY[:place] + bytes([BODY[place] ^ byte]) + BODY[place + 1 :]
    with pytest.raises(EndpointRefused) as refused:
        read(headers_for(), altered)
    assert refused.value.status == 401


@settings(max_examples=300)
@given(name=st.sampled_from([ID, TIMESTAMP, SIGNATURE]), data=st.data())
def test_no_altered_character_of_a_header_verifies(name: str, data: st.DataObject) -> None:
    headers = headers_for()
    value = headers[name]
    place = data.draw(st.integers(0, len(value)))
    cut = data.draw(st.integers(place, min(place + 1, len(value))))
    altered = value[:place] + data.draw(st.text(max_size=2)) + value[cut:]
    if value in (altered.split(" ") if name == SIGNATURE else [altered]):  # more beside the right signature alters nothing
        return
    with pytest.raises(EndpointRefused) as refused:
        read(headers | {name: altered})
    assert refused.value.status in (400, 401)


@pytest.mark.parametrize("name", [ID, TIMESTAMP, SIGNATURE])
def test_stray_bytes_in_a_header_are_refused(name: str) -> None:
    stray = b"v1,\xff".decode(errors="surrogateescape")  # as aiohttp hands them on
    with pytest.raises(EndpointRefused) as refused:
        read(headers_for() | {name: stray})
    assert refused.value.field == name


def test_the_unused_bits_of_base64_count_too() -> None:
    """The last character before ``=`` has two bits that decode to nothing: four texts, one digest, one signature."""
    headers = headers_for()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet.index(headers[SIGNATURE][-2])
    same = headers[SIGNATURE][:-2] + alphabet[last ^ 1] + "="
    with pytest.raises(EndpointRefused):
        read(headers | {SIGNATURE: same})


def test_bytes_cannot_move_between_id_timestamp_and_body() -> None:
    body = b'x.1790000000.{"entity": "model_version_alias"}'
    signature = sign("one", str(NOW), body, SECRET)
    with pytest.raises(EndpointRefused) as refused:
        read({ID: f"one.{NOW}.x", TIMESTAMP: "1790000000", SIGNATURE: signature}, body.partition(b".1790000000.")[2])
    assert refused.value.field == ID


@pytest.mark.parametrize("missing", [ID, TIMESTAMP, SIGNATURE])
def test_a_header_that_is_missing_is_refused(missing: str) -> None:
    headers = headers_for()
    del headers[missing]
    with pytest.raises(EndpointRefused) as refused:
        read(headers)
    assert (refused.value.status, refused.value.field) == (401 if missing == SIGNATURE else 400, missing)


@pytest.mark.parametrize("away", [-WINDOW, 0, WINDOW])
def test_within_the_window_a_delivery_is_taken(away: int) -> None:
    assert read(headers_for(at=NOW + away)).sent == NOW + away


@pytest.mark.parametrize("away", [-WINDOW - 1, WINDOW + 1, -NOW])
def test_outside_of_the_window_it_is_refused(away: int) -> None:
    with pytest.raises(EndpointRefused, match="300 seconds") as refused:
        read(headers_for(at=NOW + away))
    assert refused.value.status == 401


def test_a_body_that_is_too_long_is_not_even_hashed() -> None:
    with pytest.raises(EndpointRefused) as refused:
        read({}, bytes(MAX_BODY + 1))
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"entity": "model_version_alias", "entity": "x", "action": "created", "data": {}}',
        b'{"entity": "model_version_alias", "action": NaN, "data": {}}',
        body_of(name="digits"),
        body_of(name=7, alias="champion"),
        body_of(name="digits", alias="champion", version=2),
        BODY.decode().encode("utf-16"),
    ],
)
def test_an_authentic_body_of_another_form_is_a_format_error(body: bytes) -> None:
    with pytest.raises(FormatError):
        read(headers_for(body), body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (body_of(**ModelVersionAliasCreatedPayload.example()), "a test event"),
        (body_of(action="deleted", **ModelVersionAliasDeletedPayload.example()), "a test event"),
        (body_of(name="digits", alias="challenger", version="2"), "digits@challenger is not followed"),
        (body_of(name="other", alias="champion", version="2"), "other@champion is not followed"),
        (body_of("registered_model", "created", name="digits"), "registered_model.created is not about an alias"),
        (body_of("prompt_alias", "created", name="digits", alias="champion"), "prompt_alias.created is not about an alias"),
        (body_of(action="moved"), "model_version_alias.moved is not about an alias"),
    ],
)
def test_what_is_none_of_ours_is_ignored_with_a_reason(body: bytes, why: str) -> None:
    assert read(headers_for(body), body).ignored({("digits", "champion")}) == why


def test_a_followed_model_that_is_called_as_mlflows_example_is_no_test_event() -> None:
    body = body_of(**ModelVersionAliasCreatedPayload.example())
    assert read(headers_for(body), body).ignored({("example_model", "example_alias")}) is None


def test_a_deleted_alias_is_an_event_without_a_version() -> None:
    body = body_of(action="deleted", name="digits", alias="champion")
    event = read(headers_for(body), body)
    assert (event.version, event.ignored({("digits", "champion")})) == (None, None)
