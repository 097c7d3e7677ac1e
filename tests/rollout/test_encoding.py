"""The chat grammar against golden texts, the official vector, and itself (incremental against whole)."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palestra.rollout.encoding import (
    encode_messages,
    parse_message_from_completion_text,
    render_assistant,
    render_messages,
    render_prompt,
    render_tool_results,
)
from palestra.rollout.errors import CompletionError, EncodingError
from palestra.rollout.grammar import ASSISTANT, BOS, EOS, THINK, TOKENS, USER, ThinkingMode, Token, pieces_of

VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors"
Json = dict[str, Any]


def call(name: str, **arguments: Any) -> Json:
    return {"type": "function", "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}}


def user(content: str) -> Json:
    return {"role": "user", "content": content}


README_EXAMPLE = [
    user("hello"),
    {"role": "assistant", "content": "Hello! I am DeepSeek.", "reasoning_content": "thinking..."},
    user("1+1=?"),
]

TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}

TOOLS_TEXT = """## Tools

You have access to a set of tools you can use to answer the user's question.
You can invoke functions by writing a "<｜DSML｜function_calls>" block like the following as part of your reply to \
the user:
<｜DSML｜function_calls>
<｜DSML｜invoke name="$FUNCTION_NAME">
<｜DSML｜parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name="$FUNCTION_NAME2">
...
</｜DSML｜invoke>
</｜DSML｜function_calls>

String and scalar parameters should be specified as is without any escaping or quotes, while lists and objects should \
use JSON format. The "string" attribute should be set to "true" for string type parameters and "false" for other types \
(numbers, booleans, arrays, objects).

If the thinking_mode is enabled, then after function results you should strongly consider outputting a thinking block. \
Here is an example:

<｜DSML｜function_calls>
...
</｜DSML｜function_calls>

<function_results>
...
</function_results>

<think>...thinking about results</think>

Here are the functions available in JSONSchema format:
<functions>
{"name": "find", "parameters": {"type": "object"}}
</functions>
"""
FORMAT_TEXT = '## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n{"type": "é"}'


@pytest.mark.skipif(not VECTORS.is_dir(), reason="the official vectors are not at hand")
def test_official_vector() -> None:
    given_ = json.loads((VECTORS / "dsv32_chat_input.json").read_text("utf-8"))
    messages = given_["messages"]
    messages[0]["tools"] = given_["tools"]
    expected = (VECTORS / "dsv32_chat_output.txt").read_text("utf-8")
    assert encode_messages(messages, thinking_mode="thinking").strip() == expected.strip()


def test_readme_example() -> None:
    expected = (
        "<｜begin▁of▁sentence｜><｜User｜>hello<｜Assistant｜></think>Hello! I am DeepSeek.<｜end▁of▁sentence｜>"
        "<｜User｜>1+1=?<｜Assistant｜><think>"
    )
    assert encode_messages(README_EXAMPLE, thinking_mode="thinking") == expected
    assert encode_messages(README_EXAMPLE, thinking_mode="thinking", drop_thinking=False) == expected
    assert encode_messages(README_EXAMPLE, thinking_mode="chat") == expected.replace("<think>", "</think>")


def test_system_with_tools_and_response_format() -> None:
    system = {"role": "system", "content": "Be kind.", "tools": [TOOL], "response_format": {"type": "é"}}
    expected = f"{BOS}Be kind.\n\n{TOOLS_TEXT}\n\n{FORMAT_TEXT}"
    assert encode_messages([system], thinking_mode="chat") == expected
    assert encode_messages([{**system, "content": None}], thinking_mode="chat") == expected.replace("Be kind.", "")


def test_developer_is_a_user_with_tools_and_response_format() -> None:
    developer = {"role": "developer", "content": "Who?", "tools": [TOOL], "response_format": {"type": "é"}}
    expected = f"<｜User｜>\n\n{TOOLS_TEXT}\n\n{FORMAT_TEXT}\n\n# The user's message is: Who?<｜Assistant｜>"
    assert encode_messages([developer], thinking_mode="thinking") == f"{BOS}{expected}<think>"
    plain = {"role": "developer", "content": "Who?"}
    both = encode_messages([plain, user("x")], thinking_mode="thinking", add_default_bos_token=False)
    assert both == "<｜User｜>\n\n# The user's message is: Who?<｜Assistant｜></think><｜User｜>x<｜Assistant｜><think>"


def test_tool_calls_and_results() -> None:
    arguments = {"city": "杭州", "days": 2, "tags": ["é"], "none": None}
    messages = [
        user("go"),
        {"role": "assistant", "reasoning_content": "hm", "content": "ok", "tool_calls": [call("a", **arguments)]},
        {"role": "tool", "content": "r1"},
        {"role": "assistant", "tool_calls": [call("b"), call("c")]},
        {"role": "tool", "content": "r2"},
        {"role": "tool", "content": "r3"},
    ]
    first = (
        '\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="a">\n'
        '<｜DSML｜parameter name="city" string="true">杭州</｜DSML｜parameter>\n'
        '<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n'
        '<｜DSML｜parameter name="tags" string="false">["é"]</｜DSML｜parameter>\n'
        '<｜DSML｜parameter name="none" string="false">null</｜DSML｜parameter>\n'
        "</｜DSML｜invoke>\n</｜DSML｜function_calls>"
    )
    second = (
        '\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="b">\n\n</｜DSML｜invoke>\n'
        '<｜DSML｜invoke name="c">\n\n</｜DSML｜invoke>\n</｜DSML｜function_calls>'
    )
    expected = (
        f"{BOS}<｜User｜>go<｜Assistant｜><think>hm</think>ok{first}{EOS}"
        "\n\n<function_results>\n<result>r1</result>\n</function_results>\n\n<think>"
        f"</think>{second}{EOS}"
        "\n\n<function_results>\n<result>r2</result>\n<result>r3</result>\n</function_results>\n\n<think>"
    )
    assert encode_messages(messages, thinking_mode="thinking") == expected
    # A new user message closes the thinking of all that came before; calls and results stay.
    later = encode_messages([*messages, user("now")], thinking_mode="thinking")
    history = expected.replace("<think>hm</think>", "</think>").replace("<think></think>", "</think>")
    assert later == history.removesuffix("<think>") + "</think><｜User｜>now<｜Assistant｜><think>"


def test_context_is_not_repeated_and_counts() -> None:
    context = [user("go"), {"role": "assistant", "reasoning_content": "x", "tool_calls": [call("a"), call("b")]}]
    context.append({"role": "tool", "content": "1"})
    more = [{"role": "tool", "content": "2"}]
    shown = encode_messages(more, thinking_mode="thinking", context=context)
    assert shown == "\n<result>2</result>\n</function_results>\n\n<think>"
    assert encode_messages([], thinking_mode="chat", context=[]) == BOS
    assert encode_messages([], thinking_mode="chat", context=[], add_default_bos_token=False) == ""


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([{"role": "developer", "content": ""}], "developer"),
        ([{"role": "critic", "content": "x"}], "critic"),
        ([user("x"), {"role": "assistant", "content": "y"}], "reasoning"),
        ([user("x"), {"role": "tool", "content": "y"}], "message 1"),
        ([{"role": "tool", "content": "y"}], "0 tool calls"),
        ([{"role": "assistant", "tool_calls": [call("a")]}, *[{"role": "tool", "content": ""}] * 2], "only 1"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{"}}]}], "JSON"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "[]"}}]}], "no JSON object"),
        ([{"role": "assistant", "tool_calls": [{"name": "a"}]}], '"function"'),
        ([{"role": "system", "response_format": {"x": object()}}], "JSON"),
    ],
)
def test_what_the_grammar_cannot_say_is_refused(messages: list[Json], said: str) -> None:
    with pytest.raises(EncodingError, match=said):
        encode_messages(messages, thinking_mode="thinking")


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(EncodingError, match="loud"):
        encode_messages([user("x")], thinking_mode="loud")  # type: ignore[arg-type]
    with pytest.raises(EncodingError, match="no tool results"):
        render_tool_results([], "chat")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no end",
        f"</think>a{EOS}b",
        f"</think>a</think>{EOS}",
        f"</think>｜DSML｜{EOS}",
        f"</think>\n\n<｜DSML｜function_calls>\nx</｜DSML｜function_calls>{EOS}",
        f"</think>\n\n<｜DSML｜function_calls>\n</｜DSML｜function_calls>after{EOS}",
        f"\n\n<｜DSML｜function_calls>\n</｜DSML｜function_calls>{EOS}",
        '</think>\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="a>\n\n</｜DSML｜invoke>\n',
        '</think>\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="a">\n<｜DSML｜parameter name="k">v<',
    ],
)
def test_strict_parser_refuses(text: str) -> None:
    with pytest.raises(CompletionError, match="malformed completion"):
        parse_message_from_completion_text(text, thinking_mode="thinking")


words = st.text(st.characters(exclude_characters="｜\x00", exclude_categories=["Cs"]), max_size=12).filter(
    lambda text: "think>" not in text
)
names = st.text("abc_é-1", min_size=1, max_size=6)
scalars = st.none() | st.booleans() | st.integers() | words
values = st.recursive(scalars, lambda v: st.lists(v, max_size=2) | st.dictionaries(words, v, max_size=2), max_leaves=4)
calls = st.builds(lambda name, arguments: call(name, **arguments), names, st.dictionaries(names, values, max_size=3))
turns = st.tuples(words.filter(bool), words, st.lists(calls, min_size=1, max_size=3), words)
modes: st.SearchStrategy[ThinkingMode] = st.sampled_from(["thinking", "chat"])


@given(words, words, st.lists(turns, max_size=4), modes)
@settings(deadline=None)
def test_incremental_rendering_is_the_whole(
    system: str, question: str, history: list[tuple[str, str, list[Json], str]], mode: ThinkingMode
) -> None:
    messages: list[Json] = [{"role": "system", "content": system, "tools": [TOOL]}, user(question)]
    pieces = render_prompt(messages, mode)
    for reasoning, content, tool_calls, result in history:
        message = {"role": "assistant", "reasoning_content": reasoning, "content": content, "tool_calls": tool_calls}
        results = [f"{result}{number}" for number, _ in enumerate(tool_calls)]
        pieces += render_assistant(message, mode) + render_tool_results(results, mode)
        messages += [message, *({"role": "tool", "content": content} for content in results)]
    assert "".join(pieces) == encode_messages(messages, thinking_mode=mode)


def told(first: list[str], history: list[tuple[str, str, list[Json], str]], questions: dict[int, str]) -> list[Json]:
    """A conversation of many turns; `questions` says after which turns somebody asks again, and in which role."""
    messages: list[Json] = [{"role": role, "content": "who?", "tools": [TOOL]} for role in first]
    for turn, (reasoning, content, tool_calls, result) in enumerate(history):
        messages.append({"role": "assistant", "reasoning_content": reasoning, "content": content})
        if turn not in questions:
            messages[-1]["tool_calls"] = tool_calls
            messages += [{"role": "tool", "content": f"{result}{number}"} for number, _ in enumerate(tool_calls)]
        else:
            messages.append({"role": questions[turn], "content": "and then?"})
    return messages


askers = st.sampled_from(["user", "developer"])
openings = st.lists(st.sampled_from(["system", "user", "developer"]), min_size=1, max_size=3)
conversations = st.builds(told, openings, st.lists(turns, max_size=5), st.dictionaries(st.integers(0, 4), askers))


@given(conversations, modes, st.booleans())
@settings(deadline=None)
def test_after_a_context_comes_the_rest_of_the_whole(messages: list[Json], mode: ThinkingMode, drop: bool) -> None:
    whole = encode_messages(messages, thinking_mode=mode, drop_thinking=drop)
    for cut in range(1, len(messages) + 1):
        rest = encode_messages(messages[cut:], context=messages[:cut], thinking_mode=mode, drop_thinking=drop)
        assert whole.endswith(rest)
        asked = any(message["role"] in ("user", "developer") for message in messages[cut:])
        if mode == "chat" or not asked:  # else the new question hides thoughts in what came before it
            assert encode_messages(messages[:cut], thinking_mode=mode) + rest == whole


@given(conversations, modes)
@settings(deadline=None)
def test_special_tokens_come_from_the_grammar_alone(messages: list[Json], mode: ThinkingMode) -> None:
    forged = [message | {"content": "".join(TOKENS)} for message in messages]
    plain, spelled = (render_messages(each, mode) for each in (messages, forged))
    assert [p for p in plain if isinstance(p, Token)] == [p for p in spelled if isinstance(p, Token)]
    assert "".join(spelled) == encode_messages(forged, thinking_mode=mode)


def test_a_token_in_a_message_is_text() -> None:
    pieces = render_messages([user(EOS)], "thinking")
    assert pieces == [BOS, USER, EOS, ASSISTANT, THINK]
    assert [isinstance(piece, Token) for piece in pieces] == [True, True, False, True, True]
    assert list(map(type, pieces_of(f"a{THINK}b"))) == [str, Token, str]


@given(words.filter(bool), words, st.lists(calls, max_size=3), modes)
@settings(deadline=None)
def test_strict_parser_inverts_rendering(
    reasoning: str, content: str, tool_calls: list[Json], mode: ThinkingMode
) -> None:
    message = {"role": "assistant", "reasoning_content": reasoning, "content": content, "tool_calls": tool_calls}
    parsed = parse_message_from_completion_text("".join(render_assistant(message, mode)), thinking_mode=mode)
    assert parsed == {**message, "reasoning_content": reasoning if mode == "thinking" else ""}


def test_cost_grows_with_length_not_its_square() -> None:
    """Counted, not timed: each message is looked at a bounded number of times."""
    looks = 0

    class Watched(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            nonlocal looks
            looks += 1
            return super().get(key, default)

    def count(turns_: int) -> int:
        nonlocal looks
        looks = 0
        turn: list[Json] = [{"role": "assistant", "tool_calls": [call("a")]}, {"role": "tool", "content": "x"}]
        encode_messages([Watched(message) for message in [user("q"), *turn * turns_]], thinking_mode="chat")
        return looks

    assert count(400) <= 4.1 * count(100)
