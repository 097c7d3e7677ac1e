"""The alphabet of DeepSeek-V3.2's chat grammar: special tokens, tags, and texts made of both.

A rendered conversation is a list of pieces. A piece of type `Token` is a special token that the grammar itself put
there; a plain `str` is ordinary text, even where somebody's message spells the characters of a special token. Joined,
the pieces are the text that the published encoder gives; tokenised by `Tokenizer.encode_pieces`, no message can forge
structure.

Source: the grammar published with the model (arXiv 2512.02556; the model has no Jinja template).
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from .errors import EncodingError

Message = Mapping[str, Any]
ThinkingMode = Literal["thinking", "chat"]
Pieces = list[str]


class Token(str):
    """A special token of the grammar."""

    __slots__ = ()


BOS = Token("<｜begin▁of▁sentence｜>")
EOS = Token("<｜end▁of▁sentence｜>")
USER = Token("<｜User｜>")
ASSISTANT = Token("<｜Assistant｜>")
THINK = Token("<think>")
THINK_END = Token("</think>")
DSML = Token("｜DSML｜")
TOKENS = {str(token): token for token in (BOS, EOS, USER, ASSISTANT, THINK, THINK_END, DSML)}

CALLS_OPEN = f"<{DSML}function_calls>"
CALLS_CLOSE = f"</{DSML}function_calls>"
INVOKE_CLOSE = f"</{DSML}invoke>"
PARAMETER_CLOSE = f"</{DSML}parameter>"
RESULTS_OPEN = "\n\n<function_results>"
RESULTS_CLOSE = "\n</function_results>\n\n"

# What a model may never say: as text of a message these would forge structure.
RESERVED_IN_CONTENT = (BOS, EOS, THINK, THINK_END, DSML)

TOOLS_HEAD = f"""## Tools

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
TOOLS_TAIL = "\n</functions>\n"
RESPONSE_HEAD = "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n"

_encode = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` would build an encoder at every call
_ANY_TOKEN = re.compile("(" + "|".join(map(re.escape, TOKENS)) + ")")


def pieces_of(template: str) -> Pieces:
    """A text of the grammar's own making, cut at its special tokens. Never for what people or tools wrote."""
    return [TOKENS.get(part, part) for part in _ANY_TOKEN.split(template) if part]


def is_thinking(thinking_mode: str) -> bool:
    """Whether a mode is "thinking" rather than "chat". Raises EncodingError for any other."""
    if thinking_mode not in get_args(ThinkingMode):
        raise EncodingError(f'thinking_mode is {thinking_mode!r}; use "thinking" or "chat"')
    return thinking_mode == "thinking"


def to_json(value: Any) -> str:
    """JSON as the grammar writes it, non-ASCII kept. Raises EncodingError for what JSON cannot hold."""
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise EncodingError(f"not representable as JSON ({error}): {shortened(value)}") from error


def shortened(value: Any, limit: int = 200) -> str:
    """`repr` of a value for an error message: one line of at most `limit` characters."""
    try:
        text = repr(value)
    except RecursionError:
        return f"a {type(value).__name__} nested too deep"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
