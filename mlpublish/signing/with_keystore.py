"""Sign with a key of a Java or PKCS#12 keystore (``keystore:release.p12?alias=prod``).

What kind of store it is, its first bytes say, not its name: keytool writes PKCS#12 into ``.jks`` files since Java 9.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key

from mlpublish.errors import MissingExtra, SigningError
from mlpublish.formats import pkcs12
from mlpublish.formats.key_uri import KeyUri
from mlpublish.storage.in_folder import read_regular
from mlpublish.trust.keys import crypto_signer
from mlpublish.trust.passphrases import KEYPASS, STOREPASS, ask, found
from mlpublish.trust.signer import Signer

if TYPE_CHECKING:
    import jks

_JKS, _JCEKS = b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce"
_LONGEST = 1 << 24  # bytes of a keystore, which may hold many certificates


def open_keystore(uri: str) -> Signer:
    """Open one private key of a keystore.

    Args:
        uri: ``keystore:PATH``, with ``?alias=``; passwords by ``storepass-env``, ``storepass-file``, ``keypass-env``,
            ``keypass-file``. A key's own password is by default the store's.

    Raises:
        SigningError: there is no such store or alias, a password is missing or wrong, decrypting it would take for ever, or
            the key is of a kind not taken.
        MissingExtra: it is a JKS or JCEKS store, and pyjks is not installed.
    """
    where = KeyUri.parse(uri).only("alias", *STOREPASS.parameters, *KEYPASS.parameters)
    store = _store(where.file, _content(where.file))
    password = ask(STOREPASS, where.query, of=str(where.file))
    store.open(password)
    alias = _alias(store, where.query.get("alias"))
    return crypto_signer(_key(store, alias, password, where.query))


class _Store(ABC):
    """A keystore that was read; ``open`` comes before the others."""

    def __init__(self, file: Path, content: bytes) -> None:
        self.file, self.content = file, content

    @abstractmethod
    def open(self, password: str) -> None:
        """Check the store's password."""

    @abstractmethod
    def aliases(self) -> tuple[str, ...]:
        """The names of its private keys."""

    @abstractmethod
    def key(self, alias: str, password: str) -> PrivateKeyTypes | None:
        """A private key; None if the password is not its own."""

    def wrong_password(self) -> SigningError:
        return SigningError(
            f"The keystore password of {self.file} is wrong.", remedy="Check where it is read from.", field="storepass"
        )


class _Pkcs12(_Store):
    def open(self, password: str) -> None:
        if pkcs12.password_fits(self.content, password) is False:
            raise self.wrong_password()

    def aliases(self) -> tuple[str, ...]:
        return tuple(entry.alias for entry in pkcs12.key_entries(self.content))

    def key(self, alias: str, password: str) -> PrivateKeyTypes | None:
        (pkcs8,) = (entry.pkcs8 for entry in pkcs12.key_entries(self.content) if entry.alias == alias)
        pkcs12.refuse_endless(pkcs8)
        try:
            return load_der_private_key(pkcs8, password.encode())
        except TypeError:  # what cryptography raises where a password is given and none is needed
            return load_der_private_key(pkcs8, None)
        except ValueError:  # a wrong password; what cannot be read is UnsupportedAlgorithm
            return None


class _Java(_Store):
    _entries: Mapping[str, jks.PrivateKeyEntry]

    def open(self, password: str) -> None:
        try:
            import jks
        except ImportError as exc:
            raise MissingExtra(
                f"{self.file} is a JKS or JCEKS keystore, which needs pyjks.",
                remedy=f"Run pip install 'mlpublish[jks]', or turn it into PKCS#12: {_turned(self.file)}.",
            ) from exc
        try:
            self._entries = jks.KeyStore.loads(self.content, password, try_decrypt_keys=False).private_keys
        except jks.util.KeystoreSignatureException as exc:
            raise self.wrong_password() from exc
        except (jks.util.KeystoreException, ValueError) as exc:
            raise _no_store(self.file) from exc

    def aliases(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def key(self, alias: str, password: str) -> PrivateKeyTypes | None:
        import jks
        from pyasn1.error import PyAsn1Error

        entry = self._entries[alias]
        pkcs12.refuse_endless(entry._encrypted)  # pyjks has no other way to it
        try:
            entry.decrypt(password)
        except (jks.util.DecryptionFailureException, PyAsn1Error, ValueError):
            return None  # PyAsn1Error: JCEKS' padding fits by chance; ValueError: its password is not ASCII
        except jks.util.KeystoreException as exc:
            raise UnsupportedAlgorithm(str(exc)) from exc
        return load_der_private_key(entry.pkey_pkcs8, None)


def _store(file: Path, content: bytes) -> _Store:
    if content.startswith((_JKS, _JCEKS)):
        return _Java(file, content)
    if content.startswith(b"\x30"):
        return _Pkcs12(file, content)
    if b"-----BEGIN" in content:
        raise SigningError(f"{file} is a PEM file, no keystore.", remedy=f"Name it as file:{file}.", field="key")
    raise _no_store(file)


def _alias(store: _Store, wanted: str | None) -> str:
    """The alias that is meant: named (keytool pays no heed to case), or the only one."""
    aliases = store.aliases()
    fitting = [alias for alias in aliases if alias == wanted] or [
        alias for alias in aliases if wanted is None or alias.casefold() == wanted.casefold()
    ]
    if len(fitting) == 1:
        return fitting[0]
    if not aliases:
        raise SigningError(
            f"{store.file} holds no private key.",
            remedy="A certificate cannot sign; name the keystore that the key was made in.",
            field="key",
        )
    problem = f"holds {len(aliases)} private keys" if wanted is None else f"holds no private key named {wanted!r}"
    raise SigningError(
        f"{store.file} {problem}.", remedy=f"Add ?alias= and one of: {', '.join(sorted(aliases))}.", field="alias"
    )


def _key(store: _Store, alias: str, storepass: str, query: Mapping[str, str]) -> PrivateKeyTypes:
    """The key under its own password where one is said, else under the store's, else under one that is asked for."""
    named = any(parameter in query for parameter in KEYPASS.parameters)
    try:
        key = store.key(alias, found(KEYPASS, query) or "" if named else storepass)
        if key is None and not named:
            key = store.key(alias, ask(KEYPASS, query, of=f"{alias!r} in {store.file}"))
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise SigningError(
            f"The key {alias!r} in {store.file} is of a kind that cannot be read.",
            remedy="Use an ECDSA P-256, Ed25519 or RSA key.",
            field="key",
        ) from exc
    if key is None:
        raise SigningError(
            f"The key password of {alias!r} in {store.file} is wrong.", remedy="Check where it is read from.", field="keypass"
        )
    return key


def _content(file: Path) -> bytes:
    try:
        return read_regular(file, _LONGEST)
    except OSError as exc:
        raise SigningError(
            f"The keystore {file} cannot be read: {exc.strerror}.", remedy="Give the path of a keystore.", field="key"
        ) from exc


def _no_store(file: Path) -> SigningError:
    return SigningError(
        f"{file} is no keystore of a kind that is read (PKCS#12, JKS, JCEKS).",
        remedy=f"Turn it into PKCS#12: {_turned(file)}.",
        field="key",
    )


def _turned(file: Path) -> str:
    return f"keytool -importkeystore -srckeystore {file} -destkeystore NEW.p12 -deststoretype PKCS12"
