"""Read JUnit XML as the hostile text it may be, and compare two runs of the same tests.

Nothing here raises on bad input: a report that cannot be read says why in `problem`. Document types are refused, so
there are no entities to expand and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal
from xml.etree import ElementTree

from .checks import gate, weighted
from .types import Part, Verdict

Outcome = Literal["passed", "failed", "error", "skipped"]
MAX_CHARACTERS = 4_000_000
MAX_CASES = 20_000
_MESSAGE_CHARACTERS = 2_000
_WORST: Mapping[Outcome, int] = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}
_TAGS: Mapping[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}


@dataclass(frozen=True)
class TestCase:
    """One test as it was reported; `message` is cut to 2,000 characters."""

    __test__: ClassVar[bool] = False

    name: str
    classname: str
    outcome: Outcome
    message: str = ""

    @property
    def id(self) -> str:
        """`classname.name`, or the name alone."""
        return f"{self.classname}.{self.name}" if self.classname else self.name


@dataclass(frozen=True)
class Report:
    """What a JUnit file says. With a `problem` there are no cases."""

    cases: tuple[TestCase, ...] = ()
    problem: str = ""

    def outcomes(self) -> dict[str, Outcome]:
        """Outcome by test id; of a test reported twice the worse one."""
        found: dict[str, Outcome] = {}
        for case in self.cases:
            if case.id not in found or _WORST[case.outcome] > _WORST[found[case.id]]:
                found[case.id] = case.outcome
        return found


@dataclass(frozen=True)
class Comparison:
    """Sorted test ids by what became of them: F2P failed before and passed after; skipped counts as failed."""

    f2p: tuple[str, ...]
    p2p: tuple[str, ...]
    p2f: tuple[str, ...]
    f2f: tuple[str, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]


def parse_junit(text: str | bytes) -> Report:
    """Read a JUnit XML document (`testsuites` or `testsuite`). Never raises; see `Report.problem`."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if len(text) > MAX_CHARACTERS:
        return Report(problem=f"the report is too large: {len(text)} characters, at most {MAX_CHARACTERS}")
    if not text.strip():
        return Report(problem="there is no report")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return Report(problem="the report declares a document type, which is refused")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        return Report(problem=f"the report is not XML: {error}")
    if root.tag not in ("testsuites", "testsuite"):
        return Report(problem=f"the report's root is {root.tag[:40]!r}, not testsuites or testsuite")
    cases: list[TestCase] = []
    for element in root.iter("testcase"):
        if len(cases) == MAX_CASES:
            return Report(problem=f"the report has more than {MAX_CASES} tests")
        cases.append(_case(element))
    return Report(cases=tuple(cases))


def compare(before: Report, after: Report) -> Comparison:
    """What changed between two runs of the same tests."""
    old = {name: outcome == "passed" for name, outcome in before.outcomes().items()}
    new = {name: outcome == "passed" for name, outcome in after.outcomes().items()}

    def pick(was: bool, now: bool) -> tuple[str, ...]:
        return tuple(sorted(name for name in old.keys() & new.keys() if (old[name], new[name]) == (was, now)))

    return Comparison(
        f2p=pick(False, True),
        p2p=pick(True, True),
        p2f=pick(True, False),
        f2f=pick(False, False),
        missing=tuple(sorted(old.keys() - new.keys())),
        new=tuple(sorted(new.keys() - old.keys())),
    )


def not_passed(report: Report, expected: Iterable[str]) -> tuple[str, ...]:
    """The expected tests that did not pass, each with its outcome or `not run`, in the order of `expected`."""
    outcomes = report.outcomes()
    return tuple(f"{name} ({outcomes.get(name, 'not run')})" for name in expected if outcomes.get(name) != "passed")


def judge_tests(
    report: Report, fail_to_pass: Iterable[str], pass_to_pass: Iterable[str] = (), *, partial: bool = False
) -> Verdict:
    """Reward 1 when all tests that failed before pass now (F2P) and none that passed fails or is gone (P2P, a gate).

    With `partial` the share of F2P tests that pass now is the reward, as long as the gate holds. A report that cannot
    be read earns 0: whether the machine is to blame only the caller can know. ValueError without F2P tests, for then
    doing nothing would pass, and where a test is expected in both.
    """
    wanted, kept = tuple(fail_to_pass), tuple(pass_to_pass)
    if not wanted:
        raise ValueError("judge_tests needs at least one fail-to-pass test: without one doing nothing would pass")
    if both := sorted(set(wanted) & set(kept)):
        raise ValueError(f"test {both[0]!r} is named as failing before and as passing before: it can only be one")
    failing, broken = not_passed(report, wanted), not_passed(report, kept)
    share = 1 - len(failing) / len(wanted)
    parts = (
        gate("report", not report.problem, report.problem or f"{len(report.cases)} tests reported"),
        gate("pass to pass", not broken, _told(broken, len(kept))),
        Part(name="fail to pass", score=share if partial else float(not failing), detail=_told(failing, len(wanted))),
    )
    return weighted(parts)


def _told(bad: tuple[str, ...], count: int) -> str:
    return f"{len(bad)} of {count} did not pass: {', '.join(bad[:8])}" if bad else f"all {count} passed"


def _case(element: ElementTree.Element) -> TestCase:
    outcome: Outcome = "passed"
    message = ""
    for child in element:
        found = _TAGS.get(child.tag)
        if found is not None and _WORST[found] > _WORST[outcome]:
            outcome = found
            message = (child.get("message") or child.text or "")[:_MESSAGE_CHARACTERS]
    return TestCase(element.get("name", ""), element.get("classname", ""), outcome, message)
