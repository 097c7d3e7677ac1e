"""The tolerant parser: what a model really emitted, as a message or as a classified format error.

`parse_completion` never raises on any text. It reads the chat grammar; where a completion departs from it, it repairs
what can mean one thing only and says so:

* spaces and newlines around tags and tag attributes, after the tool block, and after EOS;
* an attribute in single quotes;
* an EOS that is missing although the engine says the completion ended by itself (engines that speak text cut it off);
* half a character (a lone surrogate) in the reasoning or the content, which becomes U+FFFD.

Everything else is a `FormatError`. Some texts that the strict parser lets through are errors here, because passing
them on would harm: BOS, EOS, DSML and role tokens inside a parameter, role tokens inside the text, quotes or newlines
inside a name, half characters inside a call, and `string="false"` values that are not JSON (RFC 8259: NaN is not). On
all other output of `render_assistant` both parsers return the same message.

`parse_pieces` does the same where token ids are at hand, and also refuses structure that was spelled in plain text: a
policy that quotes a tool call it has read somewhere does not make it.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn

from .completions import tool_call
from .grammar import (
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
    Token,
    shortened,
)
from .scanner import FormatError, FormatErrorKind, FormatFault, Parsed, Scanner

__all__ = ["FormatError", "FormatErrorKind", "Parsed", "parse_completion", "parse_pieces"]


def parse_completion(text: str, *, thinking_mode: ThinkingMode, finished: bool = True) -> Parsed:
    """Parse a completion. `finished` says that the engine stopped by itself (not by length): only then may EOS lack."""
    scanner = Scanner(text)
    try:
        message = _parse(scanner, thinking_mode == "thinking", finished)
    except FormatFault as fault:
        return Parsed(None, fault.error, tuple(scanner.repaired))
    return Parsed(message, None, tuple(scanner.repaired))


def parse_pieces(pieces: Iterable[str], *, thinking_mode: ThinkingMode, finished: bool = True) -> Parsed:
    """Parse a completion whose special tokens are known: they are of type `Token`, and nothing else is one."""
    pieces = list(pieces)
    text = "".join(pieces)
    parsed = parse_completion(text, thinking_mode=thinking_mode, finished=finished)
    if parsed.message is None or not _is_spelled(text, pieces, thinking_mode == "thinking"):
        return parsed
    spelled = _find_spelled(pieces, thinking_mode == "thinking")
    return parsed if spelled is None else Parsed(None, spelled, parsed.repaired)


def _is_spelled(text: str, pieces: list[str], thinking: bool) -> bool:
    """Whether the text holds more structure than its special tokens give: then some of it is spelled."""
    given = [piece for piece in pieces if isinstance(piece, Token)]
    return any(text.count(token) > given.count(token) for token in (EOS, DSML, THINK_END)[: 2 + thinking])


def _find_spelled(pieces: list[str], thinking: bool) -> FormatError | None:
    """The first structure in plain text: where a text parses, that is each DSML and EOS, and one </think>."""
    structure: set[str] = {EOS, DSML, THINK_END} if thinking else {EOS, DSML}
    position = 0
    for piece in pieces:
        if not isinstance(piece, Token):
            hits = [(at, token) for token in structure if (at := piece.find(token)) >= 0]
            if hits:
                at, token = min(hits)
                detail = f"{token} spelled in plain text is not the special token"
                return FormatError("special_token_in_content", position + at, detail)
        elif piece == THINK_END:
            structure.discard(THINK_END)
        position += len(piece)
    return None


_QUOTED = r"""(?:"([^"\n]*)"|'([^'"\n]*)')"""
_ANY_QUOTED = re.compile(r""""[^"\n]*"?|'[^'\n]*'?""")
_CALLS_HEAD = f"<{DSML}function_calls"
_PARAMETER_END = f"</{DSML}parameter"
_BLOCK_START = re.compile(rf"\s*{_CALLS_HEAD}\s*>\s*")
_BLOCK_END = re.compile(rf"</{DSML}function_calls\s*>\s*")
_INVOKE = re.compile(rf"<{DSML}invoke\s+name\s*=\s*{_QUOTED}\s*>\s*")
_INVOKE_END = re.compile(rf"</{DSML}invoke\s*>\s*")
_PARAMETER = re.compile(rf"<{DSML}parameter\s+name\s*=\s*{_QUOTED}\s+string\s*=\s*([\"'])(true|false)\3\s*>")
_PARAMETER_CLOSE = re.compile(rf"{_PARAMETER_END}\s*>\s*")
_TAG = re.compile(f"</?{DSML}")
_HALF = re.compile("[\ud800-\udfff]")
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF_ESCAPED = re.compile(f"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}")

_FORBIDDEN_TEXT = (*RESERVED_IN_CONTENT, USER, ASSISTANT)
_FORBIDDEN_VALUE = (BOS, USER, ASSISTANT)


def _parse(scanner: Scanner, thinking: bool, finished: bool) -> dict[str, Any]:
    _find_end(scanner, finished)
    reasoning = _read_reasoning(scanner) if thinking else ""
    content, has_calls = _read_content(scanner)
    calls = _read_block(scanner) if has_calls else []
    return {"role": "assistant", "content": content, "reasoning_content": reasoning, "tool_calls": calls}


def _find_end(scanner: Scanner, finished: bool) -> None:
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
        tail = scanner.text[max(scanner.text.rfind("<"), 0) :]
        if tail.startswith(("<｜", "</｜")) and _is_cut(tail):
            scanner.fail("truncated", scanner.end, "the text ends inside a tag")
        scanner.repaired.append("missing EOS")


def _read_reasoning(scanner: Scanner) -> str:
    end, block = scanner.find(THINK_END), scanner.find(_CALLS_HEAD)
    if end < 0 or 0 <= block < end:
        position = block if block >= 0 else scanner.end
        scanner.fail("missing_think_end", position, f"{THINK_END} must end the reasoning before the answer")
    reasoning = scanner.text[:end]
    _refuse_tokens(scanner, reasoning, 0, _FORBIDDEN_TEXT)
    scanner.at = end + len(THINK_END)
    return _mend_halves(scanner, reasoning, "the reasoning")


def _read_content(scanner: Scanner) -> tuple[str, bool]:
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
    return _mend_halves(scanner, content, "the content"), block >= 0


def _mend_halves(scanner: Scanner, part: str, what: str) -> str:
    if _HALF.search(part) is None:
        return part
    scanner.repaired.append(f"half a character in {what}")
    return _HALF.sub("\ufffd", part)


def _refuse_tokens(scanner: Scanner, part: str, offset: int, tokens: tuple[str, ...]) -> None:
    if "｜" not in part and "think>" not in part:  # every special token has one of the two
        return
    hits = [(position, token) for token in tokens if (position := part.find(token)) >= 0]
    if hits:
        position, token = min(hits)
        scanner.fail("special_token_in_content", offset + position, f"the special token {token} inside the text")


def _refuse_halves(scanner: Scanner, part: str, offset: int) -> None:
    if half := _HALF.search(part):
        scanner.fail("half_character", offset + half.start(), "half a character inside a tool call")


def _read_block(scanner: Scanner) -> list[dict[str, Any]]:
    start = scanner.find(_CALLS_HEAD)
    opened = scanner.take(_BLOCK_START)
    if opened is None:
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


def _read_invoke(scanner: Scanner) -> dict[str, Any]:
    opened = scanner.take(_INVOKE)
    if opened is None:
        _fail_tag(scanner, "bad_invoke", f'expected <{DSML}invoke name="NAME"> or {CALLS_CLOSE}')
    name = _name(scanner, opened)
    bare = scanner.starts(f"</{DSML}invoke")
    scanner.expect_form(opened, f'<{DSML}invoke name="{name}">\n' + "\n" * bare, f"the invoke tag of {shortened(name)}")
    parameters: dict[str, tuple[str, bool]] = {}
    while (closed := scanner.take(_INVOKE_END)) is None:
        if scanner.at == scanner.end:
            scanner.fail_unclosed("bad_invoke", f"the invoke {shortened(name)}")
        _read_parameter(scanner, parameters)
    scanner.expect_form(closed, f"{INVOKE_CLOSE}\n", f"the end of the invoke {shortened(name)}")
    return tool_call(name, parameters)


def _read_parameter(scanner: Scanner, parameters: dict[str, tuple[str, bool]]) -> None:
    start, opened = scanner.at, scanner.take(_PARAMETER)
    if opened is None:
        wanted = f'expected <{DSML}parameter name="NAME" string="true|false"> or {INVOKE_CLOSE}'
        _fail_tag(scanner, "bad_parameter" if scanner.starts(f"<{DSML}parameter") else "bad_invoke", wanted)
    name = _name(scanner, opened)
    is_text = opened.group(4) == "true"
    canonical = f'<{DSML}parameter name="{name}" string="{opened.group(4)}">'
    scanner.expect_form(opened, canonical, f"the parameter tag of {shortened(name)}")
    if name in parameters:
        scanner.fail("duplicate_parameter", start, f"the parameter {shortened(name)} is given twice")
    value = _read_value(scanner, name)
    if not is_text:
        _check_json(scanner, name, value, opened.end())
    closed = scanner.take(_PARAMETER_CLOSE)
    if closed is None:
        _fail_tag(scanner, "bad_parameter", f"expected {PARAMETER_CLOSE}")
    scanner.expect_form(closed, f"{PARAMETER_CLOSE}\n", f"the end of the parameter {shortened(name)}")
    parameters[name] = (value, is_text)


def _read_value(scanner: Scanner, name: str) -> str:
    """The raw value; leaves the scanner at its closing tag."""
    start, end = scanner.at, scanner.find(_PARAMETER_END)
    if end < 0:
        scanner.fail_unclosed("bad_parameter", f"the parameter {shortened(name)}")
    value = scanner.text[start:end]
    if (nested := value.find(DSML)) >= 0:
        scanner.fail("nested_tag", start + nested, f"a tag inside the value of {shortened(name)}")
    _refuse_tokens(scanner, value, start, _FORBIDDEN_VALUE)
    _refuse_halves(scanner, value, start)
    scanner.at = end
    return value


def _name(scanner: Scanner, opened: re.Match[str]) -> str:
    """The name attribute of a tag, in whichever quotes it stands."""
    group = 1 if opened.group(1) is not None else 2
    name = opened.group(group)
    _refuse_tokens(scanner, name, opened.start(group), _FORBIDDEN_TEXT)
    _refuse_halves(scanner, name, opened.start(group))
    return name


def _fail_tag(scanner: Scanner, kind: FormatErrorKind, wanted: str) -> NoReturn:
    """A tag that does not read as it should, or that the end of a cut text stopped half-way."""
    if scanner.open_ended and _is_cut(scanner.text[scanner.at :]):
        scanner.fail("truncated", scanner.end, "the text ends inside a tag")
    scanner.fail(kind, scanner.at, wanted)


def _is_cut(rest: str) -> bool:
    """Whether the tag with which a text ends is never closed."""
    return rest.startswith("<") and ">" not in _ANY_QUOTED.sub("", rest)


def _check_json(scanner: Scanner, name: str, value: str, position: int) -> None:
    escaped = _HALF_ESCAPED.search(value)
    try:
        read = json.loads(value, parse_constant=_refuse_constant)
        is_half = escaped is not None and _HALF.search(json.dumps(read, ensure_ascii=False)) is not None
    except (ValueError, RecursionError) as error:
        detail = f'the value of {shortened(name)} is marked string="false" but is not JSON: {error}'
        scanner.fail("bad_json", position, detail)
    if escaped is not None and is_half:
        scanner.fail("half_character", position + escaped.start(), f"half a character inside {shortened(name)}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
