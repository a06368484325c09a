"""How often a password is hashed, the file says: one that would take for ever is refused before anything is derived."""

from __future__ import annotations

import pytest

from mlpublish.errors import FormatError, SigningError
from mlpublish.formats.pkcs12 import MOST_ROUNDS, refuse_endless
from mlpublish.trust.keys import crypto_signer, new_key, spki_of
from tests.keystores import encrypted_key

MOST = {"PBKDF2": (MOST_ROUNDS, 32), "3DES": (MOST_ROUNDS,), "scrypt": (1 << 16, 8, 19, 32)}


@pytest.mark.parametrize("derivation", MOST)
def test_as_much_work_as_anybody_asks_for_is_done_and_no_more(derivation: str) -> None:
    refuse_endless(encrypted_key(derivation, *MOST[derivation]))
    more = {"PBKDF2": (MOST_ROUNDS + 1, 32), "3DES": (MOST_ROUNDS + 1,), "scrypt": (1 << 16, 8, 20, 32)}[derivation]
    for numbers in (more, (1 << 20_000, *more[1:])):
        with pytest.raises(SigningError, match="for ever"):
            refuse_endless(encrypted_key(derivation, *numbers))


def test_what_is_not_encrypted_is_not_looked_at() -> None:
    refuse_endless(spki_of(crypto_signer(new_key("rsa", bits=2048)).public_key))


@pytest.mark.parametrize("content", [b"", b"\x30", b"\x30\x80\0\0", b"\x30\x04\x30\x05ab", b"text"])
def test_what_is_no_der_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError):
        refuse_endless(content)
