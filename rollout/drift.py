"""Drift: sampled token ids that decoding and encoding again would not give back.

An engine may sample a word in other tokens than the tokenizer would cut it into, spell a special token in plain ones,
or stop in the middle of a character. Kept as ids nothing happens; kept as text, the policy would be trained on tokens
that it never sampled. Episodes keep ids; the measure shows what that spares, and what an engine that speaks text risks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .tokenizer import Tokenizer


@dataclass(frozen=True)
class Drift:
    """How many ids of a completion drift, and the index of the first (None where none does)."""

    count: int
    first: int | None


def drift(token_ids: Sequence[int], tokenizer: Tokenizer) -> Drift:
    """Decode, re-encode, compare: an id drifts unless the same id ends at the same byte of the re-encoded text.

    From the first half character on all ids drift, for bytes that are no UTF-8 are not decoded to themselves.
    Linear, about the cost of one encoding. Raises TokenizerError for an id outside the vocabulary.
    """
    again = tokenizer.encode(tokenizer.decode(token_ids))
    if again == list(token_ids):
        return Drift(0, None)
    kept = set(_places(again, tokenizer))
    readable = _readable_bytes(token_ids, tokenizer)
    places = enumerate(_places(token_ids, tokenizer))
    lost = [index for index, (token, end) in places if end > readable or (token, end) not in kept]
    return Drift(len(lost), lost[0])


def _places(ids: Sequence[int], tokenizer: Tokenizer) -> Iterable[tuple[int, int]]:
    """Each id with the byte where it ends."""
    return zip(ids, accumulate(len(tokenizer.token_bytes(token)) for token in ids), strict=True)


def _readable_bytes(ids: Sequence[int], tokenizer: Tokenizer) -> int:
    """How many bytes come before the first half character."""
    data = b"".join(map(tokenizer.token_bytes, ids))
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return len(data)
