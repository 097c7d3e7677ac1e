"""The codec: pieces rendered once add up to the encoding of the whole conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palestra.envs.types import ToolSchema
from palestra.rollout.codec import DeepseekCodec, assistant_message
from palestra.rollout.encoding import RESERVED_IN_CONTENT, ThinkingMode, encode_messages
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Message

TOKENIZER = train_tokenizer(["look at the\n\n<result> of it. </result>\n\n\n\n"] * 9, 340)
TOOLS = [ToolSchema(name="look", description="Look.", parameters={"type": "object", "properties": {}})]
TEXT = st.text(max_size=20).filter(lambda text: not any(token in text for token in RESERVED_IN_CONTENT))
NAMES = st.from_regex("[a-z_]{1,8}", fullmatch=True)
CALLS = st.lists(st.tuples(NAMES, st.dictionaries(NAMES, TEXT | st.integers() | st.booleans(), max_size=2)), max_size=2)


@given(TEXT, st.lists(st.tuples(TEXT.filter(str.strip), TEXT, CALLS), min_size=1, max_size=4), st.data())
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("mode", ["thinking", "chat"])
@pytest.mark.parametrize("show_tools", [True, False])
def test_the_pieces_of_an_episode_are_the_encoding_of_its_messages(
    mode: ThinkingMode, show_tools: bool, question: str, turns: list[Any], data: st.DataObject
) -> None:
    codec = DeepseekCodec(TOKENIZER, mode, show_tools)
    messages: list[Message] = [{"role": "system", "content": "Help."}, {"role": "user", "content": question}]
    tokens = codec.prompt(messages, TOOLS)
    for thought, content, calls in turns:
        message = assistant_message(thought, content, calls)
        tokens += codec.assistant(message)
        messages.append(message)
        if not calls:
            break
        results = data.draw(st.lists(TEXT, min_size=len(calls), max_size=len(calls)))
        messages += [{"role": "tool", "content": result} for result in results]
        tokens += codec.results(results)
    if show_tools:
        messages[0] = messages[0] | {"tools": [tool.openai() for tool in TOOLS]}
    assert tokens == codec.tokenizer.encode(encode_messages(messages, thinking_mode=mode))


def test_the_prompt_leaves_the_messages_alone_and_makes_a_system_message_for_tools() -> None:
    codec = DeepseekCodec(TOKENIZER)
    messages: list[Message] = [{"role": "user", "content": "Hi"}]
    text = codec.tokenizer.decode(codec.prompt(messages, TOOLS))
    assert '"name": "look"' in text
    assert messages == [{"role": "user", "content": "Hi"}]
    assert '"look"' not in codec.tokenizer.decode(codec.prompt(messages, []))


@given(TEXT.filter(str.strip), TEXT, CALLS)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(thought: str, content: str, calls: list[Any]) -> None:
    codec = DeepseekCodec(TOKENIZER)
    message = codec.parse(codec.assistant(assistant_message(thought, content, calls)), finished=True).message
    assert message is not None
    assert message["reasoning_content"] == codec.tokenizer.decode(codec.tokenizer.encode(thought))
    read = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message["tool_calls"]]
    assert read == [(name, arguments) for name, arguments in calls]


def test_a_truncated_completion_is_none() -> None:
    codec = DeepseekCodec(TOKENIZER)
    tokens = codec.assistant(assistant_message("So.", calls=[("look", {"at": "é" * 5})]))
    for cut in range(len(tokens)):
        parsed = codec.parse(tokens[:cut], finished=False)
        assert parsed.message is None
        assert parsed.error is not None
    assert codec.parse(tokens, finished=True).message is not None
