"""The verb ``verify``: hold what somebody was given against what they trust, and say what that proves and what not.

A release, a bundle and an unpacked bundle are verified by themselves (``trust/verify.py``), a repository whole (``whole.py``).
Of what lies on this disk nothing is asked of a network. Where trust comes from where none is given: ``defaults.py``.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlpublish import settings
from mlpublish.artifacts import check_app_id
from mlpublish.errors import EndpointRefused, MlpublishError, NotFound, RecipeError
from mlpublish.formats.manifest import MANIFEST_PATH
from mlpublish.formats.wire import MAX_DOCUMENT, Reader, is_relative_path
from mlpublish.reporting.progress import Progress, Tell, shown
from mlpublish.reports import VerifyReport
from mlpublish.repository import defaults
from mlpublish.repository.endpoint import Endpoint, endpoint_for
from mlpublish.repository.head import TIMESTAMP
from mlpublish.repository.place import Place
from mlpublish.repository.sources import LONGEST_ZIP, AtEndpoint, InFolder, Source, download, refuse_secrets
from mlpublish.repository.whole import verify_repository
from mlpublish.trust import roles
from mlpublish.trust.folders import CHANGE, read_document
from mlpublish.trust.links import named, verified
from mlpublish.trust.model_signature import MODEL_SIGNATURE
from mlpublish.trust.pin import pin_text, read_pin
from mlpublish.trust.releases import DETACHED, RECORD
from mlpublish.trust.trusted import Trust, root_of
from mlpublish.trust.verify import verify as verify_in_hand

_OWN_WORD = (
    "Trust: nobody named a root, so the development folder's own was taken; whoever made that folder could have made all of it."
)
_DEVICE, _UNPACKED = "device.json", "releases"  # in the folder of a device (docs/formats.md)
_LONGEST_NAME = 200  # characters; a file system takes 255 bytes
_OF_AN_APP = re.compile(r"(https?://.+?)/apps/([^/]+)/?")


def verify(
    what: Path | str,
    *,
    root: Path | str | bytes | None = None,
    pin: Path | str | None = None,
    app: str | None = None,
    signature: Path | str | None = None,
    repository: str | Path | None = None,
    ca: Path | str | None = None,
    progress: Progress = True,
) -> VerifyReport:
    """Verify a bundle, a release or a repository. Nothing is executed, unpickled or loaded as a model.

    Args:
        what: a bundle's zip, the folder that it was unpacked into, the folder that ``sign()`` wrote, an app's repository
            (``<app id>/``), a folder of such or a server's; or the URL of a server, of an app there (``…/apps/<app id>``), or
            of a zip. Of what lies on this disk nothing is asked of a network.
        root: a root of the app that is trusted already, such as the ``1.root.json`` that the app embeds. By default
            mlpublish.toml's, or that of the development repository that is configured or named.
        pin: a key that is trusted instead: its text, or a file that holds it. It must have signed ``1.root.json``; of a bare
            or unpacked bundle, the signature beside it (``<bundle>.zip.sig`` of an RSA key, ``model.sig`` of an ECDSA key).
        app: which app of several is meant; by default all of them.
        signature: where a bare or unpacked bundle's signature lies, if not beside it.
        repository: a development folder that the trusted root comes from; by default the configured one.
        ca: for a URL: a PEM file of the certificate authorities to trust instead of the system's.
        progress: False for silence, or a function that is told what is read.

    Returns:
        A VerifyReport; it exists only if every link holds.

    Raises:
        NotFound: there is nothing of that kind there.
        RecipeError: nothing is trusted of a release or a repository (there is no trust on first use), or what was given
            does not go together.
        VerificationError: whatever is wrong with the thing, ``field`` naming the first link that is broken: ThresholdNotMet,
            Expired, DigestMismatch, or a part that is missing or cannot be read.
        NewerFormat: a document in it is of a format that this mlpublish does not know yet.
        EndpointUnreachable, EndpointRefused: the server does not answer, or says no.
    """
    if root is not None and pin is not None:
        raise RecipeError("A root and a pin are given.", remedy="Give one of them.", field="pin")
    authorities = None if ca is None else Path(ca)
    with shown(progress, steps=None) as tell:
        asked = _Asked(root=root, pin=pin, app=app, signature=signature, repository=repository, ca=authorities, tell=tell)
        if isinstance(what, str) and what.startswith(("http://", "https://")):
            return asked.of_url(refuse_secrets(what))
        if ca is not None:
            raise RecipeError(f"{what} lies on this disk: no server is asked.", remedy="Leave --ca (ca=) out.", field="ca")
        return asked.of_path(Path(str(what).removeprefix("file:")))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What ``verify`` was asked for, beside the thing itself."""

    root: Path | str | bytes | None
    pin: Path | str | None
    app: str | None
    signature: Path | str | None
    repository: str | Path | None
    ca: Path | None
    tell: Tell

    def of_path(self, path: Path) -> VerifyReport:
        if not path.exists():
            raise NotFound(
                f"There is no {path}.",
                remedy="Name a bundle's zip, the folder that it was unpacked into, a release's folder or a repository.",
                field="what",
            )
        if (path / RECORD).is_file():
            return self._in_hand(path, self._root(_app_of(path)) if self.pin is None else None)
        if path.is_file() or (path / MANIFEST_PATH).exists():
            return self._in_hand(path, self.root)
        if (path / CHANGE).is_file():
            raise NotFound(
                f"{path} is a change that waits for signatures, and no release.",
                remedy=f"Look at it with: mlpublish review show {path}.",
                field="what",
            )
        if (path / _DEVICE).is_file() and (path / _UNPACKED).is_dir():
            raise _of_a_device(path)
        return self._repositories(path, self._lying(path))

    def of_url(self, url: str) -> VerifyReport:
        if url.lower().endswith(".zip"):
            return self._zip_at(url)
        one = _OF_AN_APP.fullmatch(url)
        base, app_id = (url, self.app) if one is None else (one[1], one[2])
        if self.app not in (None, app_id):
            raise RecipeError(f"{url} is not of {self.app}.", remedy="Give one of them.", field="app")
        development = defaults.development_among(defaults.repository_for(self.repository))
        endpoint = endpoint_for(base, token=defaults.token_of(None, development, base), ca=self.ca)
        ids = (check_app_id(app_id),) if app_id is not None else self._listed(endpoint)
        report = self._repositories(url, {each: AtEndpoint(endpoint, each) for each in ids})
        narrowed = app_id is None and ids == (self._only(),)
        return replace(report, not_proven=(_one_of(ids[0]), *report.not_proven)) if narrowed else report

    def _in_hand(self, path: Path, root: Path | str | bytes | None) -> VerifyReport:
        """Verify what says itself what it is."""
        if self.app is not None:
            raise RecipeError(f"{path} is no repository of several apps.", remedy="Leave --app (app=) out.", field="app")
        self.tell(str(path))
        return verify_in_hand(path, root=root, pin=self.pin, signature=self.signature)

    def _zip_at(self, url: str) -> VerifyReport:
        """Fetch a zip, and the signature beside it that would be looked for on a disk."""
        with tempfile.TemporaryDirectory(prefix="mlpublish-verify-") as scratch:
            self.tell(url)
            path = Path(scratch, _last_part(url))
            download(url, path, most=LONGEST_ZIP, ca=self.ca)
            trusted = self.root is not None or self.pin is not None
            if trusted and self.signature is None:
                rsa = self.pin is not None and read_pin(pin_text(self.pin)).keytype == "rsa"
                beside = f"{url}{DETACHED}" if rsa else f"{url.rpartition('/')[0]}/{MODEL_SIGNATURE}"
                place = Path(f"{path}{DETACHED}") if rsa else path.with_name(MODEL_SIGNATURE)
                with suppress(NotFound):  # that it is missing is told as on a disk
                    download(beside, place, most=MAX_DOCUMENT, ca=self.ca)
            try:
                report = self._in_hand(path, self.root)
            except MlpublishError as exc:  # who reads of it looks where it came from; here it is gone by then
                exc.problem = exc.problem.replace(str(path), url).replace(scratch, url.rpartition("/")[0])
                raise
        bundle = None if report.bundle is None else replace(report.bundle, path=Path(path.name))
        return replace(report, what=url, bundle=bundle)

    def _lying(self, path: Path) -> Mapping[str, Source]:
        """The repositories that lie in a folder, by app."""
        if (path / "metadata").is_dir():
            app_id = self.app or self._named_by_root() or path.resolve().name
            return {check_app_id(app_id): InFolder(path)}
        place = Place.find(path)
        ids = place.apps.ids() if self.app is None else (check_app_id(self.app),)
        missing = [each for each in ids if not (place.repository / each / "metadata").is_dir()]
        if missing or not ids:
            raise NotFound(
                f"{path} holds no repository{' of ' + missing[0] if missing else ''}, no release and no bundle.",
                remedy="Name a bundle's zip, a release's folder, <app id>/ with its metadata/, or a folder of such.",
                field="app" if missing else "what",
            )
        return {each: InFolder(place.repository / each) for each in ids}

    def _listed(self, endpoint: Endpoint) -> tuple[str, ...]:
        """The apps of a server: the one that the trusted root is of, mlpublish.toml's only one, or all that it names."""
        known = self._only()
        if known is not None:
            return (known,)
        try:
            ids = endpoint.apps()
        except (EndpointRefused, NotFound) as exc:
            raise RecipeError(
                f"{endpoint.uri} does not tell which apps it has: {exc.problem}",
                remedy="Pass --app ID (app=), or the address of one: …/apps/<app id>.",
                field="app",
            ) from exc
        if not ids:  # of nothing, everything holds
            raise NotFound(f"{endpoint.uri} has no app.", remedy="Check the address, or publish a release first.", field="what")
        with verified(), named("apps"):
            return tuple(check_app_id(each) for each in ids)

    def _repositories(self, what: Path | str, found: Mapping[str, Source]) -> VerifyReport:
        if self.signature is not None:
            raise RecipeError("A repository brings its signatures.", remedy="Leave --signature out.", field="signature")
        limits: tuple[str, ...] = ()
        if len(found) > 1 and self.root is not None:
            bound = self._named_by_root() or "an app that it does not name"
            if bound not in found:
                raise RecipeError(
                    f"{what} holds {len(found)} apps, and the root is of {bound}.", remedy="Pass --app ID (app=).", field="app"
                )
            found, limits = {bound: found[bound]}, (_one_of(bound),)
        trusts = {app_id: self._trust(app_id, what) for app_id in found}
        reports = tuple(
            self._repository(what, app_id, source, trusts[app_id], several=len(found) > 1) for app_id, source in found.items()
        )
        if len(reports) == 1:
            return replace(reports[0], not_proven=(*limits, *reports[0].not_proven))
        return VerifyReport(
            what=what,
            kind="repositories",
            proven=(f"Each of the {len(reports)} repositories holds, as it is told for it.",),
            not_proven=("Completeness: that no app is missing here is nobody's to sign.",),
            parts=reports,
        )

    def _repository(self, what: Path | str, app_id: str, source: Source, trust: Trust, *, several: bool) -> VerifyReport:
        if isinstance(source, AtEndpoint):
            source.read(TIMESTAMP)  # what a server does not have is not broken
        name = f"{what}/{app_id}" if several else what
        with verified(f"{app_id}/" if several else ""):
            report = verify_repository(source, app_id, trust, what=name, tell=self.tell)
        by_itself = self.pin is None and self._root(app_id) is None
        return replace(report, not_proven=(_OWN_WORD, *report.not_proven)) if by_itself else report

    def _trust(self, app_id: str, what: Path | str) -> Trust:
        if self.pin is not None:
            return Trust(pin=read_pin(pin_text(self.pin)))
        root = self._root(app_id) or self._root(app_id, what, *([what.parent] if isinstance(what, Path) else []))
        if root is None:
            raise RecipeError(
                f"No root of {app_id} is trusted here, and there is no trust on first use.",
                remedy="Pass --root 1.root.json (the one that the app's builds embed) or --pin KEY, or set root under "
                f'[apps."{app_id}"] in mlpublish.toml; in development name the development repository: --repository DIR.',
                field="root",
            )
        return Trust(root=root_of(root))

    def _root(self, app_id: str, *places: Path | str) -> bytes | None:
        """The app's root: given, configured, or that of the development folder that is named."""
        development = defaults.development_among(*places, defaults.repository_for(self.repository))
        return defaults.root_of(app_id, self.root, development)

    def _only(self) -> str | None:
        """The one app that can be meant, where the root or mlpublish.toml says it."""
        return self._named_by_root() or settings.load().only_app

    def _named_by_root(self) -> str | None:
        """Whose the root is that was given, where it says that."""
        if self.root is None:
            return None
        bound = root_of(self.root).signed.unrecognized_fields.get(roles.APP_FIELD)
        return bound if isinstance(bound, str) else None


def _last_part(url: str) -> str:
    """What an address calls its file, where a file may be called that, and its signature too."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return name if is_relative_path(name) and len(name) <= _LONGEST_NAME else "bundle.zip"


def _app_of(folder: Path) -> str:
    """Whose release a folder says that it is."""
    with verified(), named(RECORD):
        return check_app_id(Reader.parse(read_document(folder / RECORD), what=RECORD).text("app"))


def _of_a_device(folder: Path) -> NotFound:
    """A device keeps several bundles, unpacked; what they are to it, ``check`` says."""
    found = sorted(file.parent for file in (folder / _UNPACKED).glob(f"*/{MANIFEST_PATH}"))
    remedy = f"Verify a bundle that it unpacked: {' or '.join(f'mlpublish verify {each}' for each in found)}."
    return NotFound(
        f"{folder} is a device's folder, and no bundle.",
        remedy=remedy if found else f"It has unpacked no bundle; what it would do says mlpublish check --device {folder}.",
        field="what",
    )


def _one_of(app_id: str) -> str:
    return f"Other apps: what is trusted here is of {app_id} alone, and no other that may stand here was looked at."
