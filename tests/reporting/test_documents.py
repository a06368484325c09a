"""A report as JUnit XML and as an HTML page: byte for byte, whole or not at all, and whatever a server says stays text."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpublish.artifacts import App
from mlpublish.errors import RecipeError
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.reporting.documents import Documents
from mlpublish.reporting.html import as_html
from mlpublish.reporting.junit import as_junit
from mlpublish.reporting.text import document
from mlpublish.reports import CheckReport, Phase, RoleReport
from mlpublish.reports.sheets import Case, Sheet
from mlpublish.version import __version__

GOLDEN = Path(__file__).with_name("golden")
GOLDENS_ARE_WRITTEN = os.environ.get("MLPUBLISH_UPDATE_GOLDENS") == "1"  # read before the environment is made quiet
AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
KEYS = ("3f1a0c2b9d8e" + "0" * 52, "a4c09e77d1b2" + "0" * 52)


def role(name: str, *, threshold: int = 1) -> RoleReport:
    return RoleReport(
        role=name, version=3, threshold=threshold, keys=3, signed_by=KEYS[:threshold], expires=datetime(2027, 1, 1, tzinfo=UTC)
    )


INSTALLED = CheckReport(
    status=UpdateStatus.SUCCESS,
    app=App(id="com.acme.digits", version="2.0"),
    installed=2,
    offered=2,
    reason=None,
    path=Path("/phone/releases/2-0123456789ab"),
    models={"digits": Path("/phone/releases/2-0123456789ab/models/digits.mlmodel")},
    detail="Release 2 (digits 2) is installed and in use.",
    sha256="0123456789ab" + "0" * 52,
    phases={
        "installed": Phase(seconds=0.001),
        "metadata": Phase(seconds=0.021, received=2812, requests=4),
        "channel": Phase(seconds=0.004, received=611, requests=2),
        "download": Phase(seconds=1.5, received=59_000_000, requests=2, retries=1),
        "unzip": Phase(seconds=0.75),
        "self-test": Phase(seconds=0.2),
        "swap": Phase(seconds=0.01),
    },
    roles=(role("root", threshold=2), role("timestamp"), role("targets", threshold=2)),
    verified=("The bundle is byte for byte what the app role signs as release 2 (sha256 0123456789ab…).",),
    self_tests={"digits": "passed: 8 golden samples, within 2.1e-07 (relative)"},
    endpoint="https://updates.acme.example/mfp",
    channel="stable",
    device=Path("/phone"),
)
CUT = replace(
    INSTALLED,
    status=UpdateStatus.FAILURE_DOWNLOADING,
    installed=1,
    detail='The download ended after 100 of 59000000 bytes. <Check> again & "resume".',
    phases={
        **{name: INSTALLED.phases[name] for name in ("installed", "metadata", "channel")},
        "download": Phase(seconds=30.0, received=100, requests=4, retries=3, passed=False),
    },
    verified=(),
    self_tests={},
)
NOTHING_NEW = replace(
    INSTALLED, reason=Reason.ALREADY_INSTALLED, detail="Nothing new: the offered release is installed already.", phases={}
)


@pytest.mark.parametrize(("name", "report"), [("installed", INSTALLED), ("cut", CUT)])
@pytest.mark.parametrize(("form", "write"), [("xml", as_junit), ("html", as_html)])
def test_documents_byte_for_byte(name: str, report: CheckReport, form: str, write: Callable[..., bytes]) -> None:
    file, content = GOLDEN / f"{name}.{form}", write(report.sheet(), at=AT).replace(__version__.encode(), b"VERSION")
    if GOLDENS_ARE_WRITTEN:
        file.write_bytes(content)
    assert content == file.read_bytes()


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + "/r.xml"])
def test_a_name_that_no_disk_takes_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="cannot be written: File name too long") as told:
        Documents.at(junit=tmp_path / name)
    assert told.value.field == "junit"


# ── JUnit ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

# Jenkins' xUnit plugin, junit-10.xsd: element -> (its attributes, what it may hold)
SHAPE: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, {"skipped", "error", "failure", "system-out", "system-err", "properties"}),
    "failure": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}


def fits(element: ET.Element) -> bool:
    attributes, inside = SHAPE[element.tag]
    assert set(element.attrib) <= attributes, element.tag
    assert {child.tag for child in element} <= inside, element.tag
    return all(map(fits, element))


def suite_of(report: CheckReport) -> ET.Element:
    (suite,) = ET.fromstring(as_junit(report.sheet(), at=AT))
    return suite


def test_junit_has_the_shape_that_build_servers_read_as_pytests_own_has(tmp_path: Path) -> None:
    assert fits(ET.fromstring(as_junit(INSTALLED.sheet(), at=AT)))
    assert fits(ET.fromstring(as_junit(CUT.sheet(), at=AT)))
    (tmp_path / "test_one.py").write_text("import pytest\n\ndef test_a(): assert 0\n\ndef test_b(): pytest.skip('no')\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml=out.xml", "test_one.py"]
    subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=60)
    assert fits(ET.parse(tmp_path / "out.xml").getroot())


def test_junit_counts_what_it_lists() -> None:
    for report, failures, skipped in ((INSTALLED, 0, 0), (CUT, 2, 3), (NOTHING_NEW, 0, 7)):
        suite = suite_of(report)
        counted = [len(suite.findall(path)) for path in ("testcase", "testcase/failure", "testcase/skipped")]
        assert [int(suite.attrib[name]) for name in ("tests", "failures", "skipped")] == counted == [8, failures, skipped]


def test_the_phase_in_which_a_check_ended_fails_with_its_status_and_so_does_the_status() -> None:
    failed = {case.attrib["name"]: case.find("failure") for case in suite_of(CUT).iter("testcase")}
    told = {name: (each.attrib["type"], each.attrib["message"]) for name, each in failed.items() if each is not None}
    assert told == dict.fromkeys(("download", "status"), ("FAILURE_DOWNLOADING", CUT.detail))


def test_junit_names_app_endpoint_and_device() -> None:
    properties = {each.attrib["name"]: each.attrib["value"] for each in suite_of(INSTALLED).iter("property")}
    assert properties["app"] == "com.acme.digits 2.0 (ios)"
    assert (properties["endpoint"], properties["device"]) == ("https://updates.acme.example/mfp", "/phone")
    assert "reason" not in properties


# ── whatever is said ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Page(HTMLParser):
    """The tags and attributes of a page, and that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[tuple[str, str | None]] = set()
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= set(attributes)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def saying(text: str) -> CheckReport:
    return replace(
        CUT, detail=text, endpoint=text, path=Path("/" + text.replace("\0", "")), models={text: Path("/m")}, verified=(text,),
        self_tests={text: text}, channel=text,
    )  # fmt: skip


@given(st.text() | st.text(st.sampled_from("<>&\"'/\0\x1b\ud800\ufffe\u202e]]>script=")))
def test_whatever_is_said_stays_text(text: str) -> None:
    plain, hostile = (as_html(saying(each).sheet(), at=AT).decode() for each in ("x", text or "x"))
    assert Page(hostile).tags == Page(plain).tags
    assert Page(hostile).attributes == Page(plain).attributes
    assert Page(hostile).open == []
    assert fits(ET.fromstring(as_junit(saying(text).sheet(), at=AT)))
    assert len(document(saying(text or "x").sheet()).splitlines()) == len(document(saying("x").sheet()).splitlines())


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    page = Page(as_html(INSTALLED.sheet(), at=AT).decode())
    assert not {"script", "link", "img", "iframe", "a", "object"} & set(page.tags)
    assert {name for name, _ in page.attributes} == {"lang", "charset", "http-equiv", "content", "name", "class", "scope"}
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_a_report_without_cases_and_tables_is_written_too() -> None:
    bare = Sheet(title="mlpublish x", outcome="done", passed=True, facts={"what": "nothing", "why": None})
    assert fits(ET.fromstring(as_junit(bare, at=AT)))
    assert Page(as_html(bare, at=AT).decode()).tags.count("table") == 1
    one = replace(bare, cases=(Case(name="a"),))
    assert [case.attrib["name"] for case in ET.fromstring(as_junit(one, at=AT)).iter("testcase")] == ["a"]


# ── where they go ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_documents_are_written_into_folders_that_are_made_and_over_what_stood_there(tmp_path: Path) -> None:
    old = tmp_path / "check.html"
    old.write_text("old")
    documents = Documents.at(junit=tmp_path / "new" / "deep" / "check.xml", html=old)
    assert (old.read_text(), list(tmp_path.iterdir())) == ("old", [old])  # asking whether they can be written writes nothing
    assert list(documents.write(CUT)) == []
    assert ET.parse(tmp_path / "new" / "deep" / "check.xml").getroot().tag == "testsuites"
    assert old.read_text().startswith("<!doctype html>")
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["check.html", "check.xml", "deep", "new"]


@pytest.mark.parametrize(
    ("junit", "html"),
    [("file/check.xml", None), ("folder", None), ("same", "same"), ("/dev/null", None), ("/proc/check.xml", None)],
)
def test_what_cannot_be_written_is_told_before_the_work(tmp_path: Path, junit: str, html: str | None) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RecipeError) as raised:
        Documents.at(junit=tmp_path / junit, html=None if html is None else tmp_path / html)
    assert raised.value.field in ("junit", "html")
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["file", "folder"]


def test_what_goes_wrong_later_is_given_and_leaves_the_old_one(tmp_path: Path) -> None:
    documents = Documents.at(junit=tmp_path / "sub" / "check.xml", html=tmp_path / "check.html")
    (tmp_path / "sub").write_text("somebody made a file of it")
    (error,) = documents.write(INSTALLED)
    assert (error.field, error.exit_code) == ("junit", 1)
    assert (tmp_path / "check.html").is_file()
