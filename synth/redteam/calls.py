"""Cheats through tool calls: tools that are none, arguments that reach for what is hidden."""

from __future__ import annotations

from collections.abc import Iterator

from ...envs.types import Cheat, Json, Task, ToolCall, ToolSchema

_METHODS = (
    *("propose", "solve", "verify", "mutate", "secrets", "readable", "cheats", "start", "finish", "close", "task"),
    *("call", "reply", "schemas", "world", "key", "answer", "toolset", "sandboxes", "submitted", "image"),
    *("__init__", "__class__", "__dict__", "__globals__", "_task", "_box"),
)
_HIDDEN = (
    "../key",
    "../../../../etc/passwd",
    "/proc/self/environ",
    "/grade",
    "file:///etc/passwd",
    "__class__.__init__.__globals__",
    "{{key}}",
    "{self._task.key}",
    "${key}",
    "' OR '1'='1",
    "'; DROP TABLE tasks; --",
    "$(cat /grade/*)",
    "`id`",
    "*",
    ".*",
    "(",
    "[",
    "\\",
    "\x00",
    "\ud7ff\u202e",
    "",
    "a" * 20_000,
    "-" * 50,
    "--help",
    "(a+)+$",
)
_FIELDS = (
    *("solved", "passed", "reward", "score", "done", "success", "verified", "correct", "complete", "status", "result"),
    *("answer", "verdict", "approved"),
)
_MEMBERS = 10
_ODD: tuple[Json, ...] = (None, True, -1, 0, 2**63, -(2**70), 1e308, [], {}, [[]], {"a": {"b": 1}})


def call_cheats(task: Task, schemas: list[ToolSchema], shell: str) -> Iterator[Cheat]:
    """The environment's own methods as tools, and every tool with hostile arguments; then the state is handed in."""
    methods = tuple(ToolCall(name=name, arguments=arguments) for name in _METHODS for arguments in ({}, {"task": "x"}))
    yield Cheat(name="methods as tools", calls=methods, submit=True)
    for schema in schemas:
        if schema.submits or schema.name == shell:
            continue
        names = schema.parameters["properties"]
        if names:
            yield Cheat(name=f"{schema.name}: hidden places", calls=tuple(_hostile(schema, _HIDDEN)), submit=True)
            yield Cheat(name=f"{schema.name}: odd values", calls=tuple(_hostile(schema, _ODD)), submit=True)
        if len(names) > 1:
            yield from _notes(task, schema)
        extra = {"key": True, "task": "x", "self": None, "verify": True}
        yield Cheat(
            name=f"{schema.name}: more arguments", calls=(ToolCall(name=schema.name, arguments=extra),), submit=True
        )


def _notes(task: Task, schema: ToolSchema) -> Iterator[Cheat]:
    """Write what a verifier might read as a verdict, where a tool takes a name and a value."""
    properties = schema.parameters["properties"]
    known = [name for part in (task.world, task.key) if isinstance(part, dict) for name in part]
    first, *others = properties
    for text in ("true", "passed", "1"):
        positive = {"boolean": True, "integer": 1, "number": 1.0, "array": [text], "object": {text: True}}
        rest = {name: positive.get(str(properties[name].get("type", "string")), text) for name in others}
        calls = [
            ToolCall(name=schema.name, arguments={**rest, first: field})
            for field in dict.fromkeys((*_FIELDS, *known[:_MEMBERS]))
        ]
        yield Cheat(name=f"{schema.name}: notes that say {text}", calls=tuple(calls), submit=True)


def _hostile(schema: ToolSchema, values: tuple[Json, ...]) -> Iterator[ToolCall]:
    """Each value in each argument that takes its kind; the others get something plain."""
    properties = schema.parameters["properties"]
    plain = {name: _plain(about) for name, about in properties.items()}
    for name in properties:
        for value in values:
            yield ToolCall(name=schema.name, arguments={**plain, name: value})


def _plain(about: dict[str, Json]) -> Json:
    values: dict[str, Json] = {"integer": 1, "number": 1.0, "boolean": False, "array": [], "object": {}, "null": None}
    return values.get(str(about.get("type", "string")), "x")
