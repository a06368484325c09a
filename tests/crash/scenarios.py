"""What is killed: one command line each, run against a prepared state.

A line is filled in by ``State.words``: ``{app}`` is the app and its version, ``{dev}`` the development folder, ``{root}`` the
whole state, ``{url}`` the server where one is traced.
"""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from prepared import APP, State
from tuf.api.metadata import Root

from mlpublish.bundling.bundle import bundle
from mlpublish.checking.device import Device
from mlpublish.converting.convert import convert
from mlpublish.formats.status import UpdateStatus
from mlpublish.formats.wire import digest_of
from mlpublish.publishing.publish import publish
from mlpublish.repository import channels
from mlpublish.signing.sign import sign
from mlpublish.trust import roles
from mlpublish.trust.detached import sign_detached
from mlpublish.trust.signer import Signer, signer_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A command, what leads to it, and where it must end.

    Args:
        command: the command line that is traced and killed, and run again after each kill.
        before: command lines, or functions, that make the state that it begins from.
        releases: the releases that stand there in the end.
        offers: what channel stable offers in the end, and every device has.
        waits: whether a change waits for signatures in the end.
        subject: the device that the command plays; others only look on.
        served: the command goes to a server, and it is the server that is traced and killed.
        spoiled: what the subject has in use at the beginning is not whole, and the command is what ends that.
        code: how the command ends if nothing disturbs it.
        says: how the command, run again after a kill, may end: not only with 0 where the first run had done it all, and the
            second one says that there is nothing to do.
        always: what else must hold after every kill.
        also: what else must hold in the end.
    """

    command: str
    before: tuple[str | Callable[[State], None], ...] = ()
    releases: tuple[int, ...] = (1, 2)
    offers: int = 1
    waits: bool = False
    subject: str | None = None
    served: bool = False
    spoiled: bool = False
    code: int = 0
    says: tuple[int, ...] = (0,)
    always: Callable[[State], None] = lambda _: None
    also: Callable[[State], None] = lambda _: None


def _other_app_stands(state: State) -> None:
    assert state.head("com.acme.other").targets.signed.version == 1
    assert not state.run("verify {root}/out --root {dev}/repository/com.acme.other/metadata/1.root.json")


def _other_app_is_there(state: State) -> None:
    assert state.head("com.acme.other").targets.signed.version == 1


def _made(state: State) -> None:
    assert State(state.root / "made").head().targets.signed.version == 1


def _almost_run_out(state: State) -> None:
    home = state.development
    short = replace(home.online(), snapshot_days=1, timestamp_days=1)
    home.app(APP.id).commit({}, short, lambda _: None)


def _renewed(state: State) -> None:
    head = state.head()
    assert min(head.timestamp.signed.expires, head.snapshot.signed.expires) - roles.now() > timedelta(days=10)


def _holds(role: str, file: str) -> Callable[[State], None]:
    """Whether the key of this file holds the role."""

    def look(state: State) -> None:
        keyid, head = new_signer(state, file).public_key.keyid, state.head()
        assert keyid in head.delegator(role).get_delegated_role(role).keyids

    return look


def _can_be_signed(state: State) -> None:
    assert not state.run(_REVIEW)
    assert tuple(state.head().releases) == (1, 2, 3)
    assert not state.waits()


def _withdrawn(state: State) -> None:
    assert set(state.head().policy.withdrawn) == {2}


def _cosigned(state: State) -> None:
    pin = new_signer(state, "pin").public_key.keyid
    first = roles.parse(state.development.first_root(APP.id), Root, "root")
    assert pin in first.signatures


def _half_came(state: State) -> None:
    """What an earlier check of the old device left of release 2."""
    bundle = (state.root / "bundles" / "2.zip").read_bytes()
    part = state.root / "old" / "downloads" / f"{digest_of(bundle)}.part"
    part.write_bytes(bundle[: len(bundle) // 2])


def _altered(state: State) -> None:
    (release,) = (state.root / "old" / "releases").glob("2-*")
    (release / "files" / "labels.txt").write_text("labels of nobody\n")


def _model_offered(state: State) -> None:
    """Release 3 is a model with golden data, which a device asks before it uses it."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    rows, labels = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=200).fit(rows[:300] / 16, labels[:300])
    converted = convert(model, name="digits", samples=rows[:8] / 16, out=state.root / "parts" / "3", progress=False)
    made = bundle(converted, name="digits", version="3", out=state.root / "bundles" / "model.zip")
    release = sign(made, repository=state.development.folder, app=APP, out=state.root / "signed" / "model")
    publish(release, to=state.development.folder)
    channels.set(APP.id, to=state.development.folder, app_version=APP.version, release=release.number)


def _served_plainly(name: str) -> Callable[[State], None]:
    """Put one of two plain zips, and the pin's signature, where a plain server has them."""

    def put(state: State) -> None:
        served, made = state.root / "plain" / "model.zip", state.root / "plain" / f"{name}.zip"
        served.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr("labels.txt", f"labels of {name}\n")
            zipped.writestr("vocabulary.bin", random.Random(name).randbytes(1_100_000))
        shutil.copy(made, served)
        served.with_suffix(".zip.sig").write_bytes(sign_detached(made, new_signer(state, "pin")))

    return put


def _holds_plainly(*names: str | None) -> Callable[[State], None]:
    """Whether the device without a repository has one of these zips in use, whole (None: nothing)."""

    def look(state: State) -> None:
        with Device.opened(state.root / "pinned", APP.id) as device:
            current = device.current_for(APP)
            assert current == device.state.current, "what is in use cannot be read"
            found = {} if current is None else _files(device.path_of(current))
        assert found in [_zipped(state.root / "plain" / f"{name}.zip") if name else {} for name in names]

    return look


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")}


def _zipped(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def new_signer(state: State, file: str) -> Signer:
    return signer_for(f"file:{state.root / file}.pem")


_OFFER_2 = "channel set {app} --release 2 --to file:{dev}"
_CHECK = "check {app} --at file:{dev} --device {root}/"
_CHECK_PLAIN = "check {app} --at file:{root}/plain/model.zip --pin {root}/pin.pub --legacy-zip --device {root}/pinned"
_WITHDRAW = "review propose --at {dev} --app com.acme.digits --withdraw 2 --reason broken"
_SECOND = "keys new {root}/second.pem --no-passphrase"
_REVIEW = "review sign --yes --at {dev} --app com.acme.digits --key file:{root}/second.pem"
_TWO = (_SECOND, "repo rotate app --add {root}/second.pub --threshold 2 --at {dev}", _REVIEW)
_SIGN_3 = "sign {root}/bundles/3.zip --repository {dev} {app} -o {root}/signed/again"
_PUBLISH_3 = "publish {root}/signed/again --to file:{dev}"
_PIN = "keys new {root}/pin.pem --type rsa --bits 2048 --no-passphrase"


def _rotation(who: str, role: str) -> Scenario:
    """Run again after it was done, it says that the key is there already."""
    command = f"repo rotate {who} --add {{root}}/second.pub --at {{dev}}"
    return Scenario(before=(_SECOND,), command=command, also=_holds(role, "second"), says=(0, 2))


SCENARIOS = {
    "publish": Scenario(command="publish {root}/signed/3 --to file:{dev}", releases=(1, 2, 3)),
    "channel set": Scenario(command=_OFFER_2, offers=2),
    "channel rollback": Scenario(
        before=(_OFFER_2,), command="channel rollback {app} --to file:{dev} --if-current 2", says=(0, 5)
    ),
    "device install": Scenario(command=_CHECK + "fresh", subject="fresh"),
    "device update": Scenario(before=(_OFFER_2,), command=_CHECK + "old", subject="old", offers=2),
    "device rollback": Scenario(
        before=(_OFFER_2, _CHECK + "old", "channel rollback {app} --to file:{dev}"), command=_CHECK + "old", subject="old"
    ),
    "sign for a new app": Scenario(
        command="sign {root}/bundles/3.zip --repository {dev} --app com.acme.other --app-version 1.0 -o {root}/out",
        also=_other_app_stands,
    ),
    "device resume": Scenario(before=(_OFFER_2, _half_came), command=_CHECK + "old", subject="old", offers=2),
    "device withdrawal": Scenario(
        before=(_OFFER_2, _CHECK + "old", _WITHDRAW, "channel set {app} --release 1 --to file:{dev}"),
        command=_CHECK + "old",
        subject="old",
    ),
    "device repair": Scenario(
        before=(_OFFER_2, _CHECK + "old", _altered),
        command=_CHECK + "old",
        subject="old",
        offers=2,
        spoiled=True,
        code=UpdateStatus.FAILURE_INTEGRITY.exit_code,
        says=(0, UpdateStatus.FAILURE_INTEGRITY.exit_code),
    ),
    "device self-test": Scenario(before=(_model_offered,), command=_CHECK + "old", subject="old", releases=(1, 2, 3), offers=3),
    "device pinned install": Scenario(
        before=(_PIN, _served_plainly("first")),
        command=_CHECK_PLAIN,
        always=_holds_plainly(None, "first"),
        also=_holds_plainly("first"),
    ),
    "device pinned update": Scenario(
        before=(_PIN, _served_plainly("first"), _CHECK_PLAIN, _served_plainly("second")),
        command=_CHECK_PLAIN,
        always=_holds_plainly("first", "second"),
        also=_holds_plainly("second"),
    ),
    "repo init": Scenario(command="repo init --dev {root}/made/dev --app com.acme.digits", also=_made),
    "repo add-app": Scenario(command="repo add-app {dev} --app com.acme.other", also=_other_app_is_there),
    "repo renew": Scenario(before=(_almost_run_out,), command="repo renew --repository {dev}", also=_renewed),
    "repo rotate root": Scenario(
        before=(_SECOND,),
        command="repo rotate root --add {root}/second.pub --at {dev}",
        also=_holds("root", "second"),
        says=(0, 2),
    ),
    "repo rotate app": Scenario(
        before=(_SECOND,),
        command="repo rotate app --add {root}/second.pub --at {dev}",
        also=_holds("targets", "second"),
        says=(0, 2),
    ),
    "repo rotate operators": Scenario(
        before=(_SECOND,),
        command="repo rotate operators --add {root}/second.pub --at {dev}",
        also=_holds("channels", "second"),
        says=(0, 2),
    ),
    "repo rekey": Scenario(before=(_PIN,), command="repo rekey --pin file:{root}/pin.pem --at {dev}", also=_cosigned),
    "publish a change": Scenario(before=(*_TWO, _SIGN_3), command=_PUBLISH_3, waits=True, also=_can_be_signed),
    "review sign": Scenario(before=(*_TWO, _SIGN_3, _PUBLISH_3), command=_REVIEW, releases=(1, 2, 3), says=(0, 6)),
    "review propose": Scenario(command=_WITHDRAW, also=_withdrawn, says=(0, 5)),
    "publish to a server": Scenario(
        command="publish {root}/signed/3 --to {url} --repository {dev}", releases=(1, 2, 3), served=True
    ),
    "channel set at a server": Scenario(
        command="channel set {app} --release 2 --to {url} --repository {dev}", offers=2, served=True
    ),
}
