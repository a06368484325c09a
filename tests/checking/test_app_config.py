"""An app's own configuration: whom it asks and what it pins, in both of the predecessor's files; bad values blamed by name."""

from __future__ import annotations

import plistlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpublish.checking.app_config import AppConfig
from mlpublish.errors import FormatError, RecipeError
from mlpublish.formats.mfpclient import PIN

IOS = {"protocol": "https", "host": "updates.acme.example", "port": "9443", "wlServerContext": "/mfp/", PIN: "TUlJQg=="}
ANDROID = {
    "wlServerProtocol": "https",
    "wlServerHost": "updates.acme.example",
    "wlServerPort": "9443",
    "wlServerContext": "/mfp/",
    PIN: "TUlJQg==",
}
AT = "https://updates.acme.example:9443/mfp"


def xml(values: dict[str, object]) -> tuple[str, bytes]:
    return "mfpclient.plist", plistlib.dumps(values)


def binary(values: dict[str, object]) -> tuple[str, bytes]:
    return "mfpclient.plist", plistlib.dumps(values, fmt=plistlib.FMT_BINARY)


def properties(values: dict[str, object]) -> tuple[str, bytes]:
    return "mfpclient.properties", "".join(f"{key} = {value}\n" for key, value in values.items()).encode()


@pytest.fixture
def read(tmp_path: Path) -> Callable[[tuple[str, bytes]], AppConfig]:
    def reading(named: tuple[str, bytes]) -> AppConfig:
        (tmp_path / named[0]).write_bytes(named[1])
        return AppConfig.read(tmp_path / named[0])

    return reading


@pytest.mark.parametrize("values", [IOS, ANDROID], ids=["ios", "android"])
@pytest.mark.parametrize("form", [xml, binary, properties])
def test_either_spelling_is_read_in_either_file(read, form, values) -> None:
    assert read(form(values)) == AppConfig(at=AT, pin="TUlJQg==")


def test_a_file_that_has_both_spellings_means_its_own(read) -> None:
    both = {**dict.fromkeys((*IOS, *ANDROID), "ftp"), "wlServerContext": ""}
    assert read(xml({**both, **IOS})).at == AT
    assert read(properties({**both, **ANDROID})).at == AT


def test_a_properties_file_is_read_as_java_reads_it(read) -> None:
    text = b"# the app's\nwlServerProtocol:http\nwlServerHost = a.\\\n    acme.example\nwlServerPort=\nwlServerContext \\/mfp\n"
    assert read(("mfpclient.properties", text)) == AppConfig(at="http://a.acme.example/mfp", pin=None)


# what stands there -> the URL that a device asks
URLS: list[tuple[dict[str, object], str]] = [
    ({"port": 9443}, AT),
    ({"port": ""}, "https://updates.acme.example/mfp"),
    ({"port": "443"}, "https://updates.acme.example/mfp"),
    ({"port": "80"}, "https://updates.acme.example:80/mfp"),
    ({"protocol": "HTTP", "port": "080"}, "http://updates.acme.example/mfp"),
    ({"host": " Updates.ACME.example "}, AT),
    ({"host": "mfp_1"}, "https://mfp_1:9443/mfp"),
    ({"host": "10.0.0.7"}, "https://10.0.0.7:9443/mfp"),
    ({"host": "2001:DB8::7"}, "https://[2001:db8::7]:9443/mfp"),
    ({"host": "[::1]"}, "https://[::1]:9443/mfp"),
    ({"wlServerContext": "mfp"}, AT),
    ({"wlServerContext": "/mobile/mfp-8.0/"}, "https://updates.acme.example:9443/mobile/mfp-8.0"),
    ({"wlServerContext": "/"}, "https://updates.acme.example:9443"),
    ({"wlServerContext": ""}, "https://updates.acme.example:9443"),
]


@pytest.mark.parametrize(("changes", "url"), URLS, ids=[str(changes) for changes, _ in URLS])
def test_the_url_is_built_from_the_parts(read, changes, url) -> None:
    assert read(xml(IOS | changes)).at == url


BAD: list[tuple[str, object, str]] = [
    ("protocol", "ftp", "http or https"),
    ("protocol", "https://", "http or https"),
    ("protocol", "", "http or https"),
    ("host", "", "the server's name"),
    ("host", "   ", "the server's name"),
    ("host", "updates acme", "no protocol, port, path or space"),
    ("host", "https://updates.acme.example", "no protocol"),
    ("host", "updates.acme.example:9443", "no protocol, port"),
    ("host", "updates.acme.example/mfp", "no protocol, port, path"),
    ("host", "evil.example#", "no protocol"),
    ("host", "bücher.example", "xn--"),
    ("host", "fe80::1%en0", "the address alone"),
    ("host", "[10.0.0.7]", "the address alone"),
    ("host", "127.1", "the address alone"),
    ("host", "0x7f000001", "the address alone"),
    ("host", "2130706433", "the address alone"),
    ("host", "a..b", "the address alone"),
    ("host", "-a.example", "the address alone"),
    ("host", "a" * 300, "the address alone"),
    ("port", "0", "1 to 65535"),
    ("port", "65536", "1 to 65535"),
    ("port", "-1", "1 to 65535"),
    ("port", "9443.0", "1 to 65535"),
    ("port", "٩٤٤٣", "1 to 65535"),
    ("wlServerContext", "/mfp/../admin/", "such as /mfp/"),
    ("wlServerContext", "/mfp//x/", "such as /mfp/"),
    ("wlServerContext", "//evil.example/mfp", "such as /mfp/"),
    ("wlServerContext", "/mfp?x=1", "such as /mfp/"),
    ("wlServerContext", "/%2e%2e/", "such as /mfp/"),
    ("wlServerContext", "/m f p/", "such as /mfp/"),
]


@pytest.mark.parametrize(("key", "value", "remedy"), BAD, ids=[f"{key}={value}"[:40] for key, value, _ in BAD])
def test_a_value_that_cannot_be_meant_is_blamed_by_its_key(read, key, value, remedy) -> None:
    with pytest.raises(RecipeError) as raised:
        read(xml(IOS | {key: value}))
    assert raised.value.field == key
    assert "mfpclient.plist" in raised.value.problem
    assert remedy in raised.value.remedy


def test_what_is_missing_is_blamed_by_the_name_that_this_kind_of_file_has_for_it(read) -> None:
    for form, key in ((xml, "host"), (properties, "wlServerHost")):
        with pytest.raises(RecipeError, match=rf"has no {key}\.") as raised:
            read(form({"protocol": "https"}))
        assert raised.value.field == key


def test_a_password_in_the_host_is_not_repeated(read) -> None:
    with pytest.raises(RecipeError) as raised:
        read(xml(IOS | {"host": "user:hunter2@updates.acme.example"}))
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("mfpclient.plist", None, RecipeError),
        ("mfpclient.plist", b"MIIB", RecipeError),
        ("mfpclient.plist", b"<?xml version='1.0'?><plist><array/></plist>", FormatError),
        ("mfpclient.plist", b"<?xml version='1.0'?><plist", FormatError),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, name, content, kind) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(kind):
        AppConfig.read(tmp_path / name)


@given(
    st.dictionaries(
        st.sampled_from(["protocol", "host", "port", "wlServerContext"]),
        st.text(st.sampled_from("htps:/[]@.-_%?#\\ a1\u202e"), max_size=12)
        | st.sampled_from(["http", "a.example", "8080", "/mfp/"]),
    )
)
def test_whatever_stands_there_the_url_has_exactly_these_parts_or_is_refused(tmp_path_factory, values) -> None:
    file = tmp_path_factory.getbasetemp() / "any.plist"
    file.write_bytes(plistlib.dumps(values))
    try:
        at = AppConfig.read(file).at
    except RecipeError as exc:
        assert exc.field in ("protocol", "host", "port", "wlServerContext")  # noqa: PT017 - either is right, and seen
        return
    parts = urlsplit(at)
    assert parts.scheme == values["protocol"].strip().lower()
    assert parts.hostname == values["host"].strip().strip("[]").lower()
    assert str(parts.port or "") in ("", values.get("port", "").strip().lstrip("0"))
    assert parts.path.strip("/") == values.get("wlServerContext", "").strip().strip("/")
    assert (parts.username, parts.query, parts.fragment) == (None, "", "")
