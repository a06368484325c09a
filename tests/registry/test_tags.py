"""What a note says, without a registry: nothing of what people wrote is lost, no name is too long, nothing secret is told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpublish.artifacts import App, Receipt
from mlpublish.registry import tags


def receipt(number: int = 3, channel: str = "stable", **of_app: str) -> Receipt:
    app = App(**({"id": "com.acme.digits", "version": "2.0"} | of_app))
    where = "https://who:secret@updates.acme.com"
    made = Receipt(endpoint=where, app=app, number=number, name="digits", version="7", sha256="ab" * 32, created=True)
    return Receipt(**{name: getattr(made, name) for name in Receipt.__slots__} | {"channel": channel})


written = st.text(st.sampled_from("a \n.*\\1mlpublish: release"), max_size=80) | st.sampled_from(
    ["mlpublish: release 3 of com.acme.digits", "\n\nmlpublish: release 1 of com.acme.digits 2.0 (ios), channel beta, at x; y"]
)


@settings(max_examples=200)
@given(written, st.integers(1, 99), st.integers(1, 99))
def test_what_people_wrote_stays_and_each_place_has_one_paragraph(text, first, second):
    once = tags.described(text, receipt(first))
    again = tags.described(once, receipt(second))
    assert again == tags.described(text, receipt(second))
    assert again.startswith(text)
    assert tags.described(again, receipt(second)) == again
    assert tags.described(again, receipt(first, "beta")).startswith(again)


def test_a_description_that_would_be_too_long_stays_as_it_is():
    text = "x" * (tags.LONGEST_DESCRIPTION - 10)
    assert tags.described(text, receipt()) == text


def test_no_password_of_an_address_is_told():
    said = [tags.paragraph_of(receipt()), *tags.tags_of(receipt()).values(), tags.error_of("stable", receipt().endpoint)]
    assert not [each for each in said if "secret" in each]
    assert tags.tags_of(receipt())["mlpublish.endpoint"] == "https://updates.acme.com"


def test_a_name_that_mlflow_would_refuse_is_shortened_and_stays_the_places_own():
    longest = {"id": f"com.{'a' * 151}", "version": ".".join(["123456789"] * 4), "platform": "visionos"}
    keys = {tags.key_at(tags.RELEASE, receipt(channel=channel, **longest)) for channel in ("c" * 63 + "a", "c" * 63 + "b")}
    assert len(keys) == 2
    assert {len(key) for key in keys} == {250}


@pytest.mark.parametrize("platform", ["ios", "android"])
def test_a_place_is_named_as_a_deployment_is(platform):
    suffix = "" if platform == "ios" else "/android"
    assert tags.place_of(receipt(platform=platform)) == f"com.acme.digits/2.0/stable{suffix}"
