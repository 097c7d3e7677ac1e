"""Between messages and token ids: the chat grammar and the tokeniser, as one thing an episode can use.

Everything is rendered once and appended; nothing that was sampled is ever tokenised again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

from ..envs.types import ToolSchema
from .drift import drift
from .encoding import render_assistant, render_prompt, render_tool_results
from .grammar import ThinkingMode
from .parsing import Parsed, parse_pieces
from .tokenizer import Tokenizer
from .types import Message


class Codec(Protocol):
    """A chat grammar over token ids."""

    stop: tuple[int, ...]

    def prompt(self, messages: list[Message], tools: list[ToolSchema]) -> list[int]:
        """The ids up to where the first completion begins."""
        ...

    def results(self, results: list[str]) -> list[int]:
        """The ids that follow a completion with tool calls, up to where the next completion begins."""
        ...

    def assistant(self, message: Message) -> list[int]:
        """The ids of an assistant message as a completion, its end token included."""
        ...

    def parse(self, tokens: list[int], finished: bool) -> Parsed:
        """The message a completion says, or why it is none."""
        ...

    def drift(self, tokens: Sequence[int]) -> int:
        """How many of these ids decoding and encoding again would change."""
        ...


class DeepseekCodec:
    """DeepSeek-V3.2's grammar. What messages, tools and results say is plain text to the policy: special tokens come
    from the grammar alone, and a completion's structure counts only where it was sampled as special tokens.

    With `show_tools=False` the tools are not described in the prompt: for small policies that were trained on these
    very tools, the description would be most of every context.
    """

    def __init__(self, tokenizer: Tokenizer, thinking_mode: ThinkingMode = "thinking", show_tools: bool = True) -> None:
        self.tokenizer = tokenizer
        self.thinking_mode = thinking_mode
        self.show_tools = show_tools
        self.stop: tuple[int, ...] = (tokenizer.eos_id,)

    def prompt(self, messages: list[Message], tools: list[ToolSchema]) -> list[int]:
        shown = [dict(message) for message in messages]
        if self.show_tools and tools:
            if not shown or shown[0]["role"] != "system":
                shown.insert(0, {"role": "system", "content": ""})
            shown[0]["tools"] = [tool.openai() for tool in tools]
        return self.tokenizer.encode_pieces(render_prompt(shown, thinking_mode=self.thinking_mode))

    def results(self, results: list[str]) -> list[int]:
        return self.tokenizer.encode_pieces(render_tool_results(results, thinking_mode=self.thinking_mode))

    def assistant(self, message: Message) -> list[int]:
        return self.tokenizer.encode_pieces(render_assistant(message, thinking_mode=self.thinking_mode))

    def parse(self, tokens: list[int], finished: bool) -> Parsed:
        pieces = self.tokenizer.decode_pieces(tokens)
        return parse_pieces(pieces, thinking_mode=self.thinking_mode, finished=finished)

    def drift(self, tokens: Sequence[int]) -> int:
        return drift(tokens, self.tokenizer).count


def assistant_message(
    thought: str, content: str = "", calls: list[tuple[str, dict[str, object]]] | None = None
) -> Message:
    """An assistant message in OpenAI's form, with DeepSeek's `reasoning_content`."""
    message: Message = {"role": "assistant", "reasoning_content": thought, "content": content}
    if calls:
        message["tool_calls"] = [
            {"type": "function", "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}}
            for name, arguments in calls
        ]
    return message
