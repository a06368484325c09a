"""A key URI is taken apart the same way for every scheme, and put under a settings file's folder without losing its query."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mlpublish.errors import SigningError
from mlpublish.formats.key_uri import SECRETS, KeyUri

BASE = Path("/etc/app")


@pytest.mark.parametrize(
    ("uri", "scheme", "path", "query"),
    [
        ("key.pem", "file", "key.pem", {}),
        ("FILE:key.pem", "file", "key.pem", {}),
        ("file:/a b/%41.pem", "file", "/a b/%41.pem", {}),
        ("keystore:r.p12?alias=my%20key&storepass-file=/s", "keystore", "r.p12", {"alias": "my key", "storepass-file": "/s"}),
        ("pkcs11:token=R;object=a%20b?module-path=/m.so", "pkcs11", "token=R;object=a%20b", {"module-path": "/m.so"}),
        ("awskms:arn:aws:kms:eu-west-1:1:key/2", "awskms", "arn:aws:kms:eu-west-1:1:key/2", {}),
        ("azurekms://vault/keys/k/1?public-key=k.pub", "azurekms", "//vault/keys/k/1", {"public-key": "k.pub"}),
    ],
)
def test_a_uri_in_its_parts(uri: str, scheme: str, path: str, query: dict[str, str]) -> None:
    parsed = KeyUri.parse(uri)
    assert (parsed.scheme, parsed.path, dict(parsed.query)) == (scheme, path, query)


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("key.pem?passphrase-file=secret", "file:/etc/app/key.pem?passphrase-file=/etc/app/secret"),
        ("keystore:/abs/r.p12?alias=my%20key&storepass-env=S", "keystore:/abs/r.p12?alias=my%20key&storepass-env=S"),
        ("pkcs11:object=k?module-path=/m.so&pin-source=pin", "pkcs11:object=k?module-path=/m.so&pin-source=/etc/app/pin"),
        ("pkcs11:object=k?pin-source=file:pin", "pkcs11:object=k?pin-source=/etc/app/pin"),
        ("awskms:alias/k", "awskms:alias/k"),
    ],
)
def test_relative_paths_are_those_of_the_settings_file(uri: str, wanted: str) -> None:
    assert KeyUri.parse(uri).under(BASE) == wanted
    assert KeyUri.parse(wanted).under(Path("/elsewhere")) == wanted


@given(some.dictionaries(some.sampled_from(["alias", "region", "keypass-env"]), some.text(min_size=1)), some.text("a/b.pem "))
def test_what_is_put_under_a_folder_keeps_its_query(query: dict[str, str], path: str) -> None:
    again = KeyUri.parse(KeyUri(scheme="keystore", path=path, query=query).under(BASE))
    assert (again.query, again.path) == (query, str(BASE / path))


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_taken(name: str) -> None:
    with pytest.raises(SigningError, match="holds a secret"):
        KeyUri.parse(f"file:k?alias=a&{name}=x")
