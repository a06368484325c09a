"""Addresses that are shown name no user and no password."""

from __future__ import annotations

import pytest

from mlpublish.addresses import without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:geheim@host/a", "https://host/a"),
        ("at http://me:ge@heim@host:80, and s3://geheim@bucket", "at http://host:80, and s3://bucket"),
        ("http://host/models:/digits@champion", "http://host/models:/digits@champion"),
    ],
)
def test_an_address_is_shown_without_its_credentials(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
