"""Text in pieces: passages of a document, and the piece of a passage that a query is about."""

from __future__ import annotations

import re
from collections.abc import Iterator

PASSAGE = 700
"""Characters that a passage aims at; one sentence or word that is longer is cut at twice as many."""
_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=\S)")
_WORD = re.compile(r"\w+")


def passages_of(text: str, size: int = PASSAGE) -> tuple[str, ...]:
    """Whole sentences, packed to about `size` characters; a paragraph's end also ends a passage that is half full."""
    found: list[str] = []
    held = ""
    for paragraph in _PARAGRAPH.split(text):
        for piece in _pieces(" ".join(paragraph.split()), size):
            if held and len(held) + len(piece) >= size:
                found.append(held)
                held = ""
            held = f"{held} {piece}" if held else piece
        if len(held) >= size // 2:
            found.append(held)
            held = ""
    return (*found, held) if held else tuple(found)


def _pieces(paragraph: str, size: int) -> Iterator[str]:
    for sentence in _SENTENCE.split(paragraph):
        for at in range(0, len(sentence), 2 * size):
            yield sentence[at : at + 2 * size]


def snippet(passage: str, query: str, width: int = 240) -> str:
    """The stretch of about `width` characters that holds most different words of `query`; the first among equals."""
    if len(passage) <= width:
        return passage
    wanted = set(_WORD.findall(query.casefold()))
    words = [(match.start(), match.group()) for match in _WORD.finditer(passage.casefold())]
    hits = [(at, word) for at, word in words if word in wanted]
    best, start = 0, 0
    for at, _ in hits:
        found = len({word for other, word in hits if at <= other < at + width - 40})
        if found > best:
            best, start = found, at
    start = max(0, min(start - 20, len(passage) - width))
    begin = passage.find(" ", start) + 1 if start else 0
    end = begin + width if begin + width >= len(passage) else max(passage.rfind(" ", begin, begin + width), begin + 1)
    return f"{'... ' if begin else ''}{passage[begin:end]}{' ...' if end < len(passage) else ''}"
