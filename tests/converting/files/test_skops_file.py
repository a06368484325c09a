from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from mlpublish.converting.files import skops_archive
from mlpublish.converting.files.skops_file import opened_skops
from mlpublish.errors import ConversionError

sio = pytest.importorskip("skops.io", reason="needs skops: pip install 'mlpublish[skops]'")

_R = np.random.default_rng(7)
ROWS = _R.normal(size=(30, 3))
CLASSES = np.arange(30) % 3


def opened(folder, content: bytes) -> object:
    return opened_skops(folder / "m.skops", content)


def refused(folder, content: bytes) -> str:
    with pytest.raises(ConversionError, match="cannot be read") as said:
        opened(folder, content)
    assert "\n" not in str(said.value)
    return said.value.problem


def archive(parts, method=zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as packed:
        for name, part in parts.items():
            packed.writestr(name, part)
    return made.getvalue()


def parts_of(model) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(sio.dumps(model))) as held:
        return {name: held.read(name) for name in held.namelist()}


def node(loader: str, kind: str, number: int, **more) -> dict:
    return {"__class__": kind, "__module__": "builtins", "__loader__": loader, "__id__": number, **more}


def schema(value) -> bytes:
    return json.dumps({**value, "protocol": 2, "_skops_version": "0.16.0"}).encode()


def test_a_large_forest_is_opened_where_it_is_packed(tmp_path):
    """Nothing unpacks to more than its nodes, which are much alike."""
    model = RandomForestClassifier(500, max_depth=1, n_jobs=1).fit(ROWS, CLASSES)
    found = opened(tmp_path, sio.dumps(model, compression=zipfile.ZIP_DEFLATED))
    np.testing.assert_array_equal(found.predict(ROWS[:3]), model.predict(ROWS[:3]))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "LZMA"])
def test_what_is_packed_by_a_method_that_cannot_be_bounded_is_refused(tmp_path, method):
    content = archive(parts_of(LogisticRegression().fit(ROWS, CLASSES)), method)
    assert "another method than ZIP_STORED and ZIP_DEFLATED" in refused(tmp_path, content)


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr(skops_archive, "_FREE", 100_000)


def test_a_part_that_unpacks_to_too_much_is_refused(tmp_path, narrow):
    parts = parts_of(LogisticRegression().fit(ROWS, CLASSES))
    assert opened(tmp_path, archive(parts)) is not None
    assert "would unpack to 4.0 MB" in refused(tmp_path, archive({**parts, "zeros.npy": bytes(4_000_000)}))


def test_an_archive_in_the_archive_that_unpacks_to_too_much_is_refused(tmp_path, narrow):
    inner = archive({"data.npy": bytes(4_000_000)})
    parts = {**parts_of(LogisticRegression()), "m.npz": inner}
    assert "would unpack to 4.0 MB" in refused(tmp_path, archive(parts))


def test_an_array_that_is_read_again_and_again_is_refused(tmp_path, narrow):
    reads = [node("BytesNode", "bytes", number, file="b.bin") for number in range(2, 1000)]
    content = archive({"b.bin": bytes(50_000), "schema.json": schema(node("ListNode", "list", 1, content=reads))})
    assert "would unpack to 49.9 MB" in refused(tmp_path, content)


def test_a_part_is_read_as_far_as_it_says_that_it_is_long(tmp_path):
    """zipfile alone would unpack all of it, and cut it then."""
    content = archive({**parts_of(LogisticRegression()), "zeros.npy": bytes(1_000_000)})
    shown = content.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert "CRC" in refused(tmp_path, shown)


def test_a_schema_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(skops_archive, "_LARGEST_SCHEMA", 100)
    assert "its schema has more than 100 bytes" in refused(tmp_path, sio.dumps(LogisticRegression()))


def nested(depth: int) -> bytes:
    value = node("ListNode", "list", 1, content=[])
    for number in range(2, depth):
        value = node("ListNode", "list", number, content=[value])
    return schema(value)


def doubled(depth: int) -> bytes:
    """Lists of the next list, twice: 2**depth of them for who follows each."""
    value = node("ListNode", "list", 1, content=[])
    for number in range(2, depth):
        value = node("ListNode", "list", number, content=[value, {"__id__": number - 1}])
    return schema(value)


HOSTILE = {
    "deep JSON": (lambda: b'{"a":' * 100_000, "nested too deeply"),
    "deep nodes": (lambda: nested(400), "nested too deeply"),
    "itself": (lambda: schema(node("ListNode", "list", 1, content=[{"__id__": 1}])), "do not hang together"),
    "one in the other": (
        lambda: schema(node("ListNode", "list", 1, content=[node("ListNode", "list", 2, content=[{"__id__": 1}])])),
        "do not hang together",
    ),
    "doubled": (lambda: doubled(60), "do not hang together"),
    "a list for a number": (lambda: schema(node("ListNode", "list", 1, content=[{"__id__": [1]}])), "unhashable"),
    "a text": (lambda: b'"text"', "no attribute"),
}


@pytest.mark.parametrize(("made", "told"), HOSTILE.values(), ids=HOSTILE)
def test_a_schema_that_would_not_end_is_told_in_one_line(tmp_path, made, told):
    assert told in refused(tmp_path, archive({"schema.json": made()}))


def test_an_archive_without_a_schema_is_told(tmp_path):
    assert "schema.json" in refused(tmp_path, archive({"a": b""}))
