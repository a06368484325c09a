"""PKCS#12 keystores (RFC 7292), as far as their private keys need: which entries there are, each entry's encrypted key, and
whether the password is the store's.

It exists because ``cryptography`` gives the first private key of a store and no other. A key is handed out as it stands in
the file, as PKCS#8; decrypting it is cryptography's. Only definite lengths (DER) are read: keytool, openssl and Windows write
them; a store in BER is refused, and keytool turns it into one that is read.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from mlpublish.errors import FormatError, SigningError

MOST_ROUNDS = 10_000_000  # of a key derivation: seconds of work, and ten times what anybody asks for
_NUMBER, _OCTETS, _SEQUENCE, _EXPLICIT = 0x02, 0x04, 0x30, 0xA0
_SCRYPT = bytes.fromhex("06092b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11 (RFC 7914, §7)
_DATA = bytes.fromhex("2a864886f70d010701")  # 1.2.840.113549.1.7.1
_KEY_BAG, _SHROUDED_KEY_BAG, _NESTED_BAG = (bytes.fromhex(f"2a864886f70d010c0a010{kind}") for kind in (1, 2, 6))
_FRIENDLY_NAME = bytes.fromhex("2a864886f70d010914")  # 1.2.840.113549.1.9.20
_HASHES = {
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """One private key of a store.

    Args:
        alias: its name; an entry without one is called by its place, as keytool does (``1``).
        pkcs8: PrivateKeyInfo or, as a rule, EncryptedPrivateKeyInfo, in DER.
    """

    alias: str
    pkcs8: bytes


@dataclass(frozen=True, slots=True)
class _Value:
    """One DER value: its tag, what it holds, and all of its bytes."""

    tag: int
    content: bytes
    whole: bytes


def key_entries(store: bytes) -> tuple[KeyEntry, ...]:
    """The private keys of a store, in its order; no password is needed to list them.

    Raises:
        FormatError: it is no PKCS#12 in DER, or its contents are signed with a certificate instead of a password.
    """
    try:
        keys = list(_keys(_authenticated_safe(store)))
    except (ValueError, IndexError) as exc:
        raise _broken("its structure is another") from exc
    unnamed = itertools.count(1)
    return tuple(KeyEntry(alias=alias or str(next(unnamed)), pkcs8=pkcs8) for alias, pkcs8 in keys)


def password_fits(store: bytes, password: str) -> bool | None:
    """Whether the store's checksum (MAC) holds under a password.

    Returns:
        None if there is no checksum, or one of a kind not known here; then the key itself tells.

    Raises:
        FormatError: it is no PKCS#12 in DER.
        SigningError: the checksum would take for ever.
    """
    try:
        safe, outer = _authenticated_safe(store), _children(_only(store, _SEQUENCE))
        if len(outer) < 3:
            return None
        info, salt, *rounds = _children(outer[2].content)
        algorithm, wanted = _children(info.content)
        name = _HASHES.get(_children(algorithm.content)[0].content)
    except (ValueError, IndexError) as exc:
        raise _broken("its checksum is written otherwise") from exc
    if name is None:
        return None
    count = int.from_bytes(rounds[0].content) if rounds else 1
    _refuse_rounds(count)
    key = _mac_key(name, password.encode("utf-16-be") + b"\0\0", salt.content, count)
    return hmac.compare_digest(hmac.digest(key, safe, name), wanted.content)


def refuse_endless(key: bytes) -> None:
    """Refuse a private key that would be decrypted for ever: how often a password is hashed, its file says.

    Args:
        key: EncryptedPrivateKeyInfo in DER (RFC 5958, §3); a key that is not encrypted passes.

    Raises:
        SigningError: it wants more than MOST_ROUNDS (with scrypt: in N, r and p together).
        FormatError: it is no DER.
    """
    parts = _children(_only(key, _SEQUENCE))
    if [each.tag for each in parts] == [_SEQUENCE, _OCTETS]:
        numbers = list(_numbers(parts[0]))
        _refuse_rounds(math.prod(numbers[:3]) if _SCRYPT in parts[0].content else max(numbers, default=0))


def _numbers(value: _Value, depth: int = 0) -> Iterator[int]:
    if value.tag == _NUMBER:
        yield int.from_bytes(value.content)
    elif value.tag == _SEQUENCE and depth < 8:
        for each in _children(value.content):
            yield from _numbers(each, depth + 1)


def _refuse_rounds(rounds: int) -> None:
    if rounds > MOST_ROUNDS:  # the number itself may have thousands of digits
        raise SigningError(
            f"The key's file wants its password to be hashed more than {MOST_ROUNDS} times, which would take for ever.",
            remedy="Use no key file of unknown origin. Write your own anew: openssl pkcs8 -topk8 -iter 600000, or keytool.",
            field="key",
        )


def _mac_key(name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
    """RFC 7292, appendix B.2, for a key as long as the hash (so one block, and its last step never happens)."""
    block = hashlib.new(name).block_size

    def filled(text: bytes) -> bytes:
        length = -(-len(text) // block) * block
        return (text * (length // max(1, len(text)) + 1))[:length]

    key = bytes([3]) * block + filled(salt) + filled(password)  # 3: for a MAC (B.3)
    for _ in range(rounds):
        key = hashlib.new(name, key).digest()
    return key


def _authenticated_safe(store: bytes) -> bytes:
    outer = _children(_only(store, _SEQUENCE))
    content = _data(_children(outer[1].content)) if len(outer) > 1 and outer[1].tag == _SEQUENCE else None
    if content is None:
        raise _broken("its contents are not protected by a password")
    return content


def _data(content_info: list[_Value]) -> bytes | None:
    """What a ContentInfo of type data holds; None for the encrypted ones, where certificates are."""
    if len(content_info) != 2 or content_info[0].content != _DATA:
        return None
    return _only(content_info[1].content, _OCTETS)


def _keys(authenticated_safe: bytes) -> Iterator[tuple[str, bytes]]:
    for info in _children(_only(authenticated_safe, _SEQUENCE)):
        if (safe := _data(_children(info.content))) is not None:
            yield from _keys_in(_only(safe, _SEQUENCE))


def _keys_in(bags: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    for bag in _children(bags):
        kind, value, *attributes = _children(bag.content)
        (held,) = _children(value.content) if value.tag == _EXPLICIT else [value]
        if kind.content in (_KEY_BAG, _SHROUDED_KEY_BAG):
            yield _friendly_name(attributes), held.whole
        elif kind.content == _NESTED_BAG and depth < 8:
            yield from _keys_in(held.content, depth + 1)


def _friendly_name(attributes: list[_Value]) -> str:
    for attribute in _children(attributes[0].content) if attributes else []:
        kind, values = _children(attribute.content)
        if kind.content == _FRIENDLY_NAME and (names := _children(values.content)):
            return names[0].content.decode("utf-16-be", "replace")
    return ""


def _only(data: bytes, tag: int) -> bytes:
    values = _children(data)
    if len(values) != 1 or values[0].tag != tag:
        raise _broken("its structure is another")
    return values[0].content


def _children(data: bytes) -> list[_Value]:
    found, place = [], 0
    while place < len(data):
        start = place
        if len(data) - place < 2:
            raise _broken("it is cut short")
        tag, length, place = data[place], data[place + 1], place + 2
        if length == 0x80:
            raise _broken("it is written in BER, not in DER")
        if length > 0x80:
            size = length & 0x7F
            length, place = int.from_bytes(data[place : place + size]), place + size
        if place + length > len(data):
            raise _broken("it is cut short")
        place += length
        found.append(_Value(tag, data[place - length : place], data[start:place]))
    return found


def _broken(why: str) -> FormatError:
    return FormatError(
        f"The PKCS#12 keystore cannot be read: {why}.",
        remedy="Have keytool write it anew: "
        "keytool -importkeystore -srckeystore FILE -destkeystore NEW.p12 -deststoretype PKCS12.",
        field="key",
    )
