"""What no signer could have meant is no role, however well it is signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root, Targets

from mlpublish.errors import FormatError, VerificationError
from mlpublish.publishing.publish import publish
from mlpublish.repository.development import Development
from mlpublish.trust import roles
from mlpublish.trust.verify import verify
from tests.production import APP


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


ROLE = Metadata(Targets(version=1, expires=roles.after(9))).to_bytes()
UNWRITABLE = {
    "a fraction": 1.5,
    "a whole number that is written as a fraction": 1.0,
    "no number": float("nan"),
    "half a letter": "a\ud800",
    "half a letter in a list": [{"x": ["\udfff"]}],
    "half a letter in a name": {"a\ud800": 1},
    "too deep": nested(31),
    "far too deep": nested(500),
}


def bent(data: bytes, value: object) -> bytes:
    document = json.loads(data)
    document["signed"]["zz"] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize("case", UNWRITABLE)
def test_what_canonical_json_cannot_write_is_refused_when_it_is_read(case: str) -> None:
    with pytest.raises(FormatError, match="whole numbers and proper text, at most 32 levels deep") as caught:
        roles.parse(bent(ROLE, UNWRITABLE[case]), Targets, "targets")
    assert caught.value.field == "targets"


@pytest.mark.parametrize("value", [0, -1, 2**70, True, None, "ü\n\U0001f600", {"é": [[], {}, ""]}, nested(30)])
def test_whatever_it_can_write_is_read(value: object) -> None:
    role = roles.parse(bent(ROLE, value), Targets, "targets")
    assert role.signed.unrecognized_fields == {"zz": value}
    assert role.signed_bytes


@pytest.mark.parametrize("case", ["a fraction", "half a letter", "far too deep"])
@pytest.mark.parametrize("file", ["targets.json", "roots/1.root.json"])
def test_of_a_release_the_file_is_named(
    new_release: Callable[..., Any], development: Development, file: str, case: str
) -> None:
    release = new_release(b"one")
    place, root = release.folder / file, development.first_root(APP.id)
    place.write_bytes(bent(place.read_bytes(), UNWRITABLE[case]))
    with pytest.raises(VerificationError, match="proper text"):
        verify(release.folder, root=root)
    with pytest.raises(FormatError, match="proper text"):
        publish(release, to=development.folder)


def test_a_root_is_held_to_it_as_well(development: Development) -> None:
    development.app(APP.id)
    with pytest.raises(FormatError, match="proper text"):
        roles.parse(bent(development.first_root(APP.id), 1.5), Root, "root")
