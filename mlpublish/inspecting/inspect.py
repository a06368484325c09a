"""Look at a model, or at what models came in, and tell what is there: nothing is run, what can be told is not refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory

from mlpublish.artifacts import ConvertedModel
from mlpublish.coreml.converted import check_unchanged
from mlpublish.coreml.package import SUFFIXES
from mlpublish.errors import BundleError, FormatError, MlpublishError, NotFound
from mlpublish.formats.archive import Archive
from mlpublish.formats.mac_result import MacResult
from mlpublish.formats.manifest import MANIFEST_PATH, Manifest, ModelEntry
from mlpublish.formats.wire import MAX_DOCUMENT, Reader, digest_of
from mlpublish.inspecting.facts import Evidence, ModelFacts
from mlpublish.inspecting.files import InZip, OnDisk, readable
from mlpublish.inspecting.inspection import BundleFacts, Inspection
from mlpublish.inspecting.model import describe
from mlpublish.storage.in_folder import read_regular
from mlpublish.trust.bundles import check_contents

_RELEASE = "release.json"
_GOLDEN = "golden.json"
_REMEDY = "Name a .mlmodel, an .mlpackage, a bundle (zip or unpacked), a release's folder or the folder that convert wrote."


def inspect(what: str | Path, *, mac_result: str | Path | None = None) -> Inspection:
    """Tell what a model or a bundle is: kind, interface, contents, sizes, where it came from, and what is wrong with it.

    Args:
        what: a ``.mlmodel``, an ``.mlpackage``, a bundle's zip, the folder that it was unpacked into, a release's folder, or
            the folder that ``convert`` wrote.
        mac_result: what ``compare_on_mac`` wrote of this bundle, to be shown with it.

    Returns:
        An Inspection; what is broken in it, or not evaluated, is told there.

    Raises:
        NotFound: nothing is there.
        FormatError, BundleError: there is nothing that can be described.
        DigestMismatch: the result of the Mac is of other bytes.
    """
    if what == "":  # as a path it would be the folder that one stands in
        raise NotFound("The path is empty.", remedy=_REMEDY, field="what")
    path = readable(Path(what))
    found = _inspected(path)
    return found if mac_result is None else found.with_mac_result(MacResult.read(Path(mac_result)))


def _inspected(path: Path) -> Inspection:
    if path.suffix in SUFFIXES:
        return _bare(path)
    if path.is_file():
        return _in_zip(path)
    if (path / _RELEASE).is_file():
        return _release(path)
    if (path / MANIFEST_PATH).is_file():
        return _unpacked(path)
    if records := sorted(path.glob("*.converted.json")):
        return _converted(path, records)
    if (path / "Manifest.json").is_file():
        return _bare(path)
    raise FormatError(f"{path} is nothing that can be inspected.", remedy=_REMEDY, field="what")


def _bare(path: Path) -> Inspection:
    return Inspection(what=path.name, kind="model", models=(_on_disk(path),))


def _on_disk(path: Path, evidence: Evidence | None = None) -> ModelFacts:
    with OnDisk(path) as files:
        return describe(path.name, files, evidence)


def _converted(path: Path, records: list[Path]) -> Inspection:
    models: list[ModelFacts] = []
    findings: list[str] = []
    for record in records:
        with _finding(findings):
            model = ConvertedModel.read(record)
            golden = _samples(findings, None if model.golden is None else partial(_document, model.golden / _GOLDEN))
            models.append(_on_disk(model.path, Evidence(parity=model.parity, provenance=model.provenance, golden=golden)))
            check_unchanged(model)
    if not models:
        raise FormatError(f"{path} holds no model that can be read: {' '.join(findings)}", remedy=_REMEDY, field="what")
    return Inspection(what=path.name, kind="converted model", models=tuple(models), findings=tuple(findings))


def _unpacked(path: Path) -> Inspection:
    from mlpublish.trust.unpacked import read_unpacked

    content = _document(path / MANIFEST_PATH)
    manifest = Manifest.from_bytes(content)
    models: list[ModelFacts] = []
    findings: list[str] = []
    with _finding(findings):
        read_unpacked(path)
    for entry in manifest.models:
        with _finding(findings):
            read = None if entry.golden is None else partial(_document, path / entry.golden / _GOLDEN)
            models.append(_on_disk(path / entry.path, _evidence(entry, _samples(findings, read))))
    bundle = BundleFacts(manifest=manifest, manifest_sha256=digest_of(content))
    return Inspection(what=path.name, kind="unpacked bundle", models=tuple(models), bundle=bundle, findings=tuple(findings))


def _in_zip(path: Path) -> Inspection:
    models: list[ModelFacts] = []
    findings: list[str] = []
    with path.open("rb") as stream, TemporaryDirectory(prefix="mlpublish-inspect-") as scratch:
        archive, content = _opened(path.name, stream)
        manifest = Manifest.from_bytes(content)
        sha256 = _checked(archive, manifest, stream, findings)
        for place, entry in enumerate(manifest.models):
            with _finding(findings):
                models.append(_zipped(archive, manifest, entry, Path(scratch, str(place)), findings))
    bundle = BundleFacts(manifest=manifest, manifest_sha256=digest_of(content), sha256=sha256, length=archive.length)
    return Inspection(what=path.name, kind="bundle", models=tuple(models), bundle=bundle, findings=tuple(findings))


def _opened(name: str, stream: BufferedReader) -> tuple[Archive, bytes]:
    """The zip and its manifest; the name in the error, because any file that is no model comes here."""
    try:
        archive = Archive.read(stream)
        return archive, archive.content(MANIFEST_PATH, at_most=MAX_DOCUMENT)
    except BundleError as exc:
        remedy = f"{_REMEDY} If it was a bundle, get it again from where it was made."
        raise BundleError(f"{name} is no bundle. {exc.problem}", remedy=remedy, field="what") from exc


def _checked(archive: Archive, manifest: Manifest, stream: BufferedReader, findings: list[str]) -> str:
    """The zip's sha256, whether or not its manifest says what is inside."""
    found: list[str] = []
    with _finding(findings):
        digests, sha256 = archive.all_digests()
        found.append(sha256)
        check_contents(manifest, digests)
    if not found:
        stream.seek(0)
        found.append(file_digest(stream, "sha256").hexdigest())
    return found[0]


def _zipped(archive: Archive, manifest: Manifest, entry: ModelEntry, scratch: Path, findings: list[str]) -> ModelFacts:
    index = f"{entry.golden}/{_GOLDEN}"
    read = None if entry.golden is None else partial(archive.content, index, at_most=MAX_DOCUMENT)
    files = InZip(archive, entry.path, manifest.files_of(entry), scratch)
    return describe(entry.path.name, files, _evidence(entry, _samples(findings, read)))


def _release(path: Path) -> Inspection:
    reader = Reader.parse(_document(path / _RELEASE), what=_RELEASE)
    said = {
        "release": str(reader.whole_number("number", least=1)),
        "of": reader.text("app"),
        "version": reader.text("app_version"),
        "for": reader.text("platform"),
    }
    bundle = path / reader.relative_path("bundle")
    if not bundle.is_file():
        raise NotFound(f"{bundle.name} is not in {path}.", remedy="Get the release again.", field="bundle")
    return replace(_in_zip(bundle), what=path.name, kind="release", release=said)


def _evidence(entry: ModelEntry, golden: int | None) -> Evidence:
    return Evidence(parity=entry.parity, provenance=entry.provenance, golden=golden)


def _samples(findings: list[str], read: Callable[[], bytes] | None) -> int | None:
    """How many golden samples there are; None if none, or if they cannot be read."""
    if read is None:
        return None
    counted: list[int] = []
    with _finding(findings):
        counted.append(Reader.parse(read(), what=_GOLDEN).whole_number("samples"))
    return counted[0] if counted else None


def _document(file: Path) -> bytes:
    """A document's bytes, which are a regular file's and not more than any document has.

    Raises:
        FormatError: they cannot be read.
    """
    try:
        return read_regular(file, MAX_DOCUMENT, links=False)
    except OSError as exc:
        raise FormatError(f"{file.name} cannot be read: {exc.strerror or exc}.", remedy=_REMEDY, field=file.name) from exc


@contextmanager
def _finding(findings: list[str]) -> Iterator[None]:
    """What goes wrong inside is told, and the work goes on."""
    try:
        yield
    except MlpublishError as exc:
        findings.append(exc.problem)
    except OSError as exc:
        findings.append(f"{exc.filename or 'A file'} cannot be read: {exc.strerror or exc}.")
