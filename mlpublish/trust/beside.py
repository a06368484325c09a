"""The signatures over one bundle that lie beside it: a pinned RSA key's over its zip, and ``model.sig`` over its files.

Neither says for which app the bundle is, nor that it is the newest: what one proves alone is told with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from securesystemslib.signer import Key

from mlpublish.artifacts import Bundle
from mlpublish.errors import VerificationError
from mlpublish.formats.manifest import FileEntry, Manifest
from mlpublish.trust.detached import verify_detached
from mlpublish.trust.folders import read_document
from mlpublish.trust.intents import holder
from mlpublish.trust.links import named
from mlpublish.trust.model_signature import verify_model_signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What the signatures beside a bundle show.

    Args:
        proven: one sentence for each that holds.
        limits: what they do not show.
        signatures: the file's name -> the id of the key that made it.
    """

    proven: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    signatures: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __add__(self, other: Beside) -> Beside:
        return Beside(
            proven=self.proven + other.proven,
            limits=self.limits + other.limits,
            signatures=MappingProxyType({**self.signatures, **other.signatures}),
        )


def detached(bundle: Bundle, name: str, signature: bytes, pin: Key) -> Beside:
    """Hold a bundle's zip, as it was read, against the signature that a pinned RSA key made over its bytes.

    Args:
        name: the signature's file, as it is told.

    Raises:
        DigestMismatch: it is not the pin's over these bytes.
    """
    with named(name):
        verify_detached(bundle.path, signature, pin, digest=bytes.fromhex(bundle.sha256))
    return Beside(
        proven=(f"The pinned key {pin.keyid[:12]} signed these bytes ({name}).",),
        limits=(
            f"Freshness: {name} holds for ever, also of a bundle that was withdrawn or replaced.",
            f"The app: {name} does not say for which app, app version or platform the bundle is, nor as which release.",
        ),
        signatures=MappingProxyType({name: pin.keyid}),
    )


def model_signed(manifest: Manifest, files: Iterable[FileEntry], file: Path, keys: Iterable[Key]) -> Beside:
    """Hold the files of a bundle against an OpenSSF model signature.

    Args:
        files: every file of the unpacked bundle, its manifest too.
        keys: whose signature counts.

    Raises:
        VerificationError: there is none; DigestMismatch, that it is not over these files.
    """
    contents = {str(entry.path): entry.sha256 for entry in files}
    signature = read_beside(file, "--key")
    with named(file.name):
        key = verify_model_signature(signature, contents, keys, name=f"{manifest.name}-{manifest.version}")
    return Beside(
        proven=(f"{file.name}: {holder(key)} signed every file, each by its digest.",),
        limits=(MODEL_LIMIT,),
        signatures=MappingProxyType({file.name: key.keyid}),
    )


MODEL_LIMIT = (
    "model.sig by itself: whoever holds only it and the key learns that this key signed these files, not for which app or "
    "release, nor that they are the newest, nor that the app role's threshold agreed."
)


def read_beside(file: Path, option: str) -> bytes:
    """The bytes of a signature that has to be there.

    Args:
        option: what made ``mlpublish sign`` write it.

    Raises:
        VerificationError: it is not.
    """
    if not os.path.lexists(file):
        raise VerificationError(
            f"There is no {file}, and a bundle by itself carries no signature.",
            remedy=f"Put the one that mlpublish sign {option} wrote beside it as {file.name}, or name it with --signature.",
            field=file.name,
        )
    with named(file.name):
        return read_document(file)
