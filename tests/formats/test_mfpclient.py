"""The predecessor's client configuration: read as its own platforms read it, and edited without touching anything else."""

from __future__ import annotations

import plistlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from mlpublish.errors import FormatError
from mlpublish.formats.mfpclient import PIN, Kind, kind_of, read, with_value

NEW = "MIIBIjANBgkq+/8A=="
PLIST = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- written by the CLI; <key>wlSecureModelUpdatePublicKey</key><string>not this</string> -->
<plist version="1.0">
  <dict>
    <key>protocol</key>
    <string>https</string>
    <key>host</key>
    <string>mobile.exämple</string>
    <key>port</key>
    <integer>443</integer>
    <key>nested</key>
    <dict>
      <key>wlSecureModelUpdatePublicKey</key>
      <string>nor this</string>
    </dict>
    <key>wlServerContext</key><string>/mfp/</string>   <!-- kept -->
{entry}    <key>languagePreferences</key>
    <string>en</string>
  </dict>
</plist>
"""
ENTRY = "    <key>wlSecureModelUpdatePublicKey</key>\n    {value}\n"
VALUES = {
    "a text": "<string>OLD</string>",
    "an empty one": "<string></string>",
    "an empty one, short": "<string/>",
    "over lines": "<string>\n      OLD\n    </string >",
    "with a comment": "<string>OL<!-- > -->D</string>",
    "as CDATA": "<string><![CDATA[OLD]]></string>",
    "with a comment before it": "<!-- the pin --><string>OLD</string>",
}
PROPERTIES = b"""\
# Android; caf\xe9
wlServerProtocol = https
 wlServerHost: mobile.ex\\u00e4mple
wlServerPort 443\r
! wlSecureModelUpdatePublicKey = not this
wlServerContext=/mfp/\\
    more
"""


def plist(entry: str, ends: str = "\n") -> bytes:
    return PLIST.format(entry=entry).replace("\n", ends).encode()


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("value", VALUES)
def test_a_pin_that_stands_is_replaced_and_every_other_byte_stays(value: str, ends: str) -> None:
    before = plist(ENTRY.format(value=VALUES[value]), ends)
    after = with_value(before, Kind.XML_PLIST, PIN, NEW)
    kept = VALUES[value][: VALUES[value].index("<string")]
    assert after == plist(ENTRY.format(value=f"{kept}<string>{NEW}</string>"), ends)


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_pin_that_is_new_stands_last_indented_as_the_others_are(ends: str) -> None:
    before = plist("", ends)
    after = with_value(before, Kind.XML_PLIST, PIN, NEW)
    entry = ENTRY.format(value=f"<string>{NEW}</string>").replace("\n", ends).encode()
    assert after.replace(entry, b"") == before
    assert after.endswith(entry + f"  </dict>{ends}</plist>{ends}".encode())


@pytest.mark.parametrize(
    "content",
    [
        plist("").decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        plist("").decode().replace("UTF-8", "ISO-8859-1").encode("latin-1"),
        b"\xef\xbb\xbf" + plist(""),
        b"<plist><dict><key>a</key><string>1</string></dict></plist>",
        b"<plist><dict></dict></plist>",
        b"<plist><dict/></plist>",
        b"<plist><dict><key>wlSecureModelUpdatePublicKey</key><string/></dict></plist>",
        b"<plist><dict><key>wlSecureModelUpdatePublicKey</key><string>a/></string></dict></plist>",
    ],
    ids=["UTF-16", "Latin-1", "byte order mark", "one line", "empty", "empty, short", "<string/>", "a value like a tag's end"],
)
def test_a_plist_of_another_make_is_edited_too(content: bytes) -> None:
    assert kind_of(content) is Kind.XML_PLIST
    after = with_value(content, Kind.XML_PLIST, PIN, NEW)
    assert plistlib.loads(after) == plistlib.loads(content) | {PIN: NEW}
    assert with_value(after, Kind.XML_PLIST, PIN, NEW) == after


def test_a_binary_plist_keeps_its_values_and_their_order() -> None:
    values = {"port": 443, "host": "mobile.exämple", PIN: "OLD", "when": [1, 2.5, True], "wlServerContext": "/mfp/"}
    content = plistlib.dumps(values, fmt=plistlib.FMT_BINARY, sort_keys=False)
    after = with_value(content, Kind.BINARY_PLIST, PIN, NEW)
    assert kind_of(content) is kind_of(after) is Kind.BINARY_PLIST
    assert list(plistlib.loads(after).items()) == list((values | {PIN: NEW}).items())


def test_only_texts_and_numbers_of_the_top_are_read() -> None:
    assert read(plist(ENTRY.format(value="<string>OLD</string>")), Kind.XML_PLIST) == {
        "protocol": "https", "host": "mobile.exämple", "port": "443", "wlServerContext": "/mfp/", PIN: "OLD",
        "languagePreferences": "en",
    }  # fmt: skip


def test_properties_are_read_as_java_reads_them() -> None:
    assert kind_of(PROPERTIES) is Kind.PROPERTIES
    assert read(PROPERTIES, Kind.PROPERTIES) == {
        "wlServerProtocol": "https", "wlServerHost": "mobile.exämple", "wlServerPort": "443", "wlServerContext": "/mfp/more",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        (b"wlSecureModelUpdatePublicKey = OLD\n", b"wlSecureModelUpdatePublicKey = NEW\n"),
        (b"  wlSecureModelUpdatePublicKey:OLD", b"  wlSecureModelUpdatePublicKey:NEW"),
        (b"wlSecureModelUpdatePublicKey\n", b"wlSecureModelUpdatePublicKey=NEW\n"),
        (
            b"wlSecureModelUpdatePublicKey = \\\r\n   OL\\\r\n   D\r\nz = 1\r\n",
            b"wlSecureModelUpdatePublicKey = \\\r\n   NEW\r\nz = 1\r\n",
        ),
        (b"wlSecureModel\\u0055pdatePublicKey=OLD\n", b"wlSecureModel\\u0055pdatePublicKey=NEW\n"),
        (
            b"wlSecureModelUpdatePublicKey=1\nwlSecureModelUpdatePublicKey=2\n",
            b"wlSecureModelUpdatePublicKey=1\nwlSecureModelUpdatePublicKey=NEW\n",
        ),
        (b"", b"wlSecureModelUpdatePublicKey = NEW\n"),
    ],
    ids=["=", ":", "no value", "over lines", "escaped", "twice: the last wins", "none"],
)  # fmt: skip
def test_in_properties_only_the_value_changes(entry: bytes, wanted: bytes) -> None:
    assert with_value(PROPERTIES + entry, Kind.PROPERTIES, PIN, "NEW") == PROPERTIES + wanted


TEXTS = some.text(some.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12)


@given(content=some.binary(max_size=80) | some.lists(some.tuples(TEXTS, some.sampled_from("=: \\#!\n\r")), max_size=12).map(
    lambda parts: "".join(map("".join, parts)).encode("latin-1")))  # fmt: skip
def test_any_properties_file_is_set_and_the_rest_reads_as_before_or_it_is_refused(content: bytes) -> None:
    before = read(content, Kind.PROPERTIES)
    try:
        after = with_value(content, Kind.PROPERTIES, PIN, NEW)
    except FormatError:
        assume(False)
    assert read(after, Kind.PROPERTIES) == {**before, PIN: NEW}
    assert len(after) >= len(content) - len(before.get(PIN, ""))


@pytest.mark.parametrize(
    "content",
    [
        b"<plist><dict>",
        b"<plist><array/></plist>",
        b"<plist><key>a</key></plist>",
        b"bplist00garbage",
        b"<?xml version='1.0'?><!DOCTYPE plist [<!ENTITY a 'b'>]><plist><dict/></plist>",
    ],
)
def test_what_is_no_plist_is_refused(content: bytes) -> None:
    kind = kind_of(content)
    assert kind is not None
    with pytest.raises(FormatError):
        read(content, kind)
    with pytest.raises(FormatError):
        with_value(content, kind, PIN, NEW)


def test_a_key_is_no_configuration() -> None:
    for content in (b"", NEW.encode(), b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n", b"\x30\x82\x01\x22"):
        assert kind_of(content) is None
    assert kind_of(b"", "mfpclient.properties") is Kind.PROPERTIES


@pytest.mark.parametrize(
    "value",
    [b"<date>garbage</date>", b"<integer>0x" + b"f" * 100_000 + b"</integer>", b"<integer>9223372036854775808</integer>"],
)
def test_a_value_that_no_reader_makes_sense_of_is_refused(value: bytes) -> None:
    with pytest.raises(FormatError):
        read(b'<?xml version="1.0"?><plist version="1.0"><dict><key>port</key>' + value + b"</dict></plist>", Kind.XML_PLIST)
