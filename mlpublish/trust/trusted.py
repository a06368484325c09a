"""What a verification starts from: something that its caller trusts already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from securesystemslib.signer import Key, SSlibKey
from tuf.api.metadata import Metadata, Root

from mlpublish.errors import NotFound, RecipeError
from mlpublish.formats.manifest import FileEntry, Manifest
from mlpublish.trust import roles
from mlpublish.trust.beside import Beside, model_signed
from mlpublish.trust.model_signature import MODEL_SIGNATURE
from mlpublish.trust.releases import holders_by


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
        if self.root is not None and not file.is_file():
            raise RecipeError(
                f"{path} is a bare bundle, and no root signs one.",
                remedy=f"Verify the release folder that mlpublish sign wrote; or put its {MODEL_SIGNATURE} beside this; "
                "or pass --pin KEY, for the signature beside it; or neither, to check contents only.",
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
            unchecked = (f"{file.name}: it is held against a key only, with --pin or --root.",) if file.is_file() else ()
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
        NotFound: there is no such file.
        FormatError: it is no root.
    """
    if isinstance(root, bytes):
        return roles.parse(root, Root, "root")
    try:
        return roles.parse(Path(root).read_bytes(), Root, "root")
    except OSError as exc:
        raise NotFound(f"{root} cannot be read: {exc.strerror}.", remedy="Name an existing file.", field="root") from exc
