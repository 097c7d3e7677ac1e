"""Between messages and token ids: the chat grammar and the tokeniser, as one thing an episode can use.

Everything is rendered once and appended; nothing that was sampled is ever tokenised again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Protocol

from ..envs.types import ToolSchema
from .drift import drift
from .encoding import render_assistant, render_prompt, render_tool_results
from .grammar import CALLS_CLOSE, INVOKE_CLOSE, ThinkingMode, pieces_of
from .parsing import Parsed, parse_pieces
from .tokenizer import Tokenizer
from .types import Message


class Codec(Protocol):
    """A chat grammar over token ids. A completion ends after a token of `stop`, or with one of `stop_sequences`, after
    which nothing but the first of `stop` can follow: it is then rendered, not sampled."""

    stop: tuple[int, ...]
    stop_sequences: tuple[tuple[int, ...], ...]

    def prompt(self, messages: list[Message], tools: list[ToolSchema]) -> list[int]:
        """The ids up to where the first completion begins."""
        ...

    def results(self, results: list[str]) -> list[int]:
        """The ids that follow a completion with tool calls, its end token included, up to the next completion."""
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
    very tools, the description would be most of every context. A completion ends with its tool block; set
    `stop_sequences` to () to let the policy sample the EOS behind it too.
    """

    def __init__(self, tokenizer: Tokenizer, thinking_mode: ThinkingMode = "thinking", show_tools: bool = True) -> None:
        self.tokenizer = tokenizer
        self.thinking_mode = thinking_mode
        self.show_tools = show_tools
        self.stop: tuple[int, ...] = (tokenizer.eos_id,)
        self.stop_sequences = _block_ends(tokenizer)

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
        if finished and ends_with(tokens, self.stop_sequences):
            tokens = [*tokens, *self.stop]
        pieces = self.tokenizer.decode_pieces(tokens)
        return parse_pieces(pieces, thinking_mode=self.thinking_mode, finished=finished)

    def drift(self, tokens: Sequence[int]) -> int:
        return drift(tokens, self.tokenizer).count


def ends_with(tokens: Sequence[int], sequences: Iterable[tuple[int, ...]]) -> bool:
    """Whether the ids end with one of the sequences."""
    last = tokens[-1] if tokens else None
    return any(one[-1] == last and tuple(tokens[-len(one) :]) == one for one in sequences)


def _block_ends(tokenizer: Tokenizer) -> tuple[tuple[int, ...], ...]:
    """The ids with which a tool block ends: any token that brings the `</`, whatever it merged that with, or as many as
    the tokenizer needs for it, then the tokenizer's own spelling of the rest, which stands between two special tokens
    and so is always the same. Where a policy spells it otherwise, the completion goes on to its EOS.
    """
    slash, *rest = pieces_of(CALLS_CLOSE)
    close, before = tuple(tokenizer.encode_pieces(rest)), tokenizer.encode(f"{pieces_of(INVOKE_CLOSE)[-1]}\n{slash}")
    written = next(
        tuple(before[-count:])
        for count in range(1, len(before) + 1)
        if b"".join(map(tokenizer.token_bytes, before[-count:])).endswith(slash.encode())
    )
    heads = [(token,) for token in tokenizer.ids_ending(slash.encode())]
    return tuple((*head, *close) for head in dict.fromkeys([written, *heads]))


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
