"""How large and deep JSON may be before anything recurses into it: what agents hand in has no natural bound."""

from __future__ import annotations

import math
from collections.abc import Mapping

MAX_DEPTH = 64
MAX_NODES = 10_000
MAX_CHARACTERS = 4_000_000


def problem(value: object, depth: int = MAX_DEPTH, nodes: int = MAX_NODES, characters: int = MAX_CHARACTERS) -> str:
    """Why `value` is not plain JSON within these bounds; "" where it is. Never recurses, never raises."""
    stack: list[tuple[object, int]] = [(value, 1)]
    seen = text = 0
    while stack:
        one, level = stack.pop()
        seen += 1
        if level > depth:
            return f"nested deeper than {depth} levels"
        if isinstance(one, Mapping):
            if not all(isinstance(key, str) for key in one):
                return "an object has a key that is not a text"
            text += sum(map(len, one))
            stack += [(item, level + 1) for item in one.values()]
        elif isinstance(one, list | tuple):
            stack += [(item, level + 1) for item in one]
        elif isinstance(one, str):
            text += len(one)
        elif isinstance(one, float) and not math.isfinite(one):
            return f"{one} is not a JSON number"
        elif one is not None and not isinstance(one, bool | int | float):
            return f"a {type(one).__name__} is not JSON"
        if seen + len(stack) > nodes:
            return f"more than {nodes} values"
        if text > characters:
            return f"more than {characters} characters of text"
    return ""
