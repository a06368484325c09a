"""What a note says: tags, metrics and one paragraph. Nothing here asks or writes anything.

A release is told twice: under the plain names (``mlpublish.release``), where the newest note stands, and under its place
(``mlpublish.release.com.acme.digits/2.0/stable``), so that two apps or two channels never hide each other. The tags say what
a model became; what a channel offers this moment only the channel says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mlpublish.addresses import without_credentials
from mlpublish.artifacts import Receipt
from mlpublish.formats.manifest import ModelEntry
from mlpublish.formats.wire import digest_of

RELEASE, CHANGE, ERROR = "mlpublish.release", "mlpublish.change", "mlpublish.error"
PARITY = "mlpublish.parity."
LONGEST_ERROR = 500  # characters
LONGEST_DESCRIPTION = 5000  # characters; the column's width in MLflow's database
_LONGEST_KEY = 250  # characters; MLflow's limit for a tag's name


def place_of(receipt: Receipt) -> str:
    """Where a release went, as a deployment is named: app id, app version, channel, and a platform that is not ``ios``."""
    app = receipt.app
    return "/".join((app.id, app.version, str(receipt.channel)) + (() if app.platform == "ios" else (app.platform,)))


def key_at(key: str, receipt: Receipt) -> str:
    """A tag's name for the place that the release went to; one that MLflow would find too long ends in its digest."""
    whole = f"{key}.{place_of(receipt)}"
    return whole if len(whole) <= _LONGEST_KEY else f"{whole[: _LONGEST_KEY - 13]}-{digest_of(whole.encode())[:12]}"


def identity_of(receipt: Receipt) -> dict[str, str]:
    """What tells this release, at this place, from every other."""
    return {
        RELEASE: str(receipt.number),
        "mlpublish.channel": str(receipt.channel),
        "mlpublish.bundle_sha256": receipt.sha256,
        "mlpublish.app": receipt.app.id,
        "mlpublish.app_version": receipt.app.version,
        "mlpublish.platform": receipt.app.platform,
        "mlpublish.endpoint": without_credentials(receipt.endpoint),
    }


def tags_of(receipt: Receipt) -> dict[str, str]:
    """What a model version and a logged model are told."""
    return {**identity_of(receipt), key_at(RELEASE, receipt): str(receipt.number)}


def metrics_of(entry: ModelEntry, *, alone: bool) -> Iterator[tuple[str, float]]:
    """A model's parity as metrics; where several models share a bundle each has its name in them."""
    if entry.parity is None:
        return
    prefix = PARITY if alone else f"{PARITY}{entry.name}."
    yield f"{prefix}samples", float(entry.parity.samples)
    yield f"{prefix}max_abs_diff", entry.parity.max_abs_diff
    yield f"{prefix}max_rel_diff", entry.parity.max_rel_diff
    if entry.parity.label_agreement is not None:
        yield f"{prefix}label_agreement", entry.parity.label_agreement


def error_of(channel: str, problem: str) -> str:
    """A failure in one short line that begins with the channel."""
    line = f"{channel}: {' '.join(without_credentials(problem).split())}"
    return line if len(line) <= LONGEST_ERROR else line[: LONGEST_ERROR - 1] + "…"


def is_settled(error: str | None, receipt: Receipt) -> bool:
    """Whether a failure that was noted is over with this release: it was the same channel's."""
    return error is not None and error.startswith(f"{receipt.channel}: ")


def unwanted(tags: Mapping[str, str], receipt: Receipt) -> set[str]:
    """The tags that this release has made untrue: the change it waited for, the failure before it."""
    waited = tags.get(key_at(CHANGE, receipt))
    gone = set() if waited is None else {key_at(CHANGE, receipt)}
    if waited is not None and tags.get(CHANGE) == waited:
        gone.add(CHANGE)
    return gone | ({ERROR} if is_settled(tags.get(ERROR), receipt) else set())


def paragraph_of(receipt: Receipt) -> str:
    """The release in one line, for people."""
    return f"mlpublish: release {receipt.number} {_where(receipt)}; bundle sha256 {receipt.sha256[:12]}."


def described(text: str, receipt: Receipt) -> str:
    """A description with our paragraph for this place in it; what people wrote stays as it is.

    Where both would not fit, theirs stays alone: the tags say the same.
    """
    ours = re.compile(rf"^mlpublish: release [0-9]+ {re.escape(_where(receipt))};.*$", re.MULTILINE)
    paragraph = paragraph_of(receipt)
    if ours.search(text):
        told = ours.sub(lambda _: paragraph, text, count=1)
    else:
        told = f"{text}\n\n{paragraph}" if text else paragraph
    return told if len(told) <= LONGEST_DESCRIPTION else text


def _where(receipt: Receipt) -> str:
    return f"of {receipt.app}, channel {receipt.channel}, at {without_credentials(receipt.endpoint)}"
