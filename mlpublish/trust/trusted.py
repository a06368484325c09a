"""What a verification starts from: something that its caller trusts already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from securesystemslib.signer import Key, SSlibKey
from tuf.api.metadata import Metadata, Root

from mlpublish.errors import FormatError, NotFound, RecipeError
from mlpublish.formats.manifest import FileEntry, Manifest
from mlpublish.formats.wire import MAX_DOCUMENT
from mlpublish.storage.in_folder import read_regular
from mlpublish.trust import roles
from mlpublish.trust.beside import Beside, model_signed
from mlpublish.trust.chain import holders_by
from mlpublish.trust.model_signature import MODEL_SIGNATURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is trusted before anything is read: a root of the app, a pinned key, or nothing."""

    root: Metadata[Root] | None = None
    pin: SSlibKey | None = None

    @property
    def is_rsa(self) -> bool:
        """Whether it is a key that signs the bytes of a zip, and no model.sig."""
        return self.pin is not None and self.pin.keytype == "rsa"

    @property
    def keys(self) -> tuple[Key, ...]:
        """Whose ``model.sig`` counts."""
        if self.root is None:
            return () if self.pin is None else (self.pin,)
        return holders_by([self.root.signed])

    def refuse_without(self, file: Path, path: Path, *, asked: bool) -> None:
        """Refuse what makes no sense before anything is read.

        Raises:
            RecipeError: a root, and nothing that it could be held against; or a signature, and nothing that is trusted.
        """
        if self.root is not None and not os.path.lexists(file):  # what is no file there is the thing's own fault
            raise RecipeError(
                f"{path} is a bare bundle, and no root signs one.",
                remedy=f"Verify the release folder that mlpublish sign wrote; or put its {MODEL_SIGNATURE} beside this, or "
                "name that with --signature F; or pass --pin KEY, for the signature beside it; or neither: the contents only.",
                field="what",
            )
        if asked and not self.keys:
            raise RecipeError(
                "A signature is named, and nothing that is trusted to have made it.",
                remedy="Pass --pin KEY or --root 1.root.json too.",
                field="signature",
            )

    def over(self, manifest: Manifest, files: Sequence[FileEntry], file: Path) -> Beside:
        """What a ``model.sig`` shows under it; under nothing, that nobody's signature was checked."""
        if not self.keys:
            unchecked = (f"{file.name}: it is held against a key only, with --pin or --root.",) if os.path.lexists(file) else ()
            return Beside(limits=("Nobody's signature was checked: a bare bundle carries none.", *unchecked))
        shown = model_signed(manifest, files, file, self.keys)
        if self.root is None:
            return shown
        least = self.root.signed.roles["targets"].threshold
        whole = (
            f"The app role: a release needs {least} of its signatures, and this is one, of a key that root "
            f"{self.root.signed.version} appoints; a later root may have replaced it."
        )
        return replace(shown, limits=(*shown.limits, whole))


def root_of(root: Path | str | bytes) -> Metadata[Root]:
    """A trusted root, given as its bytes or as a file.

    Raises:
        NotFound: there is no such file, or it is no regular one.
        RecipeError: it is no root: what was asked for makes no sense, whatever it is asked of.
    """
    try:
        data = root if isinstance(root, bytes) else read_regular(Path(root), MAX_DOCUMENT)
        return roles.parse(data, Root, "root")
    except OSError as exc:
        raise NotFound(f"{root!s} cannot be read: {exc.strerror}.", remedy="Name an existing file.", field="root") from exc
    except FormatError as exc:
        where = "What is trusted" if isinstance(root, bytes) else root
        raise RecipeError(
            f"{where} is no root of an app: {exc.problem}",
            remedy="Name the app's 1.root.json, the one that its builds embed.",
            field="root",
        ) from exc
