"""Completions good and bad, from a seed: what models really emit, each with what the parser must make of it.

A completion is written down as labelled parts by this file's own writer, so that a defect can be planted in a known
place and its class and position are known without asking the parser. `_defects.py` plants them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from palestra.rollout.encoding import parse_message_from_completion_text
from palestra.rollout.errors import CompletionError
from palestra.rollout.grammar import BOS, DSML, EOS, THINK, THINK_END, USER, ThinkingMode
from palestra.rollout.parsing import Parsed

OPEN, CLOSE = f"<{DSML}function_calls>", f"</{DSML}function_calls>"
INVOKE_CLOSE, PARAMETER_CLOSE = f"</{DSML}invoke>", f"</{DSML}parameter>"

WORDS = ("Look", "the hotel", "杭州明天", "📅", "e\u0301", "a<b>", 'say "hi"', "it's", "\t", "x｜y", "{}", "\\n", "1. ")
NAMES = ("find", "get_weather", "a", "é", "x y", "it's", "a>b")
JSON_VALUES: tuple[Any, ...] = (0, -1.5, 10**20, True, None, [], {"é": [1, "x"]}, [["deep"]], "text", 1e-7)


@dataclass(frozen=True)
class Case:
    """A completion. `kind` is the error's class, "good" or "repaired" (then with the message), or "" where unknown."""

    text: str
    mode: ThinkingMode
    finished: bool = True
    kind: str = ""
    position: int = -1
    message: dict[str, Any] | None = None


@dataclass
class Draft:
    """A good completion in parts: pairs of a label and a text. `message` is what it says."""

    mode: ThinkingMode
    parts: list[tuple[str, str]]
    message: dict[str, Any]

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.parts)

    def places(self, *labels: str) -> list[int]:
        return [index for index, (label, _) in enumerate(self.parts) if label in labels]

    def start(self, index: int) -> int:
        return sum(len(text) for _, text in self.parts[:index])

    def put(self, index: int, text: str) -> None:
        self.parts[index] = (self.parts[index][0], text)

    def insert(self, index: int, text: str) -> None:
        self.parts.insert(index, ("planted", text))


def draft(rng: random.Random, mode: ThinkingMode | None = None, calls: int | None = None) -> Draft:
    """A good completion, with tool calls where `calls` is not 0."""
    mode = mode or ("thinking" if rng.random() < 0.5 else "chat")
    reasoning = prose(rng) if mode == "thinking" else ""
    content = prose(rng)
    parts = [("reasoning", reasoning), ("think_end", THINK_END)] if mode == "thinking" else []
    parts.append(("content", content))
    functions = []
    count = rng.randrange(4) if calls is None else calls
    if count:
        parts.append(("open", f"\n\n{OPEN}\n"))
        for number in range(count):
            parts += [("gap", "\n")] if number else []
            functions.append(_add_invoke(rng, parts))
        parts += [("gap", "\n"), ("close", CLOSE)]
    parts.append(("eos", EOS))
    tool_calls = [{"type": "function", "function": function} for function in functions]
    message = {"role": "assistant", "content": content, "reasoning_content": reasoning, "tool_calls": tool_calls}
    return Draft(mode, parts, message)


def prose(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randrange(1, 6)))


def _add_invoke(rng: random.Random, parts: list[tuple[str, str]]) -> dict[str, str]:
    name, members = rng.choice(NAMES), []
    keys = rng.sample(NAMES, rng.randrange(1, 4))
    parts.append(("invoke", f'<{DSML}invoke name="{name}">'))
    for key in keys:
        is_text = rng.random() < 0.5
        value = prose(rng) if is_text else json.dumps(rng.choice(JSON_VALUES), ensure_ascii=False)
        parts.append(("gap", "\n"))
        parts.append(("parameter", f'<{DSML}parameter name="{key}" string="{"true" if is_text else "false"}">'))
        parts.append(("text" if is_text else "json", value))
        parts.append(("parameter_close", PARAMETER_CLOSE))
        shown = json.dumps(value, ensure_ascii=False) if is_text else value
        members.append(f"{json.dumps(key, ensure_ascii=False)}: {shown}")
    parts += [("gap", "\n"), ("invoke_close", INVOKE_CLOSE)]
    return {"name": name, "arguments": "{" + ", ".join(members) + "}"}


def good(rng: random.Random) -> Case:
    made = draft(rng)
    return Case(made.text, made.mode, rng.random() < 0.5, "good", message=made.message)


def cuts(rng: random.Random) -> Iterator[Case]:
    """One completion, cut at every character: by its length limit, and by an engine that claims it was finished."""
    made = draft(rng)
    for at in range(len(made.text)):
        for finished in (False, True):
            yield cut(made, at, finished)


def cut(made: Draft, at: int, finished: bool) -> Case:
    """The first `at` characters. Only where what is left is whole may an engine's word be taken that it is."""
    text = made.text[:at]
    begun = [index for index in range(len(made.parts)) if made.start(index) <= at]
    label, offset = made.parts[begun[-1]][0], at - made.start(begun[-1])
    kind, position, message = "truncated", at, None
    if finished and label in ("reasoning", "think_end"):
        kind = "missing_think_end"
    elif finished and (label == "content" or (label == "open" and offset < 4) or (label == "eos" and offset < 2)):
        answered = text[made.start(made.places("content")[0]) :]
        if label != "eos" or not made.places("open"):
            message = made.message | {"content": answered, "tool_calls": []}
        elif offset == 0:
            message = made.message
        kind, position = ("repaired", -1) if message else ("trailing_text", at - 1)
    return Case(text, made.mode, finished, kind, position, message)


def repairable(rng: random.Random) -> Case:
    """A completion with departures from the grammar that can mean one thing only."""
    made = draft(rng, calls=rng.randrange(1, 3))
    before = made.text
    while made.text == before:
        for _ in range(rng.randrange(1, 4)):
            _depart(rng, made)
    return Case(made.text, made.mode, True, "repaired", message=made.message)


def _depart(rng: random.Random, made: Draft) -> None:
    index = rng.randrange(len(made.parts))
    label, text = made.parts[index]
    if label in ("invoke", "parameter"):
        quoted = text if "'" in text else text.replace('"', "'")
        made.put(index, rng.choice([quoted, text.replace("name=", "name = "), f"{text[:-1]} >"]))
    elif label == "gap":
        made.put(index, rng.choice(["", "\n\n", "  \n", "\r\n"]))
    elif label == "open":
        spaced = "\n\n" if made.message["content"][-1].isspace() else rng.choice(["", "\n", " \n"])
        made.put(index, rng.choice([f"{spaced}{OPEN}\n", f"\n\n{OPEN}", f"\n\n{OPEN}\n  "]))
    elif label in ("invoke_close", "parameter_close", "close"):
        made.put(index, f"{text.rstrip('>')} >")
    elif label == "eos":
        made.put(index, rng.choice(["", "\n", f"{EOS}\n", f"\n{EOS}"]))
    elif label == "content" and len(text) > 1:
        made.put(index, f"\udce9{text[1:]}")
        made.message["content"] = f"\ufffd{text[1:]}"


HALF = re.compile("[\ud800-\udfff]")
MARKS = (OPEN, CLOSE, INVOKE_CLOSE, PARAMETER_CLOSE, BOS, EOS, THINK, THINK_END, DSML, USER, "<", ">", '"', "'", "\n")


def mutant(rng: random.Random) -> Case:
    """A good completion after a few random edits."""
    made = draft(rng)
    texts = [text for _, text in made.parts]
    for _ in range(rng.randrange(1, 5)):
        rng.choice(EDITS)(rng, texts)
    return Case("".join(texts), made.mode, rng.random() < 0.5)


def _delete(rng: random.Random, texts: list[str]) -> None:
    texts[rng.randrange(len(texts))] = ""


def _repeat(rng: random.Random, texts: list[str]) -> None:
    texts.insert(rng.randrange(len(texts) + 1), rng.choice(texts))


def _swap(rng: random.Random, texts: list[str]) -> None:
    one, other = rng.randrange(len(texts)), rng.randrange(len(texts))
    texts[one], texts[other] = texts[other], texts[one]


def _insert(rng: random.Random, texts: list[str]) -> None:
    texts.insert(rng.randrange(len(texts) + 1), rng.choice((*WORDS, *MARKS)))


def _edit(rng: random.Random, texts: list[str]) -> None:
    index = rng.randrange(len(texts))
    text, start = texts[index], rng.randrange(len(texts[index]) + 1)
    wild = "".join(chr(rng.choice((rng.randrange(0x80), rng.randrange(0x11_0000)))) for _ in range(rng.randrange(3)))
    texts[index] = text[:start] + wild + text[start + rng.randrange(4) :]


def _truncate(rng: random.Random, texts: list[str]) -> None:
    index = rng.randrange(len(texts))
    texts[index:] = [texts[index][: rng.randrange(len(texts[index]) + 1)]]


EDITS = (_delete, _repeat, _swap, _insert, _edit, _truncate)


def complaint(case: Case, parsed: Parsed) -> str:
    """What is wrong with the parser's answer; empty where nothing is."""
    if (parsed.message is None) == (parsed.error is None):
        return "neither or both of a message and an error"
    if parsed.error is not None:
        found = (parsed.error.kind, parsed.error.position)
        if case.kind and found != (case.kind, case.position):
            return f"planted {case.kind} at {case.position}, found {found[0]} at {found[1]}"
        return "" if 0 <= found[1] <= len(case.text) else f"position {found[1]} is outside the text"
    if case.kind and parsed.message != case.message:
        return f"planted {case.kind}, read as another message"
    if case.kind and bool(parsed.repaired) != (case.kind == "repaired"):
        return f"planted {case.kind}, repairs {parsed.repaired}"
    return _disagreement(case, parsed)


def _disagreement(case: Case, parsed: Parsed) -> str:
    """What the strict parser accepts is read alike, half characters mended; what it refuses was repaired."""
    try:
        strict = parse_message_from_completion_text(case.text, thinking_mode=case.mode)
    except CompletionError:
        return "" if parsed.repaired else "accepted as it stands, but the strict parser refuses it"
    mended = {key: HALF.sub("\ufffd", strict[key]) for key in ("content", "reasoning_content")}
    return "" if strict | mended == parsed.message else "the strict parser reads another message"
