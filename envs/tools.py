"""Typed methods as tools: the JSON schema comes from the signature and the docstring, and arguments are validated by
it.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from .errors import PluginError, ToolError
from .types import ToolCall, ToolResult, ToolSchema

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__palestra_tool__"
_TOLD = 5


@overload
def tool(method: F, /) -> F: ...
@overload
def tool(*, submits: bool = False) -> Callable[[F], F]: ...
def tool(method: F | None = None, /, *, submits: bool = False) -> F | Callable[[F], F]:
    """Mark a method as a tool the agent may call.

    With `submits=True` a call ends the episode and what the method returns is the answer.
    A tool raises `ToolError` or `ValueError` to refuse its input (the agent reads the message); any other exception
    means that the environment is broken and makes the episode invalid.
    """

    def mark(function: F) -> F:
        setattr(function, _MARK, submits)
        return function

    return mark(method) if method is not None else mark


@dataclass(frozen=True)
class Tool:
    """A tool of an environment class: what the model sees, and how to validate a call of it."""

    schema: ToolSchema
    arguments: type[BaseModel]


def tools_of(cls: type) -> dict[str, Tool]:
    """The tools of an environment class by name, in the order they are written. PluginError where a signature cannot
    be a schema.
    """
    found = {}
    for base in reversed(cls.__mro__):
        for name, member in vars(base).items():
            if hasattr(member, _MARK):
                found[name] = _describe(cls, name, member)
    return found


def _describe(cls: type, name: str, method: Callable[..., Any]) -> Tool:
    doc = inspect.getdoc(method)
    if not doc:
        raise PluginError(
            f"{cls.__name__}.{name} has no docstring: write one line that tells the agent what the tool does"
        )
    hints = typing.get_type_hints(method)
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.name not in hints or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginError(f"{cls.__name__}.{name}: parameter {parameter.name!r} needs a type annotation (no *args)")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    arguments = create_model(name, __config__=ConfigDict(extra="forbid", strict=True), **fields)
    parameters = arguments.model_json_schema()
    parameters.pop("title", None)
    for value in parameters.get("properties", {}).values():
        value.pop("title", None)
    parameters.setdefault("properties", {})
    schema = ToolSchema(name=name, description=doc, parameters=parameters, submits=getattr(method, _MARK))
    return Tool(schema=schema, arguments=arguments)


def call_tool(tools: dict[str, Tool], owner: object, call: ToolCall) -> tuple[ToolResult, Any]:
    """Validate a call, make it, and render its result as text. Returns (result, the value the tool returned).

    A refused call is a result with `ok=False`. Exceptions other than ToolError and ValueError pass through: they are
    the environment's own failures.
    """
    known = tools.get(call.name)
    if known is None:
        return ToolResult(text=f"Error: no tool named {call.name!r}; the tools are: {', '.join(tools)}", ok=False), None
    try:
        checked = known.arguments.model_validate(call.arguments)
    except ValidationError as error:
        return ToolResult(text=f"Error: {call.name}: {_explain(error, known.schema)}", ok=False), None
    try:
        value = getattr(owner, call.name)(**vars(checked))
    except (ToolError, ValueError) as error:
        return ToolResult(text=f"Error: {error}", ok=False), None
    return ToolResult(text=render(value), submitted=known.schema.submits), value


def render(value: Any) -> str:
    """A tool's return value as the text the agent reads: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else _encode(value)


_encode = json.JSONEncoder(ensure_ascii=False).encode


def _explain(error: ValidationError, schema: ToolSchema) -> str:
    """Everything that is wrong with the arguments, and what the tool takes."""
    wrong = [f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors()[:_TOLD]]
    required = schema.parameters.get("required", [])
    takes = [
        f"{name} ({about.get('type', 'any')}{'' if name in required else ', optional'})"
        for name, about in schema.parameters["properties"].items()
    ]
    return f"{'; '.join(wrong)}. It takes: {', '.join(takes) or 'nothing'}"
