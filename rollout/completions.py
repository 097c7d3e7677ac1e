"""Completions to messages: the strict parser, which behaves as the one published with DeepSeek-V3.2."""

import re
from collections.abc import Mapping
from typing import Any

from .errors import CompletionError
from .grammar import (
    CALLS_CLOSE,
    DSML,
    EOS,
    RESERVED_IN_CONTENT,
    THINK_END,
    ThinkingMode,
    is_thinking,
    shortened,
    to_json,
)

_CALLS_START = f"\n\n<{DSML}function_calls"
_REASONING_STOP = re.compile(f"{THINK_END}|{_CALLS_START}")
_CONTENT_STOP = re.compile(f"{EOS}|{_CALLS_START}")
_INVOKE_STOP = re.compile(f"<{DSML}invoke|{CALLS_CLOSE}")
_PARAMETER_OPEN = f"<{DSML}parameter"
_PARAMETER_STOP = re.compile(f"{_PARAMETER_OPEN}|</{DSML}invoke")
_VALUE_STOP = re.compile(f"/{DSML}parameter")
_EOS_STOP = re.compile(EOS)

# `$` also matches before a final newline: an invoke without parameters ends its head with two.
_INVOKE_HEAD = re.compile(r'\s*name="(.*?)">\n$', re.DOTALL)
_PARAMETER_BODY = re.compile(r' name="(.*?)" string="(true|false)">(.*?)<$', re.DOTALL)
_PARAMETER_TAIL = ("<", "<\n")  # tried first: without them the pattern would search in vain, and at quadratic cost


def parse_message_from_completion_text(text: str, *, thinking_mode: ThinkingMode) -> dict[str, Any]:
    """Parse a well-formed completion into `role`, `content`, `reasoning_content` and `tool_calls` (OpenAI form).

    As strict and as lax as the published parser, which lets a tool block end early at some tags and takes a value
    marked `string="false"` as it stands, JSON or not. Raises CompletionError for anything else malformed.
    """
    reader = _Reader(text)
    reasoning = ""
    if is_thinking(thinking_mode):
        reasoning, stop = reader.until(_REASONING_STOP)
        _require(stop == THINK_END, f"no {THINK_END} ends the reasoning", reader)
    content, stop = reader.until(_CONTENT_STOP)
    _require(stop is not None, "neither EOS nor a tool block ends the content", reader)
    calls = []
    if stop == _CALLS_START:
        calls = _read_calls(reader)
        trailing, _ = reader.until(_EOS_STOP)
        _require(not trailing, "text follows the tool block", reader)
    _require(reader.done, "text follows EOS", reader)
    for token in RESERVED_IN_CONTENT:
        _require(token not in content and token not in reasoning, f"{token} inside the text", reader)
    return {"role": "assistant", "content": content, "reasoning_content": reasoning, "tool_calls": calls}


def tool_call(name: str, parameters: Mapping[str, tuple[str, bool]]) -> dict[str, Any]:
    """A call in OpenAI form; `parameters` maps a name to its raw text and whether that is a string (else JSON)."""
    members = (f"{to_json(key)}: {to_json(raw) if is_text else raw}" for key, (raw, is_text) in parameters.items())
    return {"type": "function", "function": {"name": name, "arguments": "{" + ", ".join(members) + "}"}}


class _Reader:
    """A place in a text, and the reading on from it up to a stop."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def done(self) -> bool:
        return self.at == len(self.text)

    def until(self, stop: re.Pattern[str]) -> tuple[str, str | None]:
        """The text before the next `stop` and the stop itself, both read; all the rest and None if there is none."""
        start, found = self.at, stop.search(self.text, self.at)
        if found is None:
            self.at = len(self.text)
            return self.text[start:], None
        self.at = found.end()
        return self.text[start : found.start()], found.group()


def _require(condition: bool, problem: str, reader: _Reader) -> None:
    if not condition:
        raise CompletionError(f"malformed completion near character {reader.at}: {problem}")


def _read_calls(reader: _Reader) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    while not reader.done:
        gap, stop = reader.until(_INVOKE_STOP)
        _require(gap == ">\n" and stop is not None, "expected an invoke or the end of the tool block", reader)
        if stop == CALLS_CLOSE:
            break
        calls.append(_read_call(reader))
    return calls


def _read_call(reader: _Reader) -> dict[str, Any]:
    head, stop = reader.until(_PARAMETER_STOP)
    named = _INVOKE_HEAD.match(head)
    if named is None:
        raise CompletionError(f"malformed completion near character {reader.at}: bad invoke: {shortened(head)}")
    parameters: dict[str, tuple[str, bool]] = {}
    while stop == _PARAMETER_OPEN:
        text, _ = reader.until(_VALUE_STOP)
        parameter = _PARAMETER_BODY.match(text) if text.endswith(_PARAMETER_TAIL) else None
        if parameter is None:
            raise CompletionError(f"malformed completion near character {reader.at}: bad parameter: {shortened(text)}")
        key, is_text, raw = parameter.groups()
        _require(key not in parameters, f"duplicate parameter {shortened(key)}", reader)
        parameters[key] = (raw, is_text == "true")
        gap, stop = reader.until(_PARAMETER_STOP)
        _require(gap == ">\n", "expected a parameter or the end of the invoke", reader)
    return tool_call(named.group(1), parameters)
