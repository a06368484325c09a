"""The frozen things handed along the street: App, ConvertedModel, Bundle, Release, Receipt (reports: reports.py)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpublish.errors import FormatError, RecipeError
from mlpublish.formats.channel import APP_VERSION
from mlpublish.formats.evidence import Interface, ParityReport, Provenance
from mlpublish.formats.manifest import MODEL_NAME, FileEntry, Manifest, ModelEntry
from mlpublish.formats.minimum_os import PLATFORMS
from mlpublish.formats.noted import Noted
from mlpublish.formats.parity import parity_rows
from mlpublish.formats.tables import contents_blocks, files_blocks, interface_table, lineage_rows, models_table
from mlpublish.formats.wire import Reader, dump
from mlpublish.shown import Badge, Block, Facts, Shown, size

_APP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)+")
CONVERTED_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Whom a release is for: one version of one app on one platform, compared exactly.

    Args:
        id: the bundle id, such as ``com.acme.insurance``.
        version: one to four dotted integers, such as ``2.0``.
        platform: ``ios`` by default, or ipados, macos, watchos, tvos, visionos, android.
    """

    id: str
    version: str
    platform: str = "ios"

    def __post_init__(self) -> None:
        check_app_id(self.id)
        if re.fullmatch(APP_VERSION, self.version) is None:
            raise RecipeError(
                f"{self.version!r} is not an app version.",
                remedy="Give one to four dotted whole numbers, such as 2.0 (the app's CFBundleShortVersionString).",
                field="app_version",
            )
        if self.platform not in PLATFORMS:
            raise RecipeError(
                f"{self.platform!r} is not a platform.", remedy=f"Use one of: {', '.join(PLATFORMS)}.", field="platform"
            )

    def __str__(self) -> str:
        return f"{self.id} {self.version} ({self.platform})"


def check_app_id(app_id: str) -> str:
    """Give back a bundle id that is one.

    Raises:
        RecipeError: it is none.
    """
    if _APP_ID.fullmatch(app_id) is None or len(app_id) > 155:
        raise RecipeError(
            f"{app_id!r} is not an app id.", remedy="Give the app's bundle id, such as com.acme.insurance.", field="app"
        )
    return app_id


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConvertedModel(Shown):
    """A Core ML model on disk, with its evidence.

    Args:
        path: the ``.mlmodel`` file or ``.mlpackage`` folder itself.
        golden: the folder of golden inputs and outputs, if samples were kept.
        files: every file of ``path``, relative to it (a single file's path is its own name).
        evidence: every file of ``golden``, relative to it.
    """

    path: Path
    name: str
    kind: str
    specification_version: int
    precision: str
    interface: Interface
    provenance: Provenance
    parity: ParityReport | None
    files: tuple[FileEntry, ...]
    golden: Path | None = None
    evidence: tuple[FileEntry, ...] = ()

    @property
    def record(self) -> Path:
        """The JSON file beside the model that ``read`` takes."""
        return self.path.parent / f"{self.name}.converted.json"

    def rows(self) -> Mapping[str, object]:
        return self._facts() | parity_rows(self.parity)

    def brief(self) -> str:
        parity = "not measured" if self.parity is None else self.parity.brief()
        return f"{self.name} ({self.kind}, {self.precision}), parity {parity}"

    def blocks(self) -> Iterable[Block]:
        yield Badge(f"{self.name}")
        yield from (Badge("parity not measured", False),) if self.parity is None else (self.parity.badge,)
        lineage = self.provenance.mlflow
        yield Facts({**self._facts(), "size": size(sum(entry.length for entry in self.files)), **lineage_rows(lineage)})
        yield interface_table(self.interface)
        if self.parity is not None:
            yield from self.parity.picture()
        yield from files_blocks(self.files)

    def _facts(self) -> dict[str, object]:
        return {
            "model": f"{self.name} ({self.kind}, {self.precision})",
            "path": self.path,
            "source": f"{self.provenance.source} of {self.provenance.framework} {self.provenance.framework_version}",
        }

    def to_dict(self) -> dict[str, Any]:
        """The record, with the paths as they are on this disk."""
        kept = None if self.golden is None else str(self.golden)
        return {**self.to_record(), "path": str(self.path), "golden": kept}

    def to_record(self) -> dict[str, Any]:
        """The record beside the model; its paths are relative to it."""
        return {
            "format": CONVERTED_FORMAT,
            "path": self.path.name,
            "name": self.name,
            "kind": self.kind,
            "specification_version": self.specification_version,
            "precision": self.precision,
            "interface": self.interface.to_dict(),
            "provenance": self.provenance.to_dict(),
            "parity": None if self.parity is None else self.parity.to_dict(),
            "files": [entry.to_record() for entry in self.files],
            "golden": None if self.golden is None else self.golden.name,
            "evidence": [entry.to_record() for entry in self.evidence],
        }

    def write(self) -> ConvertedModel:
        """Write the record beside the model."""
        self.record.write_bytes(dump(self.to_record()))
        return self

    @classmethod
    def read(cls, record: Path) -> ConvertedModel:
        """Read the record that ``write`` left.

        Raises:
            FormatError: it is not one, or its files are gone.
        """
        reader = Reader.parse(record.read_bytes(), what=record.name)
        reader.version("format", known=CONVERTED_FORMAT)
        folder = record.parent
        model = cls(
            path=folder / reader.relative_path("path"),
            name=reader.text("name", MODEL_NAME),
            kind=reader.text("kind"),
            specification_version=reader.whole_number("specification_version", least=1),
            precision=reader.text("precision"),
            interface=Interface.from_reader(reader.inner("interface")),
            provenance=Provenance.from_reader(reader.inner("provenance")),
            parity=reader.optional("parity", lambda name: ParityReport.from_reader(reader.inner(name))),
            files=tuple(FileEntry.from_record(each) for each in reader.each("files")),
            golden=reader.optional("golden", lambda name: folder / reader.relative_path(name)),
            evidence=tuple(FileEntry.from_record(each) for each in reader.each("evidence")),
        )
        if not model.path.exists():
            raise FormatError(f"{model.path} is gone.", remedy="Convert the model again.", field="path")
        return model


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Bundle(Shown):
    """A bundle's zip: its manifest, its length in bytes and its sha256."""

    path: Path
    manifest: Manifest
    length: int
    sha256: str

    def rows(self) -> Mapping[str, object]:
        return {
            "bundle": self.path,
            "name": f"{self.manifest.name} {self.manifest.version}",
            "models": ", ".join(model.name for model in self.manifest.models),
            "bytes": self.length,
            "sha256": self.sha256,
        }

    def brief(self) -> str:
        return f"{self.manifest.name} {self.manifest.version}, {size(self.length)}, sha256 {self.sha256[:12]}"

    def blocks(self) -> Iterable[Block]:
        yield Badge(f"{self.manifest.name} {self.manifest.version}")
        yield Facts({"bundle": self.path, "size": size(self.length), "sha256": self.sha256})
        yield from contents_blocks(self.manifest)

    def to_dict(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "name": self.manifest.name,
            "version": self.manifest.version,
            "models": [model.name for model in self.manifest.models],
            "files": len(self.manifest.files),
            "length": self.length,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Release(Shown):
    """A signed bundle with a number: on disk a folder with the bundle and the signed app role.

    Args:
        folder: holds ``release.json``, the bundle, ``targets.json`` and the chain of roots.
        base: the version of the app role that the signed one follows.
        model_signed_by: the key id of the ``model.sig`` beside the bundle; None if there is none, or it was only read back from
            its folder, where nothing that is trusted says whose it is (``verify`` does).
    """

    folder: Path
    app: App
    number: int
    bundle: Bundle
    base: int
    model_signed_by: str | None = None

    def rows(self) -> Mapping[str, object]:
        return {
            "release": self.number,
            "app": str(self.app),
            "folder": self.folder,
            "bundle sha256": self.bundle.sha256,
            "model.sig": f"by the key {self.model_signed_by[:12]}"
            if self.model_signed_by
            else "none (an ECDSA P-256 key makes one for a new release)",
        }

    def brief(self) -> str:
        return f"{self.number} of {self.app}: {self.bundle.brief()}"

    def blocks(self) -> Iterable[Block]:
        yield Badge(f"{self.number} of {self.app.id}")
        bundle = f"{self.bundle.manifest.name} {self.bundle.manifest.version}, {size(self.bundle.length)}"
        yield Facts({**self.rows(), "bundle": bundle})
        yield from contents_blocks(self.bundle.manifest)

    def to_dict(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "app": self.app.id,
            "app_version": self.app.version,
            "platform": self.app.platform,
            "number": self.number,
            "bundle": self.bundle.to_dict(),
            "model_signed_by": self.model_signed_by,
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Receipt(Shown):
    """What an endpoint took.

    Args:
        created: False if the very same release stood there already.
        channel: the channel that points at it, where ``release()`` set one.
        change: the change that waits for other holders' signatures, if the app role needs more than one.
        models: the bundle's models with their evidence.
        registry: what was noted in MLflow, where ``release()`` noted something; None for models that came from elsewhere.
    """

    endpoint: str
    app: App
    number: int
    name: str
    version: str
    sha256: str
    created: bool
    channel: str | None = None
    change: str | None = None
    models: tuple[ModelEntry, ...] = ()
    registry: Noted | None = None

    def rows(self) -> Mapping[str, object]:
        shown = self._facts()
        for model in self.models:
            shown |= {f"{model.name}: {key}": value for key, value in parity_rows(model.parity).items()}
        return shown

    def brief(self) -> str:
        channel = "" if self.channel is None else f", channel {self.channel}"
        return f"release {self.number} of {self.app}: {self.name} {self.version}, {self._outcome}{channel}"

    def blocks(self) -> Iterable[Block]:
        yield Badge(f"release {self.number} of {self.app.id}")
        yield Badge(self._outcome, None if self.change else True)
        yield Facts(self._facts())
        yield models_table(self.models)

    @property
    def _outcome(self) -> str:
        if self.change is not None:
            return "waits for signatures"
        return "new" if self.created else "stood there already"

    def _facts(self) -> dict[str, object]:
        return {
            "release": self.number,
            "app": str(self.app),
            "bundle": f"{self.name} {self.version}",
            "endpoint": self.endpoint,
            "channel": self.channel,
            "new": "yes" if self.created else "no, it stood there already" if self.change is None else "not yet",
            "waits for signatures": self.change and f"change {self.change}: mlpublish review sign --app {self.app.id}",
            "bundle sha256": self.sha256,
            "MLflow": self.registry and f"{self.registry.state}: {self.registry.detail}",
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "app": self.app.id,
            "app_version": self.app.version,
            "platform": self.app.platform,
            "number": self.number,
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "created": self.created,
            "channel": self.channel,
            "change": self.change,
            "parity": {model.name: None if model.parity is None else model.parity.to_dict() for model in self.models},
            "registry": None if self.registry is None else self.registry.to_dict(),
        }
