"""An agent that knows nothing: it calls tools with arguments that fit their schemas, made of words it was told and of
what tools have said, and hands something in."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..envs.environment import Environment
from ..envs.types import Answer, Json, ToolCall, ToolResult, ToolSchema
from ..rollout.answers import read_json
from .stage import Played, Stage
from .types import Evidence

TRIALS = ((4, 0), (16, 2), (64, 12))
"""So many episodes, of which so many may pass; where more do, as many as the next pair says."""
_CALLS = 6
_DEEPEST = 4
_WORD = re.compile(r"\w[\w'-]*")


@dataclass
class Pool:
    """What the agent has seen so far: texts and numbers to try."""

    texts: list[str] = field(default_factory=list)
    numbers: list[int | float] = field(default_factory=list)

    def learn(self, text: str) -> None:
        """Take up the words, lines and JSON values of a text."""
        try:
            leaves = list(_leaves(read_json(text)))
        except ValueError:
            leaves = [line.strip(" .,:;") for line in text.splitlines()[:40]]
        words = _WORD.findall(text[:4000])
        for leaf in [*leaves[:200], *words[:200]]:
            if isinstance(leaf, str) and 0 < len(leaf) <= 200:
                self.texts.append(leaf)
            if isinstance(leaf, int | float) and not isinstance(leaf, bool):
                self.numbers.append(leaf)
        self.numbers += [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 10]

    def text(self, rng: random.Random) -> str:
        """A text that was seen."""
        return rng.choice(self.texts) if self.texts else "x"

    def number(self, rng: random.Random, whole: bool) -> int | float:
        """A number that was seen, or a small one."""
        seen = [number for number in self.numbers if isinstance(number, int)] if whole else self.numbers
        return rng.choice(seen) if seen and rng.random() < 0.6 else rng.randrange(10)


@dataclass(frozen=True)
class Walk:
    """One episode of the agent: its calls, what came back, and what it hands in where it did not submit."""

    calls: tuple[ToolCall, ...]
    results: tuple[ToolResult, ...]
    answer: Answer


def walk(env: Environment, rng: random.Random, prompt: str, calls: int = _CALLS, submit: bool = True) -> Walk:
    """Play in a started environment. What a tool raises passes through: it says that the environment is broken."""
    pool = Pool()
    pool.learn(prompt)
    tools = [schema for schema in env.schemas() if not schema.submits]
    submits = [schema for schema in env.schemas() if schema.submits]
    made: list[ToolCall] = []
    results: list[ToolResult] = []
    chosen = [rng.choice(tools) for _ in range(calls)] if tools else []
    for schema in [*chosen, *(rng.sample(submits, 1) if submits and submit else [])]:
        made.append(random_call(rng, schema, pool))
        results.append(env.call(made[-1]))
        if env.submitted:
            break
        pool.learn(results[-1].text[:20_000])
    return Walk(tuple(made), tuple(results), pool.text(rng))


def wander(stage: Stage) -> Evidence:
    """The check `random_fails`."""
    passed = told = number = 0
    for episodes, allowed in TRIALS:
        while number < episodes and passed <= TRIALS[-1][1]:
            played = _episode(stage, random.Random(f"{stage.task.id}/{number}"))
            told += len(played.results)
            if played.verdict.validity != "valid":
                raise AssertionError(f"random tool use gives no verdict: {played.verdict.note}")
            passed += played.verdict.passed
            number += 1
        if passed <= allowed:
            break
    else:
        raise AssertionError(f"random tool use passes {passed} of {number} times")
    detail = f"passed {passed} of {number} episodes with {told} tool calls"
    return Evidence(name="random_fails", ok=True, detail=detail, measured={"episodes": number, "passed": passed})


def _episode(stage: Stage, rng: random.Random) -> Played:
    with stage.episode() as env:
        walked = walk(env, rng, stage.task.prompt)
        answer = env.answer if env.submitted else walked.answer
        return Played(walked.results, answer, stage.verdict(env, answer, env.finish(answer)))


def random_call(rng: random.Random, schema: ToolSchema, pool: Pool) -> ToolCall:
    """A call of a tool whose arguments fit its schema; optional ones are left out half of the time."""
    required = schema.parameters.get("required", [])
    definitions = schema.parameters.get("$defs", {})
    arguments = {
        name: _value(rng, about, pool, definitions)
        for name, about in schema.parameters["properties"].items()
        if name in required or rng.random() < 0.5
    }
    return ToolCall(name=schema.name, arguments=arguments)


def _value(rng: random.Random, about: dict[str, Any], pool: Pool, definitions: dict[str, Any], depth: int = 0) -> Json:
    if "$ref" in about:
        about = definitions.get(about["$ref"].rpartition("/")[2], {})
    if "const" in about or "enum" in about:
        return rng.choice(about.get("enum") or [about["const"]])
    if choices := about.get("anyOf") or about.get("oneOf"):
        return _value(rng, rng.choice(choices), pool, definitions, depth)
    match about.get("type", "string"):
        case "integer" | "number" as kind:
            return _bounded(about, pool.number(rng, kind == "integer"))
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
        case "array":
            count = about.get("minItems", 0) if depth >= _DEEPEST else rng.randint(about.get("minItems", 0), 3)
            return [_value(rng, about.get("items", {}), pool, definitions, depth + 1) for _ in range(count)]
        case "object":
            return _object(rng, about, pool, definitions, depth)
    text = pool.text(rng)
    return text[: about.get("maxLength", len(text))]


def _object(rng: random.Random, about: dict[str, Any], pool: Pool, definitions: dict[str, Any], depth: int) -> Json:
    known = {
        name: _value(rng, inner, pool, definitions, depth + 1)
        for name, inner in about.get("properties", {}).items()
        if depth < _DEEPEST or name in about.get("required", [])
    }
    more = about.get("additionalProperties")
    if not known and depth < _DEEPEST and isinstance(more, dict):
        known = {pool.text(rng): _value(rng, more, pool, definitions, depth + 1) for _ in range(rng.randrange(3))}
    return known


def _bounded(about: dict[str, Any], number: int | float) -> int | float:
    least = about.get("minimum", about.get("exclusiveMinimum", -1) + 1 if "exclusiveMinimum" in about else number)
    most = about.get("maximum", about.get("exclusiveMaximum", 1) - 1 if "exclusiveMaximum" in about else number)
    return max(least, min(most, number)) if least <= most else number


def _leaves(value: Json) -> Iterator[Json]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def texts_of(value: Json) -> list[str]:
    """Every text in a JSON value, names of members included, without repetitions."""
    return list(dict.fromkeys(leaf for leaf in _leaves(value) if isinstance(leaf, str)))


def as_text(value: Json) -> str:
    """A JSON value as text to search in."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
