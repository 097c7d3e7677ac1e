"""The tolerant parser: what a model really emitted, as a message or as a classified format error.

`parse_completion` never raises on any text. It reads the grammar of `encoding.py`; where a completion departs from it,
it repairs what can mean one thing only and says so:

* spaces and newlines around tags and tag attributes, after the tool block, and after EOS;
* an attribute in single quotes;
* an EOS that is missing although the engine says the completion ended by itself (engines that speak text cut it off).

Everything else is a `FormatError`. Some texts that the strict parser lets through are errors here, because passing them
on would harm: BOS, EOS, DSML and role tokens inside a parameter, role tokens inside the text, quotes or newlines inside
a name, and `string="false"` values that are not JSON (RFC 8259: NaN is not). On all other output of `render_assistant`
both parsers return the same message.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from .encoding import (
    ASSISTANT,
    BOS,
    CALLS_CLOSE,
    CALLS_OPEN,
    DSML,
    EOS,
    INVOKE_CLOSE,
    PARAMETER_CLOSE,
    RESERVED_IN_CONTENT,
    THINK_END,
    USER,
    ThinkingMode,
    tool_call,
)

FormatErrorKind = Literal[
    "truncated",  # the completion stops before EOS, or inside a tool block
    "missing_think_end",  # thinking mode, and no </think> before the answer
    "bad_tool_block",  # the function_calls tags are wrong, empty, not closed, or missing around an invoke
    "bad_invoke",  # an invoke tag is wrong or not closed
    "bad_parameter",  # a parameter tag is wrong or not closed
    "bad_json",  # a string="false" value is not JSON
    "duplicate_parameter",  # one parameter twice in one invoke
    "nested_tag",  # a tag inside a parameter's value
    "trailing_text",  # text after the tool block or after EOS
    "special_token_in_content",  # a reserved token in reasoning, content or a value
]


@dataclass(frozen=True)
class FormatError:
    """What is wrong with a completion. `position` counts characters of the text; `detail` is one line for the model."""

    kind: FormatErrorKind
    position: int
    detail: str


@dataclass(frozen=True)
class Parsed:
    """Either a message (as the strict parser returns it) or an error; `repaired` names each repair, in order."""

    message: dict[str, Any] | None
    error: FormatError | None = None
    repaired: tuple[str, ...] = ()


def parse_completion(text: str, *, thinking_mode: ThinkingMode, finished: bool = True) -> Parsed:
    """Parse a completion. `finished` says that the engine stopped by itself (not by length): only then may EOS lack."""
    scanner = _Scanner(text)
    try:
        message = _parse(scanner, thinking_mode == "thinking", finished)
    except _FormatFault as fault:
        return Parsed(None, fault.error, tuple(scanner.repaired))
    return Parsed(message, None, tuple(scanner.repaired))


_QUOTED = r"""(?:"([^"\n]*)"|'([^'\n]*)')"""
_CALLS_HEAD = f"<{DSML}function_calls"
_PARAMETER_END = f"</{DSML}parameter"
_BLOCK_START = re.compile(rf"\s*{_CALLS_HEAD}\s*>\s*")
_BLOCK_END = re.compile(rf"</{DSML}function_calls\s*>\s*")
_INVOKE = re.compile(rf"<{DSML}invoke\s+name\s*=\s*{_QUOTED}\s*>\s*")
_INVOKE_END = re.compile(rf"</{DSML}invoke\s*>\s*")
_PARAMETER = re.compile(rf"<{DSML}parameter\s+name\s*=\s*{_QUOTED}\s+string\s*=\s*([\"'])(true|false)\3\s*>")
_PARAMETER_CLOSE = re.compile(rf"{_PARAMETER_END}\s*>\s*")
_TAG = re.compile(f"</?{DSML}")

_FORBIDDEN_TEXT = (*RESERVED_IN_CONTENT, USER, ASSISTANT)
_FORBIDDEN_VALUE = (BOS, USER, ASSISTANT)


class _FormatFault(Exception):
    """Carries the first error of a completion out of the parser; never leaves this module."""

    def __init__(self, error: FormatError) -> None:
        super().__init__(error.detail)
        self.error = error


class _Scanner:
    """A place in the completion's body (the text before EOS) and the repairs made so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.end = len(text)
        self.open_ended = False  # no EOS: a body that stops early was cut off
        self.repaired: list[str] = []

    def fail(self, kind: FormatErrorKind, position: int, detail: str) -> NoReturn:
        raise _FormatFault(FormatError(kind, position, detail))

    def fail_unclosed(self, kind: FormatErrorKind, what: str) -> NoReturn:
        """The body ended inside `what`: cut off if there was no EOS, else wrong."""
        if self.open_ended:
            self.fail("truncated", self.end, f"the text ends inside {what}")
        self.fail(kind, self.end, f"EOS comes before the end of {what}")

    def find(self, needle: str) -> int:
        """Where `needle` next begins in the body, or -1."""
        return self.text.find(needle, self.at, self.end)

    def starts(self, prefix: str) -> bool:
        return self.text.startswith(prefix, self.at, self.end)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at, self.end)
        if found is not None:
            self.at = found.end()
        return found

    def expect_form(self, found: re.Match[str], canonical: str, what: str) -> None:
        """Note a repair if what was read is not written as the grammar writes it."""
        if found.group() != canonical:
            self.repaired.append(f"form of {what}")


def _parse(scanner: _Scanner, thinking: bool, finished: bool) -> dict[str, Any]:
    _find_end(scanner, finished)
    reasoning = _read_reasoning(scanner) if thinking else ""
    content, has_calls = _read_content(scanner)
    calls = _read_block(scanner) if has_calls else []
    return {"role": "assistant", "content": content, "reasoning_content": reasoning, "tool_calls": calls}


def _find_end(scanner: _Scanner, finished: bool) -> None:
    """Set the body's end at EOS."""
    end = scanner.find(EOS)
    if end >= 0:
        scanner.end = end
        trailing = scanner.text[end + len(EOS) :]
        if trailing.strip():
            scanner.fail("trailing_text", end + len(EOS), "text follows EOS")
        if trailing:
            scanner.repaired.append("spaces after EOS")
    elif not finished:
        scanner.fail("truncated", scanner.end, "the completion reached its length limit before EOS")
    else:
        scanner.open_ended = True
        scanner.repaired.append("missing EOS")


def _read_reasoning(scanner: _Scanner) -> str:
    end, block = scanner.find(THINK_END), scanner.find(_CALLS_HEAD)
    if end < 0 or 0 <= block < end:
        position = block if block >= 0 else scanner.end
        scanner.fail("missing_think_end", position, f"{THINK_END} must end the reasoning before the answer")
    reasoning = scanner.text[:end]
    _refuse_tokens(scanner, reasoning, 0, _FORBIDDEN_TEXT)
    scanner.at = end + len(THINK_END)
    return reasoning


def _read_content(scanner: _Scanner) -> tuple[str, bool]:
    """The content, and whether a tool block follows it; leaves the scanner at the white space before the block."""
    start, block = scanner.at, scanner.find(_CALLS_HEAD)
    end = scanner.end if block < 0 else block
    content = scanner.text[start:end]
    if block >= 0:
        # Two newlines belong to the block; where there are others, none of the white space can be content.
        content = content[:-2] if content.endswith("\n\n") else content.rstrip()
    if stray := _TAG.search(content):
        scanner.at = start + stray.start()
        _fail_tag(scanner, "bad_tool_block", f"tags of a tool call must stand inside {CALLS_OPEN}")
    _refuse_tokens(scanner, content, start, _FORBIDDEN_TEXT)
    scanner.at = start + len(content)
    return content, block >= 0


def _refuse_tokens(scanner: _Scanner, part: str, offset: int, tokens: tuple[str, ...]) -> None:
    hits = [(position, token) for token in tokens if (position := part.find(token)) >= 0]
    if hits:
        position, token = min(hits)
        scanner.fail("special_token_in_content", offset + position, f"the special token {token} inside the text")


def _read_block(scanner: _Scanner) -> list[dict[str, Any]]:
    start = scanner.find(_CALLS_HEAD)
    opened = scanner.take(_BLOCK_START)
    if opened is None:
        if start + len(_CALLS_HEAD) == scanner.end:
            scanner.fail_unclosed("bad_tool_block", "the tool block")
        scanner.fail("bad_tool_block", start, f"a tool block opens with {CALLS_OPEN} alone on its line")
    scanner.expect_form(opened, f"\n\n{CALLS_OPEN}\n", "the tool block's first tag")
    calls: list[dict[str, Any]] = []
    while (closed := scanner.take(_BLOCK_END)) is None:
        if scanner.at == scanner.end:
            scanner.fail_unclosed("bad_tool_block", "the tool block")
        calls.append(_read_invoke(scanner))
    if not calls:
        scanner.fail("bad_tool_block", start, "the tool block is empty")
    if scanner.at < scanner.end:
        scanner.fail("trailing_text", scanner.at, "text follows the tool block")
    scanner.expect_form(closed, CALLS_CLOSE, "the tool block's last tag")
    return calls


def _read_invoke(scanner: _Scanner) -> dict[str, Any]:
    opened = scanner.take(_INVOKE)
    if opened is None:
        _fail_tag(scanner, "bad_invoke", f'expected <{DSML}invoke name="NAME"> or {CALLS_CLOSE}')
    name = _attribute(scanner, opened.group(1), opened.group(2), opened.start())
    bare = scanner.starts(f"</{DSML}invoke")
    scanner.expect_form(opened, f'<{DSML}invoke name="{name}">\n' + "\n" * bare, f"the invoke tag of {name!r}")
    parameters: dict[str, tuple[str, bool]] = {}
    while (closed := scanner.take(_INVOKE_END)) is None:
        if scanner.at == scanner.end:
            scanner.fail_unclosed("bad_invoke", f"the invoke {name!r}")
        _read_parameter(scanner, parameters)
    scanner.expect_form(closed, f"{INVOKE_CLOSE}\n", f"the end of the invoke {name!r}")
    return tool_call(name, parameters)


def _read_parameter(scanner: _Scanner, parameters: dict[str, tuple[str, bool]]) -> None:
    start, opened = scanner.at, scanner.take(_PARAMETER)
    if opened is None:
        wanted = f'expected <{DSML}parameter name="NAME" string="true|false"> or {INVOKE_CLOSE}'
        _fail_tag(scanner, "bad_parameter" if scanner.starts(f"<{DSML}parameter") else "bad_invoke", wanted)
    name = _attribute(scanner, opened.group(1), opened.group(2), start)
    is_text = opened.group(4) == "true"
    canonical = f'<{DSML}parameter name="{name}" string="{opened.group(4)}">'
    scanner.expect_form(opened, canonical, f"the parameter tag of {name!r}")
    if name in parameters:
        scanner.fail("duplicate_parameter", start, f"the parameter {name!r} is given twice")
    value = _read_value(scanner, name)
    if not is_text and not _is_json(value):
        scanner.fail("bad_json", opened.end(), f'the value of {name!r} is marked string="false" but is not JSON')
    closed = scanner.take(_PARAMETER_CLOSE)
    if closed is None:
        _fail_tag(scanner, "bad_parameter", f"expected {PARAMETER_CLOSE}")
    scanner.expect_form(closed, f"{PARAMETER_CLOSE}\n", f"the end of the parameter {name!r}")
    parameters[name] = (value, is_text)


def _read_value(scanner: _Scanner, name: str) -> str:
    """The raw value; leaves the scanner at its closing tag."""
    start, end = scanner.at, scanner.find(_PARAMETER_END)
    if end < 0:
        scanner.fail_unclosed("bad_parameter", f"the parameter {name!r}")
    value = scanner.text[start:end]
    if (nested := value.find(DSML)) >= 0:
        scanner.fail("nested_tag", start + nested, f"a tag inside the value of {name!r}")
    _refuse_tokens(scanner, value, start, _FORBIDDEN_VALUE)
    scanner.at = end
    return value


def _attribute(scanner: _Scanner, double: str | None, single: str | None, position: int) -> str:
    name = double if double is not None else single
    assert name is not None
    _refuse_tokens(scanner, name, position, _FORBIDDEN_TEXT)
    return name


def _fail_tag(scanner: _Scanner, kind: FormatErrorKind, wanted: str) -> NoReturn:
    """A tag that does not read as it should, or that the end of a cut text stopped half-way."""
    if scanner.open_ended and ">" not in scanner.text[scanner.at : scanner.end]:
        scanner.fail("truncated", scanner.end, "the text ends inside a tag")
    scanner.fail(kind, scanner.at, wanted)


def _is_json(value: str) -> bool:
    try:
        json.loads(value, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
