"""Ask a bundle's models their golden inputs, in Apple's runtime and in our evaluator, and write down how far they stand apart.

What needs a Mac is Apple's runtime alone (coreml/apple.py); everything around it runs, and is tested, everywhere.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from mlpublish.coreml import evaluate, golden
from mlpublish.coreml.apple import AppleModel, Opener
from mlpublish.coreml.compare import Answers, Difference
from mlpublish.coreml.golden import Asked, Golden
from mlpublish.errors import BundleError, MissingExtra, MlpublishError
from mlpublish.formats.archive import Archive
from mlpublish.formats.mac_result import APPLES, GOLDEN, OURS, Compared, Mac, MacResult, ModelOnMac
from mlpublish.formats.manifest import MANIFEST_PATH, Manifest, ModelEntry, digest_of_files
from mlpublish.formats.wire import MAX_DOCUMENT, digest_of
from mlpublish.storage.in_folder import replace_file
from mlpublish.trust.bundles import open_bundle
from mlpublish.version import __version__

_Answers = Mapping[str, Answers]


def compare_on_mac(
    bundle: str | Path, *, out: str | Path | None = None, opener: Opener | None = None, mac: Mac | None = None
) -> MacResult:
    """Run every model of a bundle on its golden inputs, with Apple's runtime (CPU only, all compute units) and with ours.

    Args:
        bundle: the zip.
        out: the file to write the result to; none by default.
        opener: what opens a model instead of coremltools on macOS; for tests.
        mac: where that runs; by default this Mac.

    Returns:
        A MacResult, bound to the bundle's bytes: ``inspect`` and the review show it.

    Raises:
        MissingExtra: this is no macOS.
        NotFound, BundleError, DigestMismatch: there is no such bundle, or it is not whole.
    """
    if opener is None and platform.system() != "Darwin":
        raise MissingExtra(
            f"compare-on-mac asks Apple's runtime, which is part of macOS, and this is {platform.system()}.",
            remedy="Run it on a Mac with the same bundle; inspect and review show take its result: --mac-result.",
        )
    opened = open_bundle(Path(bundle))
    with TemporaryDirectory(prefix="mlpublish-mac-") as scratch, opened.path.open("rb") as stream:
        archive, folder = Archive.read(stream), Path(scratch, "bundle")
        archive.unpack(folder)
        content = archive.content(MANIFEST_PATH, at_most=MAX_DOCUMENT)
        if Manifest.from_bytes(content) != opened.manifest:
            raise BundleError(f"{opened.path.name} changed while it was read.", remedy="Run the command again.")
        result = MacResult(
            bundle_name=opened.manifest.name,
            bundle_version=opened.manifest.version,
            bundle_sha256=opened.sha256,
            manifest_sha256=digest_of(content),
            mac=mac or _this_mac(),
            at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            models=tuple(_model(each, opened.manifest, folder, opener) for each in opened.manifest.models),
        )
    if out is not None:
        replace_file(Path(out), result.to_bytes())
    return result


def _model(entry: ModelEntry, manifest: Manifest, folder: Path, opener: Opener | None) -> ModelOnMac:
    digest = digest_of_files(manifest.files_of(entry))
    if entry.golden is None:
        return ModelOnMac(name=entry.name, digest=digest, samples=0)
    kept = golden.read(folder / entry.golden)
    answers, failed = _asked(kept, folder / entry.path, opener)
    return ModelOnMac(
        name=entry.name,
        digest=digest,
        samples=kept.samples,
        compared=tuple(_compared(kept, answers)),
        failed=MappingProxyType(failed),
    )


def _asked(kept: Golden, path: Path, opener: Opener | None) -> tuple[_Answers, dict[str, str]]:
    """Executor -> its answers, and executor -> why there are none."""
    opening: dict[str, Callable[[], Asked]] = {
        OURS[0]: lambda: evaluate.Model(path, mode="device"),
        OURS[1]: lambda: evaluate.Model(path, mode="exact"),
        APPLES[0]: lambda: AppleModel(path, compute_units="CPU_ONLY", opener=opener),
        APPLES[1]: lambda: AppleModel(path, compute_units="ALL", opener=opener),
    }
    answers: dict[str, Answers] = {}
    failed: dict[str, str] = {}
    for executor, opened in opening.items():
        try:
            answers[executor] = kept.ask(opened())
        except MlpublishError as exc:
            failed[executor] = exc.problem
        except Exception as exc:  # Apple's runtime has errors of many kinds; the others are still asked
            if executor in OURS:
                raise  # a defect of ours is no finding about the model
            failed[executor] = f"{type(exc).__name__}: {exc}"
    return answers, failed


def _compared(kept: Golden, answers: _Answers) -> Iterator[Compared]:
    """The golden answers against each executor's, then ours against Apple's."""
    pairs = [(GOLDEN, each) for each in (*OURS, *APPLES)] + list(product(OURS, APPLES))
    sides = {GOLDEN: kept.answers, **answers}
    for left, right in pairs:
        if left in sides and right in sides:
            wanted = Answers(outputs=sides[left].outputs, classes=sides[left].classes, scores=kept.answers.scores)
            yield from _pair(left, right, Golden(inputs=kept.inputs, answers=wanted), sides[right])


def _pair(left: str, right: str, wanted: Golden, got: Answers) -> Iterator[Compared]:
    try:
        found = wanted.differences(got)
    except MlpublishError as exc:
        yield Compared(output=exc.field or "", left=left, right=right, problem=exc.problem)
        return
    for output, difference in found.items():
        is_label = wanted.answers.outputs[output].dtype.kind != "f"
        yield _told(output, left, right, difference, is_label=is_label)


def _told(output: str, left: str, right: str, found: Difference, *, is_label: bool) -> Compared:
    if is_label:
        return Compared(output=output, left=left, right=right, labels=found.labels)
    if found.max_abs - found.max_abs != 0 or found.max_rel - found.max_rel != 0:  # NaN and infinity
        return Compared(
            output=output, left=left, right=right, labels=found.labels, problem="a difference that is no finite number"
        )
    return Compared(output=output, left=left, right=right, max_abs=found.max_abs, max_rel=found.max_rel, labels=found.labels)


def _this_mac() -> Mac:
    """Needs a Mac, as what it asks is there alone."""
    asked = subprocess.run(["/usr/sbin/sysctl", "-n", "hw.model"], capture_output=True, text=True, check=False)
    return Mac(
        macos=platform.mac_ver()[0],
        hardware=f"{asked.stdout.strip() or 'a Mac'} ({platform.machine()})",
        coremltools=version("coremltools"),
        mlpublish=__version__,
    )
