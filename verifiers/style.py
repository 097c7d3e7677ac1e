"""How an answer is said, apart from whether it is right: its length, and the script of its language."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from .types import Part

SCRIPTS: dict[str, frozenset[str]] = {
    "ar": frozenset({"ARABIC"}),
    "de": frozenset({"LATIN"}),
    "el": frozenset({"GREEK"}),
    "en": frozenset({"LATIN"}),
    "es": frozenset({"LATIN"}),
    "fr": frozenset({"LATIN"}),
    "he": frozenset({"HEBREW"}),
    "hi": frozenset({"DEVANAGARI"}),
    "ja": frozenset({"CJK", "HIRAGANA", "KATAKANA"}),
    "ko": frozenset({"HANGUL", "CJK"}),
    "ru": frozenset({"CYRILLIC"}),
    "th": frozenset({"THAI"}),
    "zh": frozenset({"CJK"}),
}
"""The scripts a language is written in, as Unicode names its letters. Languages of one script are not told apart."""


def length_penalty(tokens: int, free: int, most: int) -> float:
    """0 up to `free` tokens, then down in a line to -1 at `most` and beyond (DAPO's soft overlong punishment)."""
    return -min(1.0, max(0.0, (tokens - free) / (most - free)))


def brevity(name: str, length: int, free: int, most: int, weight: float = 1.0) -> Part:
    """A part that is full up to `free` (tokens, words: whatever `length` counts) and falls in a line to 0 at `most`."""
    if not 0 <= free < most:
        raise ValueError(f"free is {free} and most {most}: a length reward needs 0 <= free < most")
    score = 1.0 + length_penalty(length, free, most)
    return Part(name=name, score=score, weight=weight, detail=f"{length} long: {free} are free, {most} too many")


def language_consistency(text: str, language: str) -> float:
    """The share of the letters of `text` that are in the script of `language`, in [0, 1]; 1 where there are none.

    Digits, punctuation and combining marks do not count, and compatibility forms (full-width, mathematical) count as
    what they stand for. Scripts are told by the names of characters: languages that share one are not told apart.
    """
    scripts = SCRIPTS[language]
    found = [script in scripts for script in _scripts(text)]
    return sum(found) / len(found) if found else 1.0


def in_language(name: str, text: str, language: str, weight: float = 1.0) -> Part:
    """A part that is the share of letters in the script of `language`; 0 where there are no letters at all."""
    if language not in SCRIPTS:
        raise ValueError(f"language is {language!r}: it must be one of {', '.join(SCRIPTS)}")
    share = language_consistency(text, language) if any(True for _ in _scripts(text)) else 0.0
    return Part(
        name=name, score=share, weight=weight, detail=f"{share:.0%} of the letters are in the script of {language}"
    )


def _scripts(text: str) -> Iterator[str]:
    """The script of each letter: the first word of its name, which ends at a dash in "CJK UNIFIED IDEOGRAPH-4E00"."""
    for character in unicodedata.normalize("NFKC", text):
        if unicodedata.category(character).startswith("L"):
            yield unicodedata.name(character, "UNKNOWN").split(maxsplit=1)[0].partition("-")[0]
