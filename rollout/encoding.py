"""Conversations to text in the chat grammar of DeepSeek-V3.2.

`encode_messages` and `parse_message_from_completion_text` behave as the published functions of those names on every
input those accept. Both are linear in the length of the conversation.

An episode does not re-render its history: `render_prompt`, then after each completion `render_tool_results`, give the
pieces (see `grammar.py`) that add up to `encode_messages` of the whole; `render_assistant` writes the completions in
between.

Messages are mappings in OpenAI form: `role`, `content`, and where they apply `tools`, `response_format`,
`reasoning_content`, `tool_calls`. The last user or developer message is called `last`: thinking is shown after it only.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .completions import parse_message_from_completion_text
from .errors import EncodingError
from .grammar import (
    ASSISTANT,
    BOS,
    CALLS_CLOSE,
    CALLS_OPEN,
    DSML,
    EOS,
    INVOKE_CLOSE,
    PARAMETER_CLOSE,
    RESPONSE_HEAD,
    RESULTS_CLOSE,
    RESULTS_OPEN,
    THINK,
    THINK_END,
    TOOLS_HEAD,
    TOOLS_TAIL,
    USER,
    Message,
    Pieces,
    ThinkingMode,
    Token,
    is_thinking,
    pieces_of,
    shortened,
    to_json,
)

__all__ = [
    "encode_messages",
    "parse_message_from_completion_text",
    "render_assistant",
    "render_messages",
    "render_prompt",
    "render_tool_results",
    "render_tools",
]

_TOOLS_HEAD = pieces_of(TOOLS_HEAD)
_CALLS_OPEN = pieces_of(f"\n\n{CALLS_OPEN}\n")
_CALLS_CLOSE = pieces_of(f"\n{CALLS_CLOSE}")
_INVOKE_CLOSE = pieces_of(f"\n{INVOKE_CLOSE}")
_PARAMETER_CLOSE = pieces_of(PARAMETER_CLOSE)


def encode_messages(
    messages: Sequence[Message],
    *,
    thinking_mode: ThinkingMode,
    context: Sequence[Message] | None = None,
    drop_thinking: bool = True,
    add_default_bos_token: bool = True,
) -> str:
    """Render `messages`, which follow `context` (already rendered, so not repeated), as the model's prompt text.

    BOS comes first unless there is a context or `add_default_bos_token` is off. `drop_thinking` is part of the
    published signature; the grammar shows reasoning after `last` only, so both settings give the same text.

    Raises EncodingError for an unknown mode or role, an empty developer message, a tool result without a call, a tool
    call whose arguments are no JSON object, and in thinking mode an assistant message after `last` that has neither
    reasoning nor tool calls.
    """
    del drop_thinking
    return "".join(render_messages(messages, thinking_mode, context or (), bos=add_default_bos_token))


def render_messages(
    messages: Sequence[Message], thinking_mode: ThinkingMode, context: Sequence[Message] = (), *, bos: bool = True
) -> Pieces:
    """The pieces of `encode_messages`."""
    thinking = is_thinking(thinking_mode)
    full = [*context, *messages]
    last = _last_index(full, lambda role: role in ("user", "developer"))
    caller = _last_index(context, lambda role: role != "tool")  # whose calls the next tool result answers
    pieces: Pieces = [BOS] if bos and not context else []
    for index in range(len(context), len(full)):
        if full[index].get("role") == "tool":
            pieces += _result_of_turn(full, index, caller, thinking and index >= last)
        else:
            pieces += _message(full[index], thinking, index - last)
            caller = index
    return pieces


def render_prompt(messages: Sequence[Message], thinking_mode: ThinkingMode) -> Pieces:
    """What an episode begins with: BOS and `messages` (system, user, ...), up to the first completion."""
    return render_messages(messages, thinking_mode)


def render_assistant(message: Message, thinking_mode: ThinkingMode) -> Pieces:
    """The completion, EOS included, that a policy would have to write after its prompt to say `message`.

    Raises EncodingError as `encode_messages` does.
    """
    return _assistant(message, is_thinking(thinking_mode))


def render_tool_results(results: Sequence[str], thinking_mode: ThinkingMode) -> Pieces:
    """What stands between an assistant's EOS and its next completion: all results of its calls, in the calls' order.

    Raises EncodingError when there is no result: every call has one, and only calls lead here.
    """
    if not results:
        raise EncodingError("no tool results to render; give one text per tool call")
    shown = [piece for result in results for piece in _result(result)]
    return [RESULTS_OPEN, *shown, RESULTS_CLOSE, _think_tag(is_thinking(thinking_mode))]


def render_tools(schemas: Sequence[Any]) -> Pieces:
    """What tells the model its tools; one JSON function schema per line."""
    return [*_TOOLS_HEAD, "\n".join(map(to_json, schemas)), TOOLS_TAIL]


def _last_index(messages: Sequence[Message], wanted: Callable[[Any], bool]) -> int:
    """The index of the last message whose role is `wanted`, or -1."""
    return next((i for i in range(len(messages) - 1, -1, -1) if wanted(messages[i].get("role"))), -1)


def _think_tag(opens: bool) -> Token:
    return THINK if opens else THINK_END


def _message(message: Message, thinking: bool, after_last: int) -> Pieces:
    """A message that is no tool result; `after_last` is its distance from `last` (0 for `last` itself)."""
    match message.get("role"):
        case "system":
            return [f"{message.get('content') or ''}", *_instructions(message)]
        case "user":
            return [USER, f"{message.get('content')}", ASSISTANT, _think_tag(thinking and after_last == 0)]
        case "developer":
            if not message.get("content"):
                raise EncodingError(f"a developer message has no content: {shortened(message)}")
            question = f"\n\n# The user's message is: {message['content']}"
            return [USER, *_instructions(message), question, ASSISTANT, _think_tag(thinking and after_last == 0)]
        case "assistant":
            return _assistant(message, thinking and after_last > 0)
        case role:
            raise EncodingError(f"unknown role {role!r}; use system, user, developer, assistant or tool")


def _instructions(message: Message) -> Pieces:
    pieces: Pieces = []
    if tools := message.get("tools"):
        pieces += ["\n\n", *render_tools([_function_of(tool) for tool in tools])]
    if response_format := message.get("response_format"):
        pieces += ["\n\n", RESPONSE_HEAD, to_json(response_format)]
    return pieces


def _assistant(message: Message, shows_thinking: bool) -> Pieces:
    reasoning, calls = message.get("reasoning_content"), message.get("tool_calls")
    if shows_thinking and not (reasoning or calls):
        raise EncodingError(
            f"an assistant message in thinking mode needs reasoning or tool calls: {shortened(message)}"
        )
    thought = [f"{reasoning or ''}", THINK_END] if shows_thinking else []
    return [*thought, f"{message.get('content') or ''}", *(_calls(calls) if calls else ()), EOS]


def _calls(calls: Sequence[Message]) -> Pieces:
    return [*_CALLS_OPEN, *_lines(_invoke(_function_of(call)) for call in calls), *_CALLS_CLOSE]


def _invoke(function: Message) -> Pieces:
    try:
        name, raw = function["name"], function["arguments"]
        arguments = raw if isinstance(raw, Mapping) else json.loads(raw)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise EncodingError(f"a tool call needs a name and arguments as JSON text: {shortened(function)}") from error
    if not isinstance(arguments, Mapping):
        raise EncodingError(f"the arguments of {name!r} are no JSON object: {shortened(raw)}")
    parameters = _lines(_parameter(key, value) for key, value in arguments.items())
    return ["<", DSML, f'invoke name="{name}">\n', *parameters, *_INVOKE_CLOSE]


def _parameter(key: str, value: Any) -> Pieces:
    is_text = isinstance(value, str)
    shown = f"{value}" if is_text else to_json(value)
    return ["<", DSML, f'parameter name="{key}" string="{"true" if is_text else "false"}">{shown}', *_PARAMETER_CLOSE]


def _lines(parts: Iterable[Pieces]) -> Pieces:
    return [piece for part in parts for piece in ("\n", *part)][1:]


def _result_of_turn(full: Sequence[Message], index: int, caller: int, thinking: bool) -> Pieces:
    """The tool result at `index`, which answers the assistant message at `caller`; matched by order, not by id.

    `caller` is -1 for a result at the very start. The published encoder then looks at the conversation's last message;
    so do we, since -1 means that to a sequence.
    """
    if index > 0 and (caller < 0 or full[caller].get("role") != "assistant"):
        raise EncodingError(f"message {index} is a tool result but no assistant message precedes it")
    order, calls = index - caller, full[caller].get("tool_calls") or ()
    if order > len(calls):
        raise EncodingError(f"message {index} is tool result {order}, but only {len(calls)} tool calls were made")
    opening = [RESULTS_OPEN] if order == 1 else []
    closing = [RESULTS_CLOSE, _think_tag(thinking)] if order == len(calls) else []
    return [*opening, *_result(full[index].get("content")), *closing]


def _result(content: Any) -> Pieces:
    return [f"\n<result>{content}</result>"]


def _function_of(item: Message) -> Message:
    try:
        function: Message = item["function"]
    except (KeyError, TypeError) as error:
        raise EncodingError(f'a tool or tool call in OpenAI form has the key "function": {shortened(item)}') from error
    return function
