"""JUnit reports, good, broken and hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.verifiers.junit import MAX_CHARACTERS, Report, TestCase, compare, judge_tests, not_passed, parse_junit


def suite(*cases: str) -> str:
    return f"<testsuites><testsuite name='s'>{''.join(cases)}</testsuite></testsuites>"


def case(name: str, inner: str = "") -> str:
    return f"<testcase classname='m.T' name='{name}'>{inner}</testcase>"


def test_outcomes_and_messages() -> None:
    report = parse_junit(
        suite(
            case("a"),
            case("b", "<failure message='1 != 2'/>"),
            case("c", "<error>boom</error>"),
            case("d", "<skipped/>"),
            case("e", "<skipped/><failure message='x'/><system-out>text</system-out>"),
        )
    )
    assert report.problem == ""
    assert [(found.name, found.outcome, found.message) for found in report.cases] == [
        ("a", "passed", ""),
        ("b", "failed", "1 != 2"),
        ("c", "error", "boom"),
        ("d", "skipped", ""),
        ("e", "failed", "x"),
    ]
    assert report.cases[0].id == "m.T.a"


def test_one_suite_as_root_and_bytes() -> None:
    text = b'<?xml version="1.0" encoding="utf-8"?><testsuite><testcase name="a"/></testsuite>'
    assert parse_junit(text).cases == (TestCase("a", "", "passed"),)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no report"),
        ("  \n", "no report"),
        ("<testsuites>", "not XML"),
        ("<testsuites/> trailing", "not XML"),
        ("not xml at all", "not XML"),
        ("<html/>", "root"),
        ("<testsuites>\x00</testsuites>", "not XML"),
        ("<testsuites>\ud800</testsuites>", "not XML"),
        ("<testsuites>&undefined;</testsuites>", "not XML"),
        ("<!DOCTYPE t [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><testsuites>&b;</testsuites>", "document type"),
        ("<!DOCTYPE t [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><testsuites>&x;</testsuites>", "document type"),
        ("<testsuites>" + " " * MAX_CHARACTERS + "</testsuites>", "too large"),
        ("<testsuites>" + "<testcase/>" * 20_001 + "</testsuites>", "more than"),
        ("<?xml version='1.0' encoding='nonsense'?><testsuites>", "not XML"),
    ],
)
def test_hostile_reports_are_classified(text: str, word: str) -> None:
    report = parse_junit(text)
    assert word in report.problem
    assert report.cases == ()


def test_deep_nesting_is_survived() -> None:
    text = "<testsuites>" + "<a>" * 50_000 + "</a>" * 50_000 + "</testsuites>"
    assert parse_junit(text).cases == ()


@given(st.text() | st.binary())
def test_never_raises(text: str | bytes) -> None:
    assert isinstance(parse_junit(text), Report)


def test_the_worse_outcome_of_a_repeated_test_counts() -> None:
    report = parse_junit(suite(case("a"), case("a", "<failure/>"), case("a")))
    assert report.outcomes() == {"m.T.a": "failed"}
    assert not_passed(report, ["m.T.a", "m.T.z"]) == ("m.T.a (failed)", "m.T.z (not run)")


def test_compare() -> None:
    before = parse_junit(suite(case("a"), case("b", "<failure/>"), case("c"), case("d", "<error/>"), case("e")))
    after = parse_junit(suite(case("a"), case("b"), case("c", "<skipped/>"), case("d", "<error/>"), case("f")))
    found = compare(before, after)
    assert (found.p2p, found.f2p, found.p2f, found.f2f) == (("m.T.a",), ("m.T.b",), ("m.T.c",), ("m.T.d",))
    assert (found.missing, found.new) == (("m.T.e",), ("m.T.f",))


@pytest.mark.parametrize(
    ("cases", "reward", "share"),
    [
        ([case("a"), case("b"), case("c")], 1.0, 1.0),
        ([case("a"), case("b", "<failure/>"), case("c")], 0.0, 0.5),
        ([case("a"), case("c")], 0.0, 0.5),
        ([case("a"), case("b"), case("c", "<failure/>")], 0.0, 0.0),
        ([case("a"), case("b"), case("c", "<skipped/>")], 0.0, 0.0),
        ([case("a"), case("b")], 0.0, 0.0),
        ([case("a"), case("a", "<error/>"), case("b"), case("c")], 0.0, 0.5),
        ([], 0.0, 0.0),
    ],
)
def test_failing_tests_must_pass_and_passing_ones_stay(cases: list[str], reward: float, share: float) -> None:
    report = parse_junit(suite(*cases))
    assert judge_tests(report, ["m.T.a", "m.T.b"], ["m.T.c"]).reward == reward
    assert judge_tests(report, ["m.T.a", "m.T.b"], ["m.T.c"], partial=True).reward == share


def test_a_report_that_cannot_be_read_earns_nothing() -> None:
    verdict = judge_tests(parse_junit("<!DOCTYPE x>"), ["m.T.a"], partial=True)
    assert verdict.reward == 0.0
    assert [part.name for part in verdict.parts if part.gate and not part.passed] == ["report"]


def test_expectations_that_would_pass_everything_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one fail-to-pass test"):
        judge_tests(Report(), [], ["m.T.a"])
    with pytest.raises(ValueError, match=r"'m\.T\.a' is named as failing before and as passing before"):
        judge_tests(Report(), ["m.T.a"], ["m.T.a"])
