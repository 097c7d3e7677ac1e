"""The tolerant parser: agreement with the strict one, planted defects, repairs, and that it never raises."""

import dataclasses
import importlib
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palestra.rollout.encoding import parse_message_from_completion_text, render_assistant
from palestra.rollout.errors import CompletionError
from palestra.rollout.grammar import BOS, DSML, EOS, THINK, THINK_END, ThinkingMode, Token, pieces_of
from palestra.rollout.parsing import FormatErrorKind, parse_completion, parse_pieces

Json = dict[str, Any]

OPEN = f"<{DSML}function_calls>"
CLOSE = f"</{DSML}function_calls>"
GOOD = (
    f'Look.{THINK_END}Hm.\n\n{OPEN}\n<{DSML}invoke name="find">\n'
    f'<{DSML}parameter name="q" string="true">a "b" <c>\n</{DSML}parameter>\n'
    f'<{DSML}parameter name="n" string="false">[1, {{"é": null}}]</{DSML}parameter>\n'
    f"</{DSML}invoke>\n{CLOSE}{EOS}"
)
GOOD_ARGUMENTS = {"q": 'a "b" <c>\n', "n": [1, {"é": None}]}


def replaced(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_a_good_completion() -> None:
    parsed = parse_completion(GOOD, thinking_mode="thinking")
    assert parsed.error is None
    assert parsed.repaired == ()
    assert parsed.message == parse_message_from_completion_text(GOOD, thinking_mode="thinking")
    assert json.loads(parsed.message["tool_calls"][0]["function"]["arguments"]) == GOOD_ARGUMENTS


def first(old: str) -> int:
    return GOOD.index(old)


PLANTED: list[tuple[FormatErrorKind, str, int]] = [
    ("missing_think_end", replaced(THINK_END, ""), first(OPEN) - len(THINK_END)),
    ("missing_think_end", f"only thought{EOS}", 12),
    ("bad_tool_block", replaced(OPEN, f"<{DSML}function_calls x>"), first(OPEN)),
    ("bad_tool_block", replaced(f"{OPEN}\n", ""), first(OPEN)),
    ("bad_tool_block", replaced(CLOSE, ""), first(CLOSE)),
    ("bad_tool_block", f"{THINK_END}\n\n{OPEN}\n{CLOSE}{EOS}", 10),
    ("bad_invoke", replaced('invoke name="find"', "invoke find"), first(f"<{DSML}invoke")),
    ("bad_invoke", replaced('invoke name="find"', 'invoke name="find'), first(f"<{DSML}invoke")),
    ("bad_invoke", replaced("invoke name", "call name"), first(f"<{DSML}invoke")),
    ("bad_invoke", replaced(f"</{DSML}invoke>\n", ""), first(f"</{DSML}invoke>")),
    ("bad_parameter", replaced(' string="true"', ""), first(f"<{DSML}parameter")),
    ("bad_parameter", replaced('"true"', '"yes"'), first(f"<{DSML}parameter")),
    ("bad_parameter", replaced('name="q"', "name=“q”"), first(f"<{DSML}parameter")),
    ("bad_json", replaced("null", "None"), first("[1")),
    ("bad_json", replaced("null", "NaN"), first("[1")),
    ("bad_json", replaced("[1, ", "[" * 100_000), first("[1")),
    ("duplicate_parameter", replaced('name="n"', 'name="q"'), first(f'<{DSML}parameter name="n"')),
    (
        "nested_tag",
        replaced(f"<c>\n</{DSML}parameter>", "<c>"),
        first(f'{DSML}parameter name="n"') - len(f"\n</{DSML}parameter>"),
    ),
    ("trailing_text", replaced(CLOSE, f"{CLOSE}\nDone."), first(CLOSE) + len(CLOSE) + 1),
    ("trailing_text", GOOD + "more", len(GOOD)),
    ("special_token_in_content", replaced("Hm.", f"Hm{THINK}"), first("Hm.") + 2),
    ("special_token_in_content", replaced("Hm.", "Hm<｜User｜>"), first("Hm.") + 2),
    ("special_token_in_content", replaced("Look.", f"{BOS}"), 0),
    ("special_token_in_content", replaced("<c>", f"<c>{BOS}"), first("<c>") + 3),
    ("special_token_in_content", replaced('"find"', f'"find{THINK}"'), first('"find"') + 5),
    ("bad_invoke", replaced('"find"', "'fi\"nd'"), first(f"<{DSML}invoke")),
    ("half_character", replaced("<c>", "<c>\udcff"), first("<c>") + 3),
    ("half_character", replaced('"q"', '"q\ud83d"'), first('"q"') + 2),
    ("half_character", replaced("null", '"\\ud83d\\ude00\\ud83d"'), first("null") + 13),
]


@pytest.mark.parametrize(("kind", "text", "position"), PLANTED)
def test_planted_defects_are_classified(kind: FormatErrorKind, text: str, position: int) -> None:
    parsed = parse_completion(text, thinking_mode="thinking")
    assert parsed.message is None
    assert parsed.error is not None
    assert (parsed.error.kind, parsed.error.position) == (kind, position)
    assert parsed.error.detail
    assert "\n" not in parsed.error.detail


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (replaced(f"\n\n{OPEN}", f"\n{OPEN}"), 1),
        (replaced(f"\n\n{OPEN}\n", f" {OPEN}"), 1),
        (replaced(f"{OPEN}\n", f"{OPEN}\n\n  "), 1),
        (replaced('name="find">\n', "name='find' >"), 1),
        (replaced('name="q" string="true"', "name = 'q'  string='true' "), 1),
        (replaced(f"</{DSML}parameter>\n<", f"</{DSML}parameter><"), 1),
        (replaced(f"</{DSML}invoke>\n", f"</{DSML}invoke >"), 1),
        (replaced(CLOSE, f"{CLOSE}\n"), 1),
        (f"{GOOD}\n", 1),
        (GOOD.removesuffix(EOS), 1),
        (re.sub(r"(?<=>)\n", "", GOOD.replace(f"<c>\n</{DSML}", f"<c>\n\n</{DSML}", 1)), 5),
    ],
)
def test_unambiguous_repairs(text: str, count: int) -> None:
    parsed = parse_completion(text, thinking_mode="thinking")
    assert parsed.error is None
    assert len(parsed.repaired) == count
    assert parsed.message == parse_completion(GOOD, thinking_mode="thinking").message


def test_half_a_character_is_mended_in_text_alone() -> None:
    """A text may well hold U+FFFD; half a character, which only a lone surrogate can show, becomes one, with a note."""
    good = parse_completion(replaced("<c>", "<c>\ufffd"), thinking_mode="thinking")
    assert good.error is None
    assert good.repaired == ()
    parsed = parse_completion(f"so\udcff{THINK_END}caf\udcc3{EOS}", thinking_mode="thinking")
    assert parsed.message is not None
    assert (parsed.message["reasoning_content"], parsed.message["content"]) == ("so\ufffd", "caf\ufffd")
    assert parsed.repaired == ("half a character in the reasoning", "half a character in the content")
    pair = parse_completion(replaced("null", '"\\ud83d\\ude00 \\\\ud83d"'), thinking_mode="thinking")
    assert pair.message is not None
    assert json.loads(pair.message["tool_calls"][0]["function"]["arguments"])["n"][1] == {"é": "😀 \\ud83d"}


def plain(text: str) -> list[str]:
    """The same pieces, but not one special token among them."""
    return [f"{piece}" for piece in pieces_of(text)]


def test_structure_spelled_in_plain_text_is_none() -> None:
    parsed = parse_pieces(pieces_of(GOOD), thinking_mode="thinking")
    assert parsed == parse_completion(GOOD, thinking_mode="thinking")
    spelled = parse_pieces(plain(GOOD), thinking_mode="thinking").error
    assert spelled is not None
    assert (spelled.kind, spelled.position) == ("special_token_in_content", GOOD.index(THINK_END))
    for number, piece in enumerate(pieces_of(GOOD)):
        if isinstance(piece, Token):
            forged = pieces_of(GOOD)
            forged[number] = f"{piece}"
            error = parse_pieces(forged, thinking_mode="thinking").error
            assert error is not None
            assert (error.kind, error.position) == ("special_token_in_content", len("".join(forged[:number])))


def test_thoughts_may_be_spelled_in_a_value() -> None:
    text = replaced("<c>", f"{THINK}c{THINK_END}")
    head, value, tail = text.partition(f"{THINK}c{THINK_END}")
    parsed = parse_pieces([*pieces_of(head), value, *pieces_of(tail)], thinking_mode="thinking")
    assert parsed.message is not None
    assert parsed.message == parse_message_from_completion_text(text, thinking_mode="thinking")
    quoting = [f"I read {THINK_END} there.", *pieces_of(f"{THINK_END}Hm.{EOS}")]
    assert parse_pieces(quoting, thinking_mode="thinking").message is None


def test_details_are_short() -> None:
    long = f'"{"q" * 10_000}"'
    error = parse_completion(GOOD.replace('"q"', long).replace('"n"', long), thinking_mode="thinking").error
    assert error is not None
    assert error.kind == "duplicate_parameter"
    assert len(error.detail) < 300


@pytest.mark.parametrize("tail", ["<｜", "</｜DSML", "<｜end▁of", f'<{DSML}invoke name="a>b'])
def test_a_tag_that_never_closes_was_cut(tail: str) -> None:
    parsed = parse_completion(f"Hm {tail}", thinking_mode="chat")
    assert parsed.error is not None
    assert (parsed.error.kind, parsed.error.position) == ("truncated", 3 + len(tail))


@pytest.mark.parametrize("finished", [True, False])
def test_every_cut_is_noticed(finished: bool) -> None:
    """A completion cut anywhere: by length always an error; else what is left of a block or a thought is one."""
    inside_token = {found.start() + k for found in re.finditer(DSML, GOOD) for k in range(1, len(DSML))}
    for cut in set(range(len(GOOD) - len(EOS) + 1)) - inside_token:
        parsed = parse_completion(GOOD[:cut], thinking_mode="thinking", finished=finished)
        whole = GOOD[:cut].endswith(CLOSE)
        before_block = GOOD.index(THINK_END) + len(THINK_END) <= cut <= GOOD.index(OPEN) + 1
        if not finished:
            assert parsed.error is not None
            assert (parsed.error.kind, parsed.error.position) == ("truncated", cut)
        elif whole or before_block:
            assert parsed.repaired == ("missing EOS",)
            assert parsed.message is not None
        elif cut < GOOD.index(OPEN):
            assert parsed.error is not None
            assert parsed.error.kind == "missing_think_end"
        else:
            assert parsed.error is not None
            assert parsed.error.kind == "truncated"


free = st.text(st.characters(exclude_characters="｜", exclude_categories=["Cs"]), max_size=15).filter(
    lambda text: "think>" not in text
)
names = st.text(st.characters(exclude_characters='｜"\n', exclude_categories=["Cs"]), max_size=6).filter(
    lambda text: "think>" not in text
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | free
values = st.recursive(scalars, lambda v: st.lists(v, max_size=2) | st.dictionaries(free, v, max_size=2), max_leaves=4)
functions = st.fixed_dictionaries(
    {"name": names, "arguments": st.dictionaries(names, values, max_size=3).map(json.dumps)}
)
calls = st.fixed_dictionaries({"type": st.just("function"), "function": functions})
messages = st.fixed_dictionaries(
    {
        "reasoning_content": free.map(lambda text: text or "."),
        "content": free,
        "tool_calls": st.lists(calls, max_size=3),
    }
)
modes: st.SearchStrategy[ThinkingMode] = st.sampled_from(["thinking", "chat"])


@given(messages, modes)
@settings(deadline=None)
def test_agrees_with_the_strict_parser_on_all_that_is_rendered(message: Json, mode: ThinkingMode) -> None:
    text = "".join(render_assistant(message, mode))
    parsed = parse_completion(text, thinking_mode=mode)
    assert parsed.error is None
    assert parsed.repaired == ()
    assert parsed.message == parse_message_from_completion_text(text, thinking_mode=mode)


@pytest.fixture(scope="module")
def fuzzer() -> Iterator[tuple[ModuleType, ModuleType]]:
    """The generators of `benchmarks/parsing.py`, which runs a million of what these tests run a few thousand of."""
    folder = str(Path(__file__).resolve().parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    try:
        yield importlib.import_module("_completions"), importlib.import_module("_defects")
    finally:
        sys.path.remove(folder)


KINDS: tuple[FormatErrorKind, ...] = get_args(FormatErrorKind)
seeds = st.integers(0, 2**63).map(random.Random)


def judge(completions: ModuleType, case: Any) -> None:
    parsed = parse_completion(case.text, thinking_mode=case.mode, finished=case.finished)
    assert completions.complaint(case, parsed) == ""
    for call in parsed.message["tool_calls"] if parsed.message else []:
        assert isinstance(json.loads(call["function"]["arguments"]), dict)


@given(seeds)
@settings(deadline=None, max_examples=300)
@pytest.mark.parametrize("kind", KINDS)
def test_fuzz_planted(fuzzer: tuple[ModuleType, ModuleType], kind: FormatErrorKind, rng: random.Random) -> None:
    completions, defects = fuzzer
    judge(completions, defects.planted(rng, kind))


@given(seeds)
@settings(deadline=None, max_examples=2000)
def test_fuzz_good_repairable_and_mutants(fuzzer: tuple[ModuleType, ModuleType], rng: random.Random) -> None:
    completions, _ = fuzzer
    for make in (completions.good, completions.repairable, completions.mutant):
        judge(completions, make(rng))


@given(seeds)
@settings(deadline=None, max_examples=5)
def test_fuzz_cut_at_every_character(fuzzer: tuple[ModuleType, ModuleType], rng: random.Random) -> None:
    completions, _ = fuzzer
    for case in completions.cuts(rng):
        judge(completions, case)


@pytest.mark.parametrize("kind", KINDS)
def test_the_judge_notices(fuzzer: tuple[ModuleType, ModuleType], kind: FormatErrorKind) -> None:
    """What is planted is noticed as nothing else: neither as good nor as any other class."""
    completions, defects = fuzzer
    case = defects.planted(random.Random(0), kind)
    parsed = parse_completion(case.text, thinking_mode=case.mode, finished=case.finished)
    for other in (*KINDS, "good", "repaired"):
        claimed = dataclasses.replace(case, kind=other)
        assert (completions.complaint(claimed, parsed) == "") == (other == kind)


@given(st.text(max_size=40), modes, st.booleans())
def test_any_text_gets_an_answer(text: str, mode: ThinkingMode, finished: bool) -> None:
    parsed = parse_completion(text, thinking_mode=mode, finished=finished)
    assert (parsed.message is None) != (parsed.error is None)


def test_the_strict_parser_still_refuses_what_was_repaired() -> None:
    with pytest.raises(CompletionError):
        parse_message_from_completion_text(replaced(f"\n\n{OPEN}", f"\n{OPEN}"), thinking_mode="thinking")
