"""JUnit reports as the runners of eight languages write them: what a failed test said is not always in `message`."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

from ...verifiers.junit import Report, TestCase, parse_junit

_CHARACTERS = 2_000
_SILENT = ("", "Failed")  # ctest and gotestsum


def read_report(data: str | bytes) -> Report:
    """See `parse_junit`; messages are completed from the text and the output of a failed test."""
    report = parse_junit(data)
    if report.problem or all(case.outcome == "passed" or case.message not in _SILENT for case in report.cases):
        return report
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    elements = ElementTree.fromstring(text).iter("testcase")
    return Report(tuple(_completed(case, element) for case, element in zip(report.cases, elements, strict=True)))


def _completed(case: TestCase, element: ElementTree.Element) -> TestCase:
    if case.outcome == "passed" or case.message not in _SILENT:
        return case
    said = [child.text or "" for child in element if child.tag in ("failure", "error", "system-out", "system-err")]
    return replace(case, message=re.sub(r"\n{2,}", "\n", "\n".join(filter(None, said)).strip())[:_CHARACTERS])
