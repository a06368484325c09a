"""Every result shows itself: one line that is the same in every run, and HTML in which whatever others chose stays text."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

import pytest

from mlpublish.artifacts import App, Bundle, ConvertedModel, Receipt, Release
from mlpublish.formats.channel import Channel, Entry
from mlpublish.formats.evidence import Feature, Interface, MlflowLineage, Provenance
from mlpublish.formats.manifest import FileEntry, Manifest, ModelEntry
from mlpublish.formats.parity import Apart, ParityReport, Points, Tolerance
from mlpublish.formats.status import Reason, UpdateStatus
from mlpublish.reports import (
    ChannelState,
    CheckReport,
    Phase,
    PlannedGroup,
    PlannedOutcome,
    PlanReport,
    RoleReport,
    VerifyReport,
)
from mlpublish.shown import Shown

GOLDEN = Path(__file__).with_name("golden")
GOLDENS_ARE_WRITTEN = os.environ.get("MLPUBLISH_UPDATE_GOLDENS") == "1"  # read before the environment is made quiet
HOSTILE = "<script>alert('x')</script>]]>\"&\r\nforged  line\u202e\u200f\x00"
SCRATCH = ("/scratch-1/phone", "/scratch-2/phone")
APP = App(id="com.acme.digits", version="2.0")


def parity(name: str, *, gap: float = 1e-7) -> ParityReport:
    want = (0.0, 0.25, 0.5, 1.0)
    points = (
        Points(output=name, numbers=4, rel=gap, want=want, got=(*want[:3], 1.0 + gap), marked=3,
               worst=Apart(row=3, place="", want=1.0, got=1.0 + gap)),
        Points(output=f"{name} label", numbers=4, rel=None, worst=Apart(row=1, place="", want=name, got="dog")),
    )  # fmt: skip
    return ParityReport(
        samples=4,
        max_abs_diff=gap,
        max_rel_diff=gap,
        label_agreement=1.0,
        tolerance=Tolerance(rel=1e-4),
        executor=f"{name} 0.1.0",
        points=points,
    )


def results(text: str, scratch: str) -> list[Shown]:
    """One of each kind; ``text`` stands wherever somebody else chooses it, ``scratch`` is another folder in every run."""
    folder = Path(scratch)
    file = FileEntry(path=PurePosixPath(f"models/{text.replace('/', '')}.mlmodel"), length=59_000_000, sha256="a" * 64)
    interface = Interface(
        inputs=(Feature(name=text, kind="multiArray", shape=(1, 64)),),
        outputs=(Feature(name="classLabel", kind="int64", dtype="int64"),),
    )
    lineage = MlflowLineage(registered_model=text, version="7", run_id="r1", metrics={text: "0.9"})
    provenance = Provenance(framework="scikit-learn", framework_version="1.9.0", source=text, mlflow=lineage)
    described = {
        "name": text,
        "kind": text,
        "specification_version": 4,
        "precision": "double",
        "interface": interface,
        "provenance": provenance,
        "parity": parity(text),
    }
    model = ConvertedModel(path=folder / "m.mlmodel", files=(file,), **described)
    entry = ModelEntry(path=file.path, **described)
    manifest = Manifest(name=text, version="2", models=(entry,), files=(file,) * 9, created_by=text)
    bundle = Bundle(path=folder / "b.zip", manifest=manifest, length=59_000_100, sha256="b" * 64)
    role = RoleReport(
        role="targets",
        version=3,
        threshold=2,
        keys=3,
        signed_by=("c" * 64, "d" * 64),
        signers=(text, "bob"),
        expires=datetime(2027, 1, 1, tzinfo=UTC),
    )
    report = CheckReport(
        status=UpdateStatus.FAILURE_INTEGRITY,
        app=APP,
        installed=1,
        offered=2,
        reason=None,
        path=folder / "releases/1",
        models={text: folder / "m.mlmodel"},
        detail=text,
        phases={"download": Phase(seconds=1.5 + len(scratch), received=59_000_000, requests=2, retries=1, passed=False)},
        roles=(role,),
        verified=(text,),
        self_tests={text: text},
        endpoint=f"http://127.0.0.1/{text}",
        device=folder,
    )
    channel = Channel(
        channel="stable", platform="ios", entries=(Entry(app_version="2.0", release=2, rollout=50, otherwise=1, paused=True),)
    )
    group = PlannedGroup(
        platform="ios", app_version=text, os_version=None, outcome=PlannedOutcome(release=2), devices=3, share=1.0
    )
    verified = VerifyReport(
        what=folder / text.replace("/", ""),
        kind="release",
        proven=(text,),
        not_proven=(text,),
        warnings=(text,),
        bundle=bundle,
        manifest=manifest,
        files=(file,),
        app_id=APP.id,
        platform="ios",
        app_versions=("2.0",),
        number=2,
        roles=(role,),
        signatures={text: "e" * 64},
        channels=(channel,),
    )
    release = Release(folder=folder, app=APP, number=2, bundle=bundle, base=1)
    receipt = Receipt(
        endpoint=scratch,
        app=APP,
        number=2,
        name=text,
        version="2",
        sha256="b" * 64,
        created=True,
        channel=text,
        models=(entry,),
    )
    return [
        model,
        replace(model, parity=None),
        parity(text),
        parity(text, gap=0.3),
        replace(parity(text), twin=parity(text, gap=float("nan"))),
        bundle,
        release,
        receipt,
        replace(receipt, created=False, channel=None, change=text),
        report,
        replace(report, status=UpdateStatus.SUCCESS, reason=Reason.ALREADY_INSTALLED),
        verified,
        replace(verified, parts=(verified,)),
        ChannelState(endpoint=scratch, app_id=APP.id, channel=channel, version=3),
        PlanReport(endpoint=scratch, app_id=APP.id, channel=text, version=3, assumed=(), groups=(group,)),
    ]


ORDINARY, AGAIN = (results("digits", scratch) for scratch in SCRATCH)
EACH = [f"{place}-{type(each).__name__}" for place, each in enumerate(ORDINARY)]
VOID = {"br", "hr"}


class Balanced(HTMLParser):
    """Reads HTML and insists that whatever is opened is closed, in order; keeps the tags and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.read = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.read += data


PLAIN_TAGS = {"div", "span", "b", "table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "li", "details", "summary"}
SVG_TAGS = {"svg", "title", "desc", "text", "line", "circle"}


@pytest.mark.parametrize("shown", results(HOSTILE, SCRATCH[0]), ids=EACH)
def test_what_others_chose_stays_text(shown: Shown) -> None:
    page = shown._repr_html_()
    read = Balanced(page)
    assert read.tags <= PLAIN_TAGS | SVG_TAGS
    assert not [name for name in read.attributes if name.startswith("on") or name in ("href", "src")]
    assert page.isprintable()
    assert "\u202e" not in page
    assert len(repr(shown).splitlines()) == 1
    assert repr(shown).isprintable()
    for drawing in re.findall(r"<svg.*?</svg>", page):
        ET.fromstring(drawing)


def test_the_hostile_text_does_reach_the_page() -> None:
    for shown in results(HOSTILE, SCRATCH[0]):
        if not isinstance(shown, ChannelState):
            assert r"]]&gt;&quot;&amp;\r\nforged  line\u202e\u200f\x00" in shown._repr_html_()


@pytest.mark.parametrize(("first", "second"), list(zip(ORDINARY, AGAIN, strict=True)), ids=EACH)
def test_the_one_line_is_the_same_in_every_run(first: Shown, second: Shown) -> None:
    assert repr(first) == repr(second)
    assert "/scratch" not in repr(first)
    assert len(repr(first)) < 160
    assert re.fullmatch(r"<\w+ .+>", repr(first))


@pytest.mark.parametrize("shown", ORDINARY, ids=EACH)
def test_the_picture_has_no_colour_of_one_theme_and_asks_no_network(shown: Shown) -> None:
    page = shown._repr_html_()
    for word in ("<script", "<style", "<link", "<img", "url(", "color:black", "color:white", "#000", "#fff"):
        assert word not in page
    assert set(re.findall(r"[;\"]color:([^;\"]+)", page)) == {"inherit"}
    assert set(re.findall(r"https?://[^\"<]*", page)) <= {"http://www.w3.org/2000/svg", "http://127.0.0.1/digits"}


def test_sizes_are_for_people_in_the_picture_and_exact_in_json() -> None:
    bundle = next(each for each in ORDINARY if isinstance(each, Bundle))
    assert "59.0 MB" in bundle._repr_html_()
    assert bundle.to_dict()["length"] == 59_000_100
    report = next(each for each in ORDINARY if isinstance(each, CheckReport))
    assert "59.0 MB" in report._repr_html_()
    assert report.to_dict()["phases"]["download"]["received"] == 59_000_000


def test_a_check_says_its_status_its_phases_and_who_signed() -> None:
    read = Balanced(next(each for each in ORDINARY if isinstance(each, CheckReport))._repr_html_()).read
    for told in ("FAILURE_INTEGRITY", "ended here", "2 of 3", "bob", "2027-01-01 00:00 UTC"):
        assert told in read


def test_a_verification_says_what_it_proves_and_what_not() -> None:
    read = Balanced(next(each for each in ORDINARY if isinstance(each, VerifyReport))._repr_html_()).read
    for told in ("Proven", "Not proven", "1 warning", "release 2 for 50 %, the others release 1, paused", "2 of 3"):
        assert told in read


def test_a_giant_result_has_a_picture_of_bounded_size() -> None:
    feature = Feature(name="x" * 5000, kind="double", dtype="float64")
    files = tuple(FileEntry(path=PurePosixPath(f"{number}.bin"), length=1, sha256="a" * 64) for number in range(3000))
    shown = next(each for each in results("cat", SCRATCH[0]) if isinstance(each, ConvertedModel))
    giant = replace(shown, interface=Interface(inputs=(feature,) * 3000, outputs=()), files=files)
    assert len(giant._repr_html_()) < 500_000
    assert giant._repr_html_().count("… and 2900 more") == 2
    assert len(repr(giant)) < 250


def test_a_converted_model_looks_as_it_did() -> None:
    page = ORDINARY[0]._repr_html_().replace("><", ">\n<") + "\n"
    golden = GOLDEN / "converted.html"
    if GOLDENS_ARE_WRITTEN:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(page)
    assert page == golden.read_text(), "looked at it? then MLPUBLISH_UPDATE_GOLDENS=1"


def test_a_real_model_shows_its_name_once_converted(new_model: Callable[..., ConvertedModel]) -> None:
    assert repr(new_model()) == "<ConvertedModel digits (pipelineClassifier, double), parity passed on 8 samples>"
