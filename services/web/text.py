"""Text from anywhere, made safe to look at, and numbers and times made short.

Model output may hold control characters and marks that reorder what is on the screen; they are shown, not obeyed.
Escaping for HTML is Jinja's, which sees every string after `visible`.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HIDDEN = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]")


def visible(text: str) -> str:
    """`text` with control characters as pictures, and invisible or reordering ones as <U+202E>."""
    text = text.replace("\r\n", "\n")
    text = _CONTROL.sub(_picture, text)
    return _HIDDEN.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else f"<U+{code:04X}>"


def finalize(value: object) -> object:
    """What Jinja does to each value before it escapes it: None is nothing, strings become `visible`."""
    if value is None:
        return ""
    return visible(str(value)) if not isinstance(value, Markup) else value


def pretty(value: object) -> str:
    """JSON for people; a plain string stays as it is."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)


def compact(value: object, width: int = 60) -> str:
    """JSON in one line of at most `width` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= width else text[: width - 1] + "…"


def number(value: float | None, digits: int = 3) -> str:
    """Up to `digits` decimals without trailing zeros; a dash for None."""
    if value is None or not math.isfinite(value):
        return "–"
    if value and (abs(value) >= 1e6 or abs(value) < 10**-digits):
        return f"{value:.2e}"
    return f"{value:,.{digits}f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def duration(seconds: float | None) -> str:
    """12 ms, 3.4 s, 5 min 12 s, 2 h 03 min."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(value: datetime | None) -> Markup:
    """A time in UTC, with the exact one for machines."""
    if value is None:
        return Markup("–")
    shown = value.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(shown.isoformat(), shown.strftime("%d %b %H:%M:%S"))


def short(id: str) -> str:
    """The first part of a long id."""
    return id if len(id) <= 14 else id[:12] + "…"


def call_name(call: object) -> str:
    """The tool a stored call names, in our form or OpenAI's ({"function": {"name": ...}})."""
    return str(_function(call).get("name") or "?")


def call_arguments(call: object) -> Any:
    """A stored call's arguments, parsed if they are JSON in a string."""
    function = _function(call)
    arguments = function.get("arguments", function.get("args", function.get("input")))
    if isinstance(arguments, str):
        try:
            return json.loads(arguments)
        except ValueError:
            return arguments
    return arguments


def _function(call: object) -> Mapping[str, Any]:
    if not isinstance(call, Mapping):
        return {"name": "?", "arguments": call}
    inner = call.get("function")
    return inner if isinstance(inner, Mapping) else call


def result_text(result: object) -> str:
    """What a stored tool result says."""
    if isinstance(result, Mapping):
        for name in ("content", "text", "output", "result", "error"):
            if result.get(name) not in (None, ""):
                return pretty(result[name])
    return pretty(result)


def result_failed(result: object) -> bool:
    """Whether a stored tool result is an error."""
    return isinstance(result, Mapping) and (result.get("ok") is False or bool(result.get("error")))
