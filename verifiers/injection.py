"""Text of the one who is judged, made fit to stand before a judge model: as data that cannot look like anything else.

Every line gets a bar before it, so that none can look like a line of the prompt; what a reader does not see (control,
bidirectional, zero-width and tag characters) is written out; what servers may read as turns of a chat is broken up.
Random marks, which the text cannot know, say where it begins and ends.
"""

from __future__ import annotations

import re
import unicodedata

_BAR = "| "
_CHAT = re.compile(
    r"<(?=[|｜])|(?<=[|｜])>|\[(?=/?INST\])|<(?=<SYS>>|</?SYS>>)"
    r"|<(?=/?(?:s|think|tool_call|tool_response|start_of_turn|end_of_turn|function_calls|system|assistant|user)>)",
    re.IGNORECASE,
)
_FENCE = re.compile(
    r"^[^\w\n]*(?:BEGIN|END) (?:ANSWER|QUESTION|REFERENCE|CRITERION|DATA)\b", re.IGNORECASE | re.MULTILINE
)
_VERDICT = re.compile(r"[\"'](?:verdict|satisfied|passed|score|mark|nonce)[\"']\s*:", re.IGNORECASE)
_GOOD = r"\b(?:true|yes|pass|passed|passing|correct|satisfied|met|full|highest|10|100)\b"
_ORDER = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}"
    r"\b(?:instruction|criteri|prompt|rules\b|(?:all|everything|the) (?:above|previous|prior))"
    r"|\b(?:dear|note to|attention|hey|as) (?:the |an? )?(?:judge|grader|evaluator|assessor|reviewer)\b"
    r"|\b(?:judge|grader|evaluator|assessor|you)\b.{0,20}\b(?:must|should|shall|have to|are to|will)\s+(?:\w+\s+)?"
    r"(?:answer|reply|respond|return|output|say|conclude|grade|mark|score|rate|judge|vote|accept|approve)\b.{0,40}"
    rf"{_GOOD}"
    rf"|\b(?:mark|rate|grade|score|judge) (?:this|it|me|my answer|every|all|the answer)\b.{{0,30}}{_GOOD}"
    r"|\b(?:new|updated|real|system) (?:system )?(?:instruction|prompt|message)s?\b",
    re.IGNORECASE | re.DOTALL,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def as_data(text: str) -> str:
    """`text` as lines that begin with a bar, with nothing hidden in it and nothing that a chat template could read."""
    shown = "".join(_visible(one) for one in text.replace("\r\n", "\n"))
    return "\n".join(_BAR + line for line in _CHAT.sub(lambda found: found[0] + "·", shown).split("\n"))


def suspicions(text: str) -> tuple[str, ...]:
    """What in `text` looks as if it were written for a judge rather than as an answer. A hint, never a proof."""
    plain = unicodedata.normalize("NFKC", "".join(one for one in text if _visible(one) == one))
    found = {
        "hidden characters": any(_visible(one) != one for one in text.replace("\r\n", "\n")),
        "chat tokens": _CHAT.search(text) or _CHAT.search(plain),
        "imitates the prompt's marks": _FENCE.search(plain),
        "imitates a verdict": _VERDICT.search(plain),
        "speaks to the judge": _ORDER.search(plain),
    }
    return tuple(name for name, there in found.items() if there)


def without_orders(text: str) -> str:
    """`text` less the sentences that look written for a judge, from the first to the last of them; the same text where
    there are none.
    """
    sentences = _SENTENCE.split(text)
    odd = [place for place, one in enumerate(sentences) if set(suspicions(one)) - {"hidden characters"}]
    return " ".join(sentences[: odd[0]] + sentences[odd[-1] + 1 :]) if odd else text


def _visible(one: str) -> str:
    """A character as it is seen; one that is not seen as its number."""
    if one in "\n\t":
        return one
    hidden = unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or 0xE0100 <= ord(one) <= 0xE01EF
    return f"\\u{{{ord(one):04X}}}" if hidden else one
