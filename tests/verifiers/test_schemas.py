"""JSON schemas: the same verdicts as the library gives on its own, and nothing that hangs, fetches or exhausts."""

from __future__ import annotations

import socket
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.verifiers.schemas import matches_schema
from palestra.verifiers.trees import problem

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "pattern": "^[A-Z]"},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    },
    "patternProperties": {"^x-": {"type": "number"}},
    "required": ["name"],
    "additionalProperties": False,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from(["", "A", "b", "Ab"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "age", "tags", "x-a", "y"]), inner, max_size=4)
    ),
    max_leaves=8,
)
SCHEMAS: list[Any] = [
    True,
    False,
    {},
    PERSON,
    {"type": "array", "uniqueItems": True},
    {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/list"}], "$defs": {"list": {"type": "array", "maxItems": 2}}},
    {"oneOf": [{"type": "number"}, {"type": "integer"}, {"type": "array", "contains": {"const": 1}}]},
    {"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
    {"if": {"type": "string"}, "then": {"enum": ["A"]}, "else": {"not": {"type": "null"}}},
    {"type": "object", "patternProperties": {"^(name|age)$": {"type": "string"}}, "additionalProperties": False},
    {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z-]+$"},
        "unevaluatedProperties": False,
        "properties": {"y": {}},
    },
    {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}], "additionalItems": False},
    {
        "$ref": "#/$defs/tree",
        "$defs": {"tree": {"type": ["object", "integer"], "additionalProperties": {"$ref": "#/$defs/tree"}}},
    },
    {"$ref": "https://json-schema.org/draft/2020-12/schema"},
]


@given(JSON, st.sampled_from(SCHEMAS))
def test_the_verdict_is_the_librarys(value: Any, schema: Any) -> None:
    cls = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    assert matches_schema("a", value, schema).passed == cls(schema).is_valid(value)


def test_the_place_is_named() -> None:
    part = matches_schema("a", {"name": "Ada", "tags": ["a", 3]}, PERSON)
    assert (part.score, part.detail) == (0.0, "at $.tags[1]: 3 is not of type 'string'")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": 3}, "malformed at"),
        ({"$ref": "#"}, "recurses without end"),
        ({"$ref": "#/$defs/gone"}, "refers to something that is not in it"),
        ({"$ref": "http://127.0.0.1:9/x.json"}, "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
        ({"$id": "http://127.0.0.1:9/", "$ref": "other"}, "nothing is fetched"),
        ({"$dynamicRef": "http://127.0.0.1:9/#x"}, "nothing is fetched"),
        ({"$schema": "http://127.0.0.1:9/draft"}, "it must be one of"),
        ({"pattern": "(?=a)a"}, "does not run in linear time"),
        ({"pattern": r"(a)\1"}, "does not run in linear time"),
        ({"pattern": "((a{1,1000}){1,1000}){1,1000}"}, "does not run in linear time"),
        ({"pattern": "a" * 2_000}, "too long"),
        ({"unevaluatedProperties": False, "patternProperties": {"^(a+)+$": {}}}, "cannot be bounded"),
        ({"not": {"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": "(a+)+$"}}, "only the whole"),
        ({"$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": True},
          "$ref": "#/$defs/d0"}, "more than 200000 steps"),
        ("string", "a schema is an object"),
    ],
)  # fmt: skip
def test_hostile_schemas_are_refused(schema: Any, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("it opened a socket")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    with pytest.raises(ValueError, match=r".") as raised:
        matches_schema("a", "aaaa", schema)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value).split("Unresolvable")[0]


def nested(depth: int, kind: str) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind == "list" else {"a": value}
    return value


def test_schemas_nested_without_end_are_refused() -> None:
    with pytest.raises(ValueError, match="nested deeper than"):
        matches_schema("a", 1, {"not": nested(100_000, "object")})


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|aa)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_patterns_that_hang_elsewhere_run_here(pattern: str) -> None:
    evil = "a" * 5_000 + "!"
    for schema, value in (
        ({"pattern": pattern}, evil),
        ({"patternProperties": {pattern: False}, "additionalProperties": True}, {evil: 1}),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "anyOf": [{"$ref": "#/$defs/p"}],
          "$defs": {"p": {"pattern": pattern}}}, evil),
    ):  # fmt: skip
        assert matches_schema("a", value, schema).detail


@pytest.mark.parametrize(
    "answer",
    [
        nested(100_000, "list"),
        nested(100_000, "object"),
        list(range(20_000)),
        {"a": "x" * 5_000_000},
        float("nan"),
        {"a": [float("inf")]},
        {1: "a"},
        {"a": {1, 2}},
        b"bytes",
    ],
    ids=["deep list", "deep object", "wide", "long", "nan", "inf", "number key", "set", "bytes"],
)
def test_answers_that_are_no_bounded_json_fail_with_a_reason(answer: Any) -> None:
    part = matches_schema("a", answer, {})
    assert part.score == 0.0
    assert "cannot be checked" in part.detail


def test_the_deepest_answer_under_a_recursive_schema() -> None:
    tree = {
        "$defs": {"n": {"anyOf": [{"type": "integer"}, {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}}]}}
    }
    assert matches_schema("a", nested(63, "object"), {**tree, "$ref": "#/$defs/n"}).passed
    assert problem(nested(64, "object"))
