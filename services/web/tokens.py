"""The token view of a rollout: which tokens the policy sampled and which were rendered, and how sure it was."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from ...infra.store import Policy, Rollout, Store, unpack_f32, unpack_i32

MOST_TOKENS = 3000
SHADES = 7
"""Shade 0 is a certain token, shade 6 one with a probability below 5 %."""
_BOUNDS = (0.99, 0.9, 0.7, 0.45, 0.2, 0.05)

Decode = Callable[[int], str]


@dataclass(frozen=True)
class Piece:
    """One token as the page shows it."""

    id: int
    text: str
    sampled: bool
    logprob: float | None
    shade: int

    @property
    def title(self) -> str:
        """What hovering over it tells."""
        if not self.sampled:
            return f"token {self.id}, rendered"
        if self.logprob is None:
            return f"token {self.id}, sampled"
        return f"token {self.id}, sampled, p = {math.exp(min(self.logprob, 0.0)):.3f}, logprob {self.logprob:.3f}"


def pieces(rollout: Rollout, decode: Decode | None) -> list[Piece]:
    """The first `MOST_TOKENS` tokens; without `decode` their text is their number."""
    tokens, mask = unpack_i32(rollout.tokens), unpack_i32(rollout.mask)
    logprobs = _aligned(unpack_f32(rollout.logprobs), mask, len(tokens))
    shown = []
    for index, token in enumerate(tokens[:MOST_TOKENS]):
        sampled = index < len(mask) and mask[index] == 1
        logprob = logprobs[index] if sampled else None
        shade = shade_of(logprob) if logprob is not None else 0
        shown.append(Piece(token, decode(token) if decode else str(token), sampled, logprob, shade))
    return shown


def shade_of(logprob: float) -> int:
    """The shade of a sampled token, 0 (certain) to SHADES - 1."""
    probability = math.exp(min(logprob, 0.0))
    return sum(probability < bound for bound in _BOUNDS)


def _aligned(logprobs: list[float], mask: Sequence[int], length: int) -> list[float | None]:
    """One log-probability or None per token, from one per token or one per sampled token."""
    finite: list[float | None] = [value if math.isfinite(value) else None for value in logprobs]
    if len(finite) == length:
        return finite
    aligned: list[float | None] = [None] * length
    if len(finite) == sum(mask):
        places = [index for index, flag in enumerate(mask[:length]) if flag]
        for index, value in zip(places, finite, strict=False):
            aligned[index] = value
    return aligned


def decoder(store: Store, policy_id: str) -> Decode | None:
    """How the policy of this id writes a token, if its checkpoint has a tokenizer.json; else None."""
    policy = store.get(Policy, policy_id)
    folder = (policy.uri if policy is not None else "") or policy_id
    path = Path(folder.removeprefix("palestra:").removeprefix("file://")) / "tokenizer.json"
    try:
        stamp = path.stat().st_mtime_ns
    except (OSError, ValueError):
        return None
    tokenizer = _load(str(path), stamp)
    if tokenizer is None:
        return None
    return lambda token: tokenizer.decode([token], skip_special_tokens=False) if token >= 0 else str(token)


@lru_cache(maxsize=4)
def _load(path: str, _stamp: int) -> Tokenizer | None:
    try:
        return Tokenizer.from_file(path)
    except Exception:  # the library raises bare Exception for a file it cannot read
        return None
