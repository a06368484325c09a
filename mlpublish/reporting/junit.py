"""A report as JUnit XML, the form in which build servers count what passed: one suite, one test case for each assertion.

The elements and their order are those of Jenkins' schema (junit-10.xsd of its xUnit plugin), which pytest follows too.
"""

from __future__ import annotations

from datetime import datetime
from xml.etree import ElementTree as ET

from mlpublish.reporting.text import document, one_line
from mlpublish.reports import Sheet
from mlpublish.reports.sheets import Case
from mlpublish.version import __version__


def as_junit(sheet: Sheet, *, at: datetime) -> bytes:
    """The XML document.

    Args:
        at: when the report was made, in UTC.
    """
    suites = ET.Element("testsuites", name=sheet.title)
    suite = ET.SubElement(suites, "testsuite", _counts(sheet) | {"name": sheet.title, "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}"})
    properties = ET.SubElement(suite, "properties")
    for name, value in {"mlpublish": __version__, **sheet.facts}.items():
        if value is not None:
            ET.SubElement(properties, "property", name=name, value=one_line(str(value)))
    for case in sheet.cases:
        suite.append(_testcase(sheet.title.replace(" ", "."), case))
    ET.SubElement(suite, "system-out").text = document(sheet)
    ET.indent(suites)
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"


def _counts(sheet: Sheet) -> dict[str, str]:
    return {
        "tests": str(len(sheet.cases)),
        "failures": str(sum(case.failed is not None for case in sheet.cases)),
        "errors": "0",
        "skipped": str(sum(case.skipped for case in sheet.cases)),
        "time": _seconds(sum(case.seconds for case in sheet.cases)),
    }


def _testcase(classname: str, case: Case) -> ET.Element:
    element = ET.Element("testcase", classname=classname, name=one_line(case.name), time=_seconds(case.seconds))
    told = one_line(case.told)
    if case.failed is not None:
        ET.SubElement(element, "failure", type=case.failed, message=told).text = told
    elif case.skipped:
        ET.SubElement(element, "skipped", message=told)
    elif told:
        ET.SubElement(element, "system-out").text = told
    return element


def _seconds(value: float) -> str:
    return f"{value:.3f}"
