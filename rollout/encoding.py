"""The chat grammar of DeepSeek-V3.2: conversations to text, and completions back to messages.

Source: the grammar published with the model (arXiv 2512.02556; the model has no Jinja template). `encode_messages` and
`parse_message_from_completion_text` behave as the published functions of those names on every input those accept.
Both are linear in the length of the conversation.

An episode does not re-render its history: `render_prompt`, then after each completion `render_tool_results`, give the
pieces whose concatenation is `encode_messages` of the whole (`render_assistant` writes the completions in between).

Messages are dicts in OpenAI form: `role`, `content`, and where they apply `tools`, `response_format`,
`reasoning_content`, `tool_calls`. The last user or developer message is called `last`: thinking is shown after it only.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from .errors import CompletionError, EncodingError

Message = Mapping[str, Any]
ThinkingMode = Literal["thinking", "chat"]

BOS = "<｜begin▁of▁sentence｜>"
EOS = "<｜end▁of▁sentence｜>"
USER = "<｜User｜>"
ASSISTANT = "<｜Assistant｜>"
THINK = "<think>"
THINK_END = "</think>"
DSML = "｜DSML｜"

CALLS_OPEN = f"<{DSML}function_calls>"
CALLS_CLOSE = f"</{DSML}function_calls>"
INVOKE_CLOSE = f"</{DSML}invoke>"
PARAMETER_CLOSE = f"</{DSML}parameter>"
RESULTS_OPEN = "\n\n<function_results>"
RESULTS_CLOSE = "\n</function_results>\n\n"

# What a model may never say: as text of a message these would forge structure.
RESERVED_IN_CONTENT = (BOS, EOS, THINK, THINK_END, DSML)

_TOOLS_HEAD = f"""## Tools

You have access to a set of tools you can use to answer the user's question.
You can invoke functions by writing a "{CALLS_OPEN}" block like the following as part of your reply to the user:
{CALLS_OPEN}
<{DSML}invoke name="$FUNCTION_NAME">
<{DSML}parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE{PARAMETER_CLOSE}
...
{INVOKE_CLOSE}
<{DSML}invoke name="$FUNCTION_NAME2">
...
{INVOKE_CLOSE}
{CALLS_CLOSE}

String and scalar parameters should be specified as is without any escaping or quotes, while lists and objects should \
use JSON format. The "string" attribute should be set to "true" for string type parameters and "false" for other types \
(numbers, booleans, arrays, objects).

If the thinking_mode is enabled, then after function results you should strongly consider outputting a thinking block. \
Here is an example:

{CALLS_OPEN}
...
{CALLS_CLOSE}

<function_results>
...
</function_results>

{THINK}...thinking about results{THINK_END}

Here are the functions available in JSONSchema format:
<functions>
"""
_TOOLS_TAIL = "\n</functions>\n"
_RESPONSE_HEAD = "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n"


# ---------------------------------------------------------------------------------------------------------------------
# Conversations to text
# ---------------------------------------------------------------------------------------------------------------------


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
    thinking = _is_thinking(thinking_mode)
    context = context or ()
    full = [*context, *messages]
    last = max((i for i, message in enumerate(full) if message.get("role") in ("user", "developer")), default=-1)
    parts = [BOS] if add_default_bos_token and not context else []
    caller = -1  # the latest message that is no tool result: the one whose calls the results answer
    for index, message in enumerate(full):
        role = message.get("role")
        if index >= len(context):
            if role == "tool":
                parts.append(_tool_text(full, index, caller, thinking and index >= last))
            else:
                parts.append(_message_text(message, thinking, index - last))
        if role != "tool":
            caller = index
    return "".join(parts)


def render_prompt(messages: Sequence[Message], thinking_mode: ThinkingMode) -> str:
    """The text an episode begins with: BOS and `messages` (system, user, ...), up to the first completion."""
    return encode_messages(messages, thinking_mode=thinking_mode)


def render_assistant(message: Message, thinking_mode: ThinkingMode) -> str:
    """The completion, EOS included, that a policy would have to write after its prompt to say `message`.

    Raises EncodingError as `encode_messages` does.
    """
    return _assistant_text(message, _is_thinking(thinking_mode))


def render_tool_results(results: Sequence[str], thinking_mode: ThinkingMode) -> str:
    """The text between an assistant's EOS and its next completion: all results of its calls, in the calls' order.

    Raises EncodingError when there is no result: every call has one, and only calls lead here.
    """
    if not results:
        raise EncodingError("no tool results to render; give one text per tool call")
    tag = _think_tag(_is_thinking(thinking_mode))
    return "".join([RESULTS_OPEN, *map(_result_text, results), RESULTS_CLOSE, tag])


def render_tools(schemas: Sequence[Any]) -> str:
    """The text that tells the model its tools; one JSON function schema per line."""
    return _TOOLS_HEAD + "\n".join(map(_to_json, schemas)) + _TOOLS_TAIL


def _is_thinking(thinking_mode: str) -> bool:
    if thinking_mode not in get_args(ThinkingMode):
        raise EncodingError(f'thinking_mode is {thinking_mode!r}; use "thinking" or "chat"')
    return thinking_mode == "thinking"


def _think_tag(opens: bool) -> str:
    return THINK if opens else THINK_END


def _message_text(message: Message, thinking: bool, after_last: int) -> str:
    """A message that is no tool result; `after_last` is its distance from `last` (0 for `last` itself)."""
    match message.get("role"):
        case "system":
            sections = [f"{message.get('content') or ''}", *_instruction_sections(message)]
            return "\n\n".join(sections)
        case "user":
            return f"{USER}{message.get('content')}{ASSISTANT}" + _think_tag(thinking and after_last == 0)
        case "developer":
            if not message.get("content"):
                raise EncodingError(f"a developer message has no content: {message!r}")
            sections = ["", *_instruction_sections(message), f"# The user's message is: {message['content']}"]
            return USER + "\n\n".join(sections) + ASSISTANT + _think_tag(thinking and after_last == 0)
        case "assistant":
            return _assistant_text(message, thinking and after_last > 0)
        case role:
            raise EncodingError(f"unknown role {role!r}; use system, user, developer, assistant or tool")


def _instruction_sections(message: Message) -> list[str]:
    sections = []
    if tools := message.get("tools"):
        sections.append(render_tools([_function_of(tool) for tool in tools]))
    if response_format := message.get("response_format"):
        sections.append(_RESPONSE_HEAD + _to_json(response_format))
    return sections


def _assistant_text(message: Message, shows_thinking: bool) -> str:
    reasoning, calls = message.get("reasoning_content"), message.get("tool_calls")
    if shows_thinking and not (reasoning or calls):
        raise EncodingError(f"an assistant message in thinking mode needs reasoning or tool calls: {message!r}")
    thought = f"{reasoning or ''}{THINK_END}" if shows_thinking else ""
    return f"{thought}{message.get('content') or ''}{_calls_text(calls) if calls else ''}{EOS}"


def _calls_text(calls: Sequence[Message]) -> str:
    invokes = "\n".join(_invoke_text(_function_of(call)) for call in calls)
    return f"\n\n{CALLS_OPEN}\n{invokes}\n{CALLS_CLOSE}"


def _invoke_text(function: Message) -> str:
    try:
        name, raw = function["name"], function["arguments"]
        arguments = raw if isinstance(raw, Mapping) else json.loads(raw)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise EncodingError(f"a tool call needs a name and arguments as JSON text: {function!r}") from error
    if not isinstance(arguments, Mapping):
        raise EncodingError(f"the arguments of {name!r} are no JSON object: {raw!r}")
    parameters = "\n".join(_parameter_text(key, value) for key, value in arguments.items())
    return f'<{DSML}invoke name="{name}">\n{parameters}\n{INVOKE_CLOSE}'


def _parameter_text(key: str, value: Any) -> str:
    is_text = isinstance(value, str)
    shown = value if is_text else _to_json(value)
    return f'<{DSML}parameter name="{key}" string="{"true" if is_text else "false"}">{shown}{PARAMETER_CLOSE}'


def _tool_text(full: Sequence[Message], index: int, caller: int, thinking: bool) -> str:
    """The tool result at `index`, which answers the assistant message at `caller`; matched by order, not by id.

    `caller` is -1 for a result at the very start. The published encoder then looks at the conversation's last message;
    so do we, since -1 means that to a sequence.
    """
    if index > 0 and (caller < 0 or full[caller].get("role") != "assistant"):
        raise EncodingError(f"message {index} is a tool result but no assistant message precedes it")
    order, calls = index - caller, full[caller].get("tool_calls") or ()
    if order > len(calls):
        raise EncodingError(f"message {index} is tool result {order}, but only {len(calls)} tool calls were made")
    opening = RESULTS_OPEN if order == 1 else ""
    closing = RESULTS_CLOSE + _think_tag(thinking) if order == len(calls) else ""
    return opening + _result_text(full[index].get("content")) + closing


def _result_text(content: Any) -> str:
    return f"\n<result>{content}</result>"


def _function_of(item: Message) -> Message:
    try:
        function: Message = item["function"]
    except (KeyError, TypeError) as error:
        raise EncodingError(f'a tool or tool call in OpenAI form has the key "function": {item!r}') from error
    return function


def _to_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise EncodingError(f"not representable as JSON: {value!r}") from error


# ---------------------------------------------------------------------------------------------------------------------
# Completions to messages: the strict parser
# ---------------------------------------------------------------------------------------------------------------------

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


def parse_message_from_completion_text(text: str, *, thinking_mode: ThinkingMode) -> dict[str, Any]:
    """Parse a well-formed completion into `role`, `content`, `reasoning_content` and `tool_calls` (OpenAI form).

    As strict and as lax as the published parser, which lets a tool block end early at some tags and takes a value
    marked `string="false"` as it stands, JSON or not. Raises CompletionError for anything else malformed.
    """
    reader = _Reader(text)
    reasoning = ""
    if _is_thinking(thinking_mode):
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
    members = (f"{_to_json(key)}: {_to_json(raw) if is_text else raw}" for key, (raw, is_text) in parameters.items())
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
        raise CompletionError(f"malformed completion near character {reader.at}: bad head of an invoke: {head!r}")
    parameters: dict[str, tuple[str, bool]] = {}
    while stop == _PARAMETER_OPEN:
        text, _ = reader.until(_VALUE_STOP)
        parameter = _PARAMETER_BODY.match(text)
        if parameter is None:
            raise CompletionError(f"malformed completion near character {reader.at}: bad parameter: {text!r}")
        key, is_text, raw = parameter.groups()
        _require(key not in parameters, f"duplicate parameter {key!r}", reader)
        parameters[key] = (raw, is_text == "true")
        gap, stop = reader.until(_PARAMETER_STOP)
        _require(gap == ">\n", "expected a parameter or the end of the invoke", reader)
    return tool_call(named.group(1), parameters)
