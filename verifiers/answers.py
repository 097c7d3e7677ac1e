"""Compare an answer with a reference the way question-answering benchmarks do: normalised, with aliases."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from .checks import check
from .types import Part

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = re.compile(r"[^\w\s]|_")


def normalise(text: str) -> str:
    """Lower case, no accents' compatibility variants, no punctuation, no articles, single spaces (SQuAD's
    normalisation, NFKC).
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_ARTICLES.sub(" ", _PUNCTUATION.sub(" ", folded)).split())


def exact_match(name: str, answer: object, accepted: Iterable[str]) -> Part:
    """Satisfied when `answer` is a text that equals one of `accepted` after normalisation."""
    if not isinstance(answer, str | int | float) or isinstance(answer, bool):
        return check(name, False, f"expected a text, got {type(answer).__name__}")
    given = normalise(str(answer))
    passed = bool(given) and given in {normalise(text) for text in accepted}
    return check(name, passed, "matches" if passed else f"{str(answer)[:80]!r} is not the answer")
