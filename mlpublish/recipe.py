"""The recipe: the whole street in one call, convert → bundle → sign → publish → channel."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlpublish import settings
from mlpublish.artifacts import App, Bundle, ConvertedModel, Receipt
from mlpublish.bundling.bundle import bundle
from mlpublish.converting.convert import convert
from mlpublish.converting.from_file import SAVED
from mlpublish.errors import AlreadyPublished, Conflict, RecipeError
from mlpublish.formats.evidence import Tolerance
from mlpublish.publishing.publish import publish
from mlpublish.registry.note import note_release
from mlpublish.reporting.progress import Progress, Tell, shown
from mlpublish.repository import channels, defaults
from mlpublish.repository.access import access
from mlpublish.repository.endpoint import endpoint_for
from mlpublish.signing.sign import sign
from mlpublish.trust.signer import Signer

_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that a release needs beside the models, settled before anything long begins.

    Args:
        to: the endpoint.
        repository: where the app role is read from.
        signer, operator: opened once, since a key may ask for its passphrase.
        root: the app's trusted root, if it is given.
        options: keywords of ``convert()``.
    """

    app: App
    to: str
    channel: str
    repository: str
    signer: Signer
    operator: Signer
    token: str | None
    root: Path | str | bytes | None
    options: dict[str, Any]


def release(
    *models: object,
    app: App | str | None = None,
    app_version: str | None = None,
    to: str | Path | None = None,
    name: str | None = None,
    version: str | None = None,
    platform: str | None = None,
    channel: str | None = None,
    repository: str | Path | None = None,
    signer: Signer | str | None = None,
    samples: object = None,
    tolerance: Tolerance | float | None = None,
    token: str | None = None,
    files: Iterable[Path | str] = (),
    out: Path | str | None = None,
    trust_pickle: bool = False,
    progress: Progress = True,
    root: Path | str | bytes | None = None,
    write_back: bool = True,
    going_back: bool = False,
) -> Receipt:
    """Take models the whole street: convert, bundle, sign, publish, and point the channel at the release.

    Args:
        models: model objects, MLflow URIs such as ``models:/digits@champion``, files that ``convert()`` reads (``.skops``,
            ``.json``, ``.ubj``, ``.txt``; pickles if they are trusted), or what ``bundle()`` takes: ConvertedModels, folders
            that ``convert()`` wrote, ``.mlmodel`` and ``.mlpackage`` (which then travel without evidence).
        app: an App, or its bundle id; by default mlpublish.toml's only app.
        app_version: the app version that gets it.
        to: the endpoint; by default MLPUBLISH_ENDPOINT or mlpublish.toml's.
        name: the bundle's name; with several models it must be given.
        version: the bundle's version; by default the registered MLflow version, else from its content.
        platform: the app's platform; by default mlpublish.toml's, else ``ios``.
        channel: which channel offers it; ``stable`` by default.
        repository: where the app role is read from; by default ``to`` if it is a development folder, MLPUBLISH_REPOSITORY
            or mlpublish.toml's.
        signer: the app role's Signer or key URI; by default the development repository's.
        samples: held-out samples for the parity gate (first axis is the row); one set serves every model.
        tolerance: what the gate allows; see ``convert()``.
        token: the bearer token for a server.
        files: other files to carry, such as labels.
        out: a folder that keeps the converted models, the bundle and the release; by default nothing is kept.
        trust_pickle: unpickle model files (which runs code in them).
        progress: False for silence, or a function that is told each step.
        root: the app's trusted root; by default mlpublish.toml's, or the development repository's.
        write_back: note in MLflow what became of the models that came from there; a registry that cannot be written takes
            nothing back, and the receipt's ``registry`` says so.
        going_back: where the channel offers a newer release than the one these models already are, offer this one again.

    Returns:
        A Receipt. Releasing again what the channel offers changes nothing and says so (``created`` is False); rollout and
        pause stay as an operator left them. Where the app role needs more signatures the release waits as a change
        (``change`` names it), and no channel is touched. After a rollback to an older release it offers this one again.

    Raises:
        RecipeError, NotFound: something is missing; found before anything is converted.
        ParityError, ConversionError: a model cannot be converted faithfully; nothing is published.
        SigningError, PublishError: the key or the endpoint refuses.
        Conflict: the channel offers a newer release already.
    """
    if not models:
        raise RecipeError("There is no model to release.", remedy="Name at least one.", field="models")
    if len(models) > 1 and name is None:
        raise RecipeError(
            f"A bundle of {len(models)} models needs a name.", remedy="Give one: --name NAME (name=).", field="name"
        )
    asked = {} if tolerance is None else {"tolerance": tolerance}
    options = {"samples": samples, "trust_pickle": trust_pickle, **settings.load().recipe, **asked}
    recipe = _settled(app, app_version, platform, channel, to, repository, signer, token, root, options)
    with ExitStack() as stack:
        tell = stack.enter_context(shown(progress, steps=len(models) + 3))
        folder = Path(out) if out is not None else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        converted = [_converted(model, recipe, folder, name if len(models) == 1 else None, tell) for model in models]
        tell("Bundling")
        made = bundle(*converted, name=name, version=version, files=files, out=folder, progress=False)
        receipt = replace(_published(made, recipe, folder, tell), channel=recipe.channel)
        if receipt.change is None:  # else a channel can offer it once its reviewers have signed
            tell(f"Pointing channel {recipe.channel} at release {receipt.number}")
            _offered(receipt, recipe, going_back=going_back)
        noted = note_release(receipt, made.manifest) if write_back else None
    return replace(receipt, registry=noted, channel=None if receipt.change is not None else receipt.channel)


def _offered(receipt: Receipt, recipe: Recipe, *, going_back: bool) -> None:
    """Point the channel at the release; back to an older one only if that is what the caller decided."""
    where: dict[str, Any] = {"to": recipe.to, "channel": recipe.channel, "repository": recipe.repository}
    where |= {"signer": recipe.operator, "token": recipe.token, "root": recipe.root}
    app, number = recipe.app, receipt.number
    try:
        # newer is fine for a new release: then somebody was faster with the next one, and nothing goes back
        channels.offer(app, number, newer_is_fine=receipt.created, **where)
    except Conflict:
        if not going_back:
            raise
        channels.rollback(app.id, release=number, app_version=app.version, platform=app.platform, **where)


def _settled(
    app: App | str | None,
    app_version: str | None,
    platform: str | None,
    channel: str | None,
    to: str | Path | None,
    repository: str | Path | None,
    signer: Signer | str | None,
    token: str | None,
    root: Path | str | bytes | None,
    options: dict[str, Any],
) -> Recipe:
    """Fill in what the configuration says, and fail now rather than after minutes of converting."""
    configured = settings.load()
    endpoint = to if to is not None else configured.endpoint
    if endpoint is None:
        raise RecipeError("No endpoint is named.", remedy="Pass --to URI (to=), or set MLPUBLISH_ENDPOINT.", field="to")
    who = settings.app_for(app, app_version, platform)
    named = defaults.development_among(endpoint)
    where = repository or (str(named.folder) if named is not None else configured.repository)
    if where is None:
        raise RecipeError(
            "No repository is configured.",
            remedy="Make one with: mlpublish repo init --dev DIR, then pass --repository DIR or set MLPUBLISH_REPOSITORY=DIR.",
            field="repository",
        )
    development = defaults.development_among(where)
    publisher, operator = (
        defaults.signer_of(role, given, development) for role, given in (("targets", signer), ("channels", None))
    )
    if development is None:
        access(who.id, where, root=root).must_trust()
    bearer = defaults.token_of(token, development, endpoint)
    _reach(str(endpoint), bearer)
    return Recipe(
        app=who,
        to=str(endpoint),
        channel=channels.default_channel(who.id, channel),
        repository=str(where),
        signer=publisher,
        operator=operator,
        token=bearer,
        root=root,
        options=options,
    )


def _reach(to: str, token: str | None) -> None:
    """A server that is down, or that does not know the token, is told before the work."""
    endpoint_for(to, token=token).apps()


def _converted(model: object, recipe: Recipe, folder: Path, name: str | None, tell: Tell) -> ConvertedModel | Path:
    if isinstance(model, ConvertedModel):
        tell(f"Taking {model.name} as it was converted")
        return model
    if isinstance(model, str | Path) and Path(model).exists() and Path(model).suffix.lower() not in SAVED:
        tell(f"Taking {model} as it is")
        return Path(model)
    tell(f"Converting {model if isinstance(model, str | Path) else type(model).__name__} and proving it on samples")
    return convert(model, name=name, out=folder / "converted", progress=False, **recipe.options)


def _published(made: Bundle, recipe: Recipe, folder: Path, tell: Tell) -> Receipt:
    """Sign and publish; if somebody published in between, sign again from the new state."""
    tell("Signing and publishing")
    for left in reversed(range(_TRIES)):
        out, root = folder / "release", recipe.root
        signed = sign(made, repository=recipe.repository, app=recipe.app, signer=recipe.signer, out=out, root=root)
        try:
            return publish(signed, to=recipe.to, token=recipe.token, repository=recipe.repository, progress=False)
        except (Conflict, AlreadyPublished) as error:  # somebody else took the number, or moved the role
            if not left or error.field == "change":  # an open change waits for people
                raise
    raise AssertionError("the last try returns or raises")
