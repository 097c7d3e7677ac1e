"""Answers and arguments between text and JSON: strict, and never deeper than what the rest of the house can carry."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from ..envs.types import Answer

DEEPEST = 64
"""Levels of nesting. Pickling, hashing and storing recurse; a policy must not be able to break them."""


def read_json(text: str) -> Any:
    """Parse JSON (RFC 8259: no NaN, no number beyond a float). ValueError also where it nests too deep."""
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from None
    if text.count("[") + text.count("{") <= DEEPEST:
        return value
    level = [value]
    for _ in range(DEEPEST):
        level = [child for item in level if isinstance(item, dict | list) for child in _children(item)]
        if not level:
            return value
    raise ValueError(f"nested deeper than {DEEPEST} levels")


def read_answer(content: str) -> Answer:
    """A final message as an answer: an object or a list where the text is JSON of one, else the stripped text."""
    text = content.strip()
    if text[:1] in ("{", "["):
        try:
            return read_json(text)
        except ValueError:
            return text
    return text


def answer_text(answer: Answer) -> str:
    """The final message that says `answer`: a text as it is, nothing as "Done.", else JSON. TypeError for other things.

    `read_answer` of it is what a verifier gets to see: the text "42" where the answer is the number 42.
    """
    if answer is None:
        return "Done."
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _children(item: dict[str, Any] | list[Any]) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else item


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits} is beyond what a number can hold")
    return value


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)  # `json.loads` would build one at every call
