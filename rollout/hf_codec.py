"""Chat formats of Hugging Face checkpoints: a byte-level tokenizer, a chat template, and tool calls as JSON in tags.

Calls are `<tool_call>` around one JSON object (Qwen, Hermes) or a list of them (SmolLM2). A template that does not
take tools itself gets them as text of the system message, in the words SmolLM2 was trained on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..envs.types import ToolSchema
from .chat_template import ChatTemplate
from .codec import DeepseekCodec
from .drift import drift
from .errors import EncodingError, TokenizerError
from .grammar import TOKENS, Pieces
from .scanner import FormatError, FormatErrorKind, FormatFault, Parsed
from .tokenizer import Tokenizer
from .types import Message

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_CALL = re.compile(f"{_OPEN}(.*?){_CLOSE}", re.DOTALL)
_THINK, _THINK_END = "<think>", "</think>"
_TOOLS_TEXT = """You are an expert in composing functions. You are given a question and a set of possible functions. \

Based on the question, you will need to make one or more function/tool calls to achieve the purpose. \

If none of the functions can be used, point it out and refuse to answer. \

If the given question lacks the parameters required by the function, also point it out.

You have access to the following tools:
<tools>{tools}</tools>

The output MUST strictly adhere to the following format, and NO other text MUST be included.
The example format is as follows. Please make sure the parameter type is correct. If no function call is needed, \
please make the tool calls an empty list '[]'.
<tool_call>[
{{"name": "func_name1", "arguments": {{"argument1": "value1", "argument2": "value2"}}}},
... (more tool calls as required)
]</tool_call>"""


def codec_of(folder: str | Path, *, show_tools: bool = True) -> DeepseekCodec | HFChatCodec:
    """The codec of a checkpoint folder: DeepSeek-V3.2's where its tokenizer has that grammar's tokens, else that of its
    chat template. Raises TokenizerError where there is neither.
    """
    tokenizer = Tokenizer.from_dir(folder)
    try:
        for token in TOKENS:
            tokenizer.token_id(token)
    except TokenizerError:
        return HFChatCodec(folder, show_tools=show_tools)
    return DeepseekCodec(tokenizer, show_tools=show_tools)


class HFChatCodec:
    """The chat format of the checkpoint in `folder`. Only a template that leaves what was said before as it is can be
    used turn by turn; EncodingError where one does not. Raises TokenizerError for a folder without one, or with a
    tokenizer that is not byte-level.
    """

    def __init__(self, folder: str | Path, *, show_tools: bool = True) -> None:
        self.tokenizer = Tokenizer.from_dir(folder)
        if "ByteLevel" not in (Path(folder) / "tokenizer.json").read_text("utf-8"):
            raise TokenizerError(f"the tokenizer of {folder} is not byte-level: its ids have no exact bytes")
        self.show_tools = show_tools
        self._template = ChatTemplate(folder)
        self._special = {self.tokenizer.token_id(token): token for token in self._template.special}
        self.stop: tuple[int, ...] = (self.tokenizer.token_id(self._template.end),)
        self.stop_sequences: tuple[tuple[int, ...], ...] = ()  # after one block of tags there may come another

    def prompt(self, messages: list[Message], tools: list[ToolSchema]) -> list[int]:
        shown = [self._shown(message) for message in messages]
        described = [tool.openai() for tool in tools] if self.show_tools else []
        if described and not self._template.takes_tools:
            text = _TOOLS_TEXT.format(tools=json.dumps(described, ensure_ascii=False))
            if shown and shown[0]["role"] == "system":
                shown[0]["content"] = f"{shown[0]['content']}\n\n{text}"
            else:
                shown.insert(0, {"role": "system", "content": text})
        return self._encode(self._template.render(shown, described or None, generate=True))

    def results(self, results: list[str]) -> list[int]:
        call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
        asked = [_user("?"), self._shown({"role": "assistant", "content": "", "tool_calls": [call] * len(results)})]
        told = [{"role": "tool", "name": "f", "content": result} for result in results]
        before, after = self._template.render(asked), self._template.render([*asked, *told], generate=True)
        return self._encode(self._after(before[: self._end(before)], after))

    def assistant(self, message: Message) -> list[int]:
        asked = [_user("?")]
        before, after = (
            self._template.render(asked, generate=True),
            self._template.render([*asked, self._shown(message)]),
        )
        return self._encode(self._after(before, after[: self._end(after)]))

    def parse(self, tokens: list[int], finished: bool) -> Parsed:
        said = tokens[:-1] if finished else tokens
        data = b"".join(map(self.tokenizer.token_bytes, said))
        text = data.decode("utf-8", "replace")
        repaired = () if text.encode() == data else ("half a character in the completion",)
        try:
            if not finished:
                _fail("truncated", len(text), "the completion reached its length limit before its end")
            if forged := [self._special[token] for token in said if token in self._special]:
                _fail("special_token_in_content", max(text.find(forged[0]), 0), f"{forged[0]} inside the message")
            return Parsed(_message(text, cut=bool(repaired)), None, repaired)
        except FormatFault as fault:
            return Parsed(None, fault.error, repaired)

    def drift(self, tokens: Sequence[int]) -> int:
        return drift(tokens, self.tokenizer).count

    def _encode(self, pieces: Pieces) -> list[int]:
        return self.tokenizer.encode_pieces(pieces)

    def _shown(self, message: Message) -> Message:
        """A message as the template takes it: calls with their arguments as objects, or as text."""
        shown = {key: value for key, value in message.items() if value not in ("", []) or key == "content"}
        shown.setdefault("content", "")
        if calls := [_plain_call(call) for call in shown.pop("tool_calls", None) or []]:
            if self._template.takes_tools:
                shown["tool_calls"] = [{"type": "function", "function": call} for call in calls]
            else:
                shown["content"] += f"{_OPEN}{json.dumps(calls, ensure_ascii=False)}{_CLOSE}"
        return shown

    def _end(self, pieces: Pieces) -> int:
        """The place after the last end of a message."""
        ends = [place for place, piece in enumerate(pieces) if piece == self._template.end]
        if not ends:
            raise EncodingError(f"the chat template does not end an assistant's message with {self._template.end}")
        return ends[-1] + 1

    def _after(self, before: Pieces, whole: Pieces) -> Pieces:
        """What `whole` adds to `before`."""
        head = len(before)
        if whole[:head] == before:
            return whole[head:]
        if head and whole[: head - 1] == before[:-1] and whole[head - 1].startswith(before[-1]):
            return [whole[head - 1].removeprefix(before[-1]), *whole[head:]]
        raise EncodingError(
            "the chat template changes earlier messages when later ones follow: it has no turns to append"
        )


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _plain_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = function["arguments"]
    return {"name": function["name"], "arguments": json.loads(arguments) if isinstance(arguments, str) else arguments}


def _message(text: str, cut: bool) -> Message:
    """The message that a whole completion says. Raises FormatFault."""
    reasoning, mark, said = text.partition(_THINK_END)
    if not mark:
        reasoning, said = "", text
    offset = len(text) - len(said)
    calls, end = [], 0
    start = said.find(_OPEN)
    for block in _CALL.finditer(said):
        if between := said[end : block.start()].strip() if end else "":
            _fail("trailing_text", offset + end, f"text between tool calls: {between[:80]}")
        calls += _calls(block[1], offset + block.start(1))
        end = block.end()
    if said.count(_OPEN) != said.count(_CLOSE) or (start < 0) != (_CLOSE not in said):
        _fail("bad_tool_block", offset + max(start, 0), f"{_OPEN} and {_CLOSE} do not come in pairs")
    if end and said[end:].strip():
        _fail("trailing_text", offset + end, "text follows the tool calls")
    if calls and cut:
        _fail("half_character", offset + start, "half a character in a completion with tool calls")
    content = said if start < 0 else said[:start].rstrip()
    thought = reasoning.strip().removeprefix(_THINK).strip()
    return {"role": "assistant", "content": content.strip(), "reasoning_content": thought, "tool_calls": calls}


def _calls(text: str, position: int) -> list[dict[str, Any]]:
    try:
        read = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _fail("bad_json", position, f"the tool call is not JSON: {error}")
    return [_call(item, position) for item in (read if isinstance(read, list) else [read])]


def _call(item: Any, position: int) -> dict[str, Any]:
    name = item.get("name") if isinstance(item, dict) else None
    arguments = item.get("arguments", {}) if isinstance(item, dict) else None
    if not isinstance(name, str) or not isinstance(arguments, dict):
        _fail("bad_invoke", position, 'a tool call is {"name": "...", "arguments": {...}}')
    text = json.dumps(arguments, ensure_ascii=False)
    return {"type": "function", "function": {"name": name, "arguments": text}}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError(f"a key is given twice among {keys}")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _fail(kind: FormatErrorKind, position: int, detail: str) -> NoReturn:
    raise FormatFault(FormatError(kind, position, detail))
