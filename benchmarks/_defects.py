"""Defects planted in good completions: each changes a draft and says where the parser must find the fault."""

from __future__ import annotations

import random
from collections.abc import Callable

from _completions import CLOSE, INVOKE_CLOSE, OPEN, Case, Draft, cut, draft

from palestra.rollout.grammar import ASSISTANT, BOS, DSML, EOS, THINK, THINK_END, USER
from palestra.rollout.parsing import FormatErrorKind

NOT_JSON = ("None", "True", "{'a': 1}", "[1, 2", "NaN", "1,5", "", "01", "abc", "{a: 1}", "[1,]", '"open', "[" * 3000)
HALVES = ("\ud83d", "\udcff")

Defect = Callable[[random.Random, Draft], int]
"""Changes a draft and returns the position, in characters, of the fault."""


def drop_think_end(rng: random.Random, made: Draft) -> int:
    made.put(made.places("think_end")[0], "")
    block = made.places("open")
    return made.start(block[0]) + 2 if block else made.start(made.places("eos")[0])


def mangle(label: str, old: str, *news: str, inside: int = 0) -> Defect:
    """Write `news` for `old` in a part of that label; the fault is `inside` characters into the part."""

    def defect(rng: random.Random, made: Draft) -> int:
        index = rng.choice(made.places(label))
        text = made.parts[index][1]
        assert old in text
        made.put(index, text.replace(old, rng.choice(news), 1))
        return made.start(index) + inside

    return defect


def unquote(label: str) -> Defect:
    """A tag with its name's quotes wrong."""

    def defect(rng: random.Random, made: Draft) -> int:
        index = rng.choice(made.places(label))
        before, name, after = made.parts[index][1].split('"', 2)
        left, right = rng.choice([("“", "”"), ("", ""), ('"', ""), ("'", '"'), ("`", "`"), ('\\"', '\\"')])
        made.put(index, f"{before}{left}{name}{right}{after}")
        return made.start(index)

    return defect


def drop(label: str, last: bool = False) -> Defect:
    """Leave a closing tag out: missed at the next tag, or at the end where there is none."""

    def defect(rng: random.Random, made: Draft) -> int:
        index = made.places(label)[-1] if last else rng.choice(made.places(label))
        made.put(index, "")
        following = [n for n in made.places("invoke", "close", "eos") if n > index]
        return made.start(made.places("eos")[0] if label == "parameter_close" else following[0])

    return defect


def unwrap_block(rng: random.Random, made: Draft) -> int:
    index = made.places("open")[0]
    made.put(index, rng.choice(["", "\n\n", f"\n\n<{DSML}function_call>\n", f"\n\n<{DSML}tool_calls>\n"]))
    text = made.parts[index][1]
    return made.start(index) + (2 if DSML in text else len(text))


def empty_block(rng: random.Random, made: Draft) -> int:
    index, end = made.places("open")[0], made.places("close")[0]
    made.parts[index + 1 : end] = []
    return made.start(index) + 2


def talk_between(rng: random.Random, made: Draft) -> int:
    index = rng.choice(made.places("invoke", "close"))
    made.insert(index, rng.choice(["Now this.\n", "```\n", "<result>1</result>\n"]))
    return made.start(index)


def spoil_json(rng: random.Random, made: Draft) -> int:
    index = rng.choice(made.places("parameter"))
    made.put(index, made.parts[index][1].replace('"true"', '"false"'))
    made.put(index + 1, rng.choice(NOT_JSON))
    return made.start(index + 1)


def repeat_parameter(rng: random.Random, made: Draft) -> int:
    index = rng.choice(made.places("parameter"))
    end = next(n for n in made.places("invoke_close") if n > index)
    made.parts[end:end] = [*made.parts[index : index + 3], ("gap", "\n")]
    return made.start(end)


def nest_tag(rng: random.Random, made: Draft) -> int:
    index = rng.choice(made.places("text", "json"))
    tag = rng.choice([OPEN, CLOSE, INVOKE_CLOSE, f'<{DSML}invoke name="x">', f"<{DSML}", DSML])
    value = made.parts[index][1]
    at = rng.randrange(len(value) + 1)
    made.put(index, value[:at] + tag + value[at:])
    return made.start(index) + at + tag.index(DSML)


def talk_after(rng: random.Random, made: Draft) -> int:
    index, talk = made.places("eos")[0], rng.choice(["Done.", OPEN, "\u200b", THINK_END, "<"])
    if rng.random() < 0.5 or not made.places("close"):
        made.insert(index + 1, rng.choice(["", "\n"]) + talk + rng.choice(["", EOS]))
        return made.start(index + 1)
    space = rng.choice(["", "\n", "\n\n"])
    made.insert(index, space + talk)
    return made.start(index) + len(space)


def plant_token(label: str, *tokens: str) -> Defect:
    def defect(rng: random.Random, made: Draft) -> int:
        index = rng.choice(made.places(label))
        text = made.parts[index][1]
        at = text.index('"') + 1 if label in ("invoke", "parameter") else rng.randrange(len(text) + 1)
        made.put(index, f"{text[:at]} {rng.choice(tokens)}{text[at:]}")
        return made.start(index) + at + 1

    return defect


def end_thought_twice(rng: random.Random, made: Draft) -> int:
    made.insert(made.places("think_end")[0], f"{THINK_END}so")
    return made.start(made.places("think_end")[0])


def escape_half(rng: random.Random, made: Draft) -> int:
    index = rng.choice(made.places("json"))
    made.put(index, '["\\ud83d\\ude00 ' + rng.choice(["\\ud83d", "\\uDE00", "\\uD83D\\u0041"]) + '"]')
    return made.start(index) + len('["\\ud83d\\ude00 ')


PLANTS: dict[FormatErrorKind, tuple[Defect, ...]] = {
    "missing_think_end": (drop_think_end,),
    "bad_tool_block": (
        unwrap_block,
        empty_block,
        mangle("open", "calls>", "calls x>", "calls", "calls/>", inside=2),
        drop("close"),
    ),
    "bad_invoke": (
        unquote("invoke"),
        mangle("invoke", "invoke name", "invoke", "call name", "invoke id"),
        mangle("invoke_close", "invoke>", "invoke/>", "call>", "invok>"),
        drop("invoke_close"),
        talk_between,
    ),
    "bad_parameter": (
        unquote("parameter"),
        mangle("parameter", " string=", "", " str=", ' type="x" string='),
        mangle("parameter", "name=", "key=", ""),
        mangle("parameter_close", "parameter>", "parameter/>", "parameter"),
        drop("parameter_close", last=True),
    ),
    "bad_json": (spoil_json,),
    "duplicate_parameter": (repeat_parameter,),
    "nested_tag": (nest_tag,),
    "trailing_text": (talk_after,),
    "special_token_in_content": (
        plant_token("reasoning", BOS, THINK, USER, ASSISTANT),
        plant_token("content", BOS, THINK, THINK_END, USER, ASSISTANT, DSML),
        plant_token("text", BOS, USER, ASSISTANT),
        plant_token("invoke", THINK, DSML),
        plant_token("parameter", USER, DSML),
        end_thought_twice,
    ),
    "half_character": (
        *(plant_token(label, *HALVES) for label in ("text", "invoke", "parameter")),
        escape_half,
    ),
}


def planted(rng: random.Random, kind: FormatErrorKind) -> Case:
    """A completion with one defect of that class."""
    if kind == "truncated":
        made = draft(rng, calls=rng.randrange(1, 3))
        return cut(made, rng.randrange(len(made.text)), finished=False)
    defect = rng.choice(PLANTS[kind])
    made = draft(rng, "thinking", calls=rng.randrange(1, 3))
    while not (made.places("json") and made.places("text")):
        made = draft(rng, "thinking", calls=rng.randrange(1, 3))
    position = defect(rng, made)
    return Case(made.text, made.mode, True, kind, position)
