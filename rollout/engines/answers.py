"""What servers answer, checked piece by piece and put together to a completion."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..codec import ends_with
from ..errors import EngineError
from ..types import Completion, Delta, FinishReason, Sampling
from .server import Transient


class Wire(BaseModel):
    """What comes from a server: no text or truth value passes for a number."""

    model_config = ConfigDict(strict=True)


Finite = Annotated[float, Field(allow_inf_nan=False)]
_ROUNDING = 1e-3
_LEAST = -9000.0  # below it is what servers write where there is no probability


@dataclass(frozen=True)
class Piece:
    """A whole answer, or one event of a stream: new tokens and what the server says beside them."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: str | None = None
    prompt: list[int] | None = None
    prompt_length: int | None = None
    top: list[float] = field(default_factory=list)
    kept: list[list[int]] | None = None
    version: int = 0


@dataclass
class Gathering:
    """The answer to one request, growing. Its methods raise EngineError, of one line, for what cannot be right.

    Servers end at tokens, not at sequences of them: what one samples behind a stop sequence (mostly one EOS) is left
    out, which changes nothing of what stands before.
    """

    url: str
    prompt: list[int]
    sampling: Sampling
    vocab_size: int
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    kept: list[tuple[int, ...]] = field(default_factory=list)
    finish: str | None = None
    version: int = 0
    echoed: bool = False
    ended: bool = False

    def anew(self) -> Gathering:
        """The same for another try."""
        return Gathering(self.url, self.prompt, self.sampling, self.vocab_size)

    def add(self, piece: Piece) -> Delta | None:
        """Take a piece: its new tokens, if any."""
        self._check_prompt(piece)
        if len(piece.tokens) != len(piece.logprobs):
            raise self._wrong(f"{len(piece.tokens)} tokens with {len(piece.logprobs)} log-probabilities")
        told = len(self.tokens)
        for token, logprob in zip(piece.tokens, piece.logprobs, strict=True):
            self._check_token(token, logprob)
            if not self.ended:
                self.tokens.append(token)
                self.logprobs.append(logprob)
                self.ended = ends_with(self.tokens, self.sampling.stop_sequences)
        self._keep(piece, told)
        if piece.finish is not None:
            self.finish, self.version = piece.finish, piece.version
        return Delta(tuple(self.tokens[told:]), tuple(self.logprobs[told:])) if told < len(self.tokens) else None

    def completion(self) -> Completion:
        """The whole. Transient where the server gave the request up, as it does when it is paused or stopped."""
        if self.finish in (None, "abort", "error"):
            raise Transient(f"{self.url} gave the request up ({self.finish}) after {len(self.tokens)} tokens")
        if not self.echoed:
            raise self._wrong("the prompt's tokens did not come back: the server does not speak token ids")
        if self.kept and len(self.kept) != len(self.tokens):
            raise self._wrong(f"{len(self.tokens)} tokens with {len(self.kept)} sampling masks")
        kept = tuple(self.kept) if self.kept else None
        return Completion(tuple(self.tokens), tuple(self.logprobs), self._finish(), self.version, kept=kept)

    def _keep(self, piece: Piece, told: int) -> None:
        if piece.kept is None:
            return
        if len(piece.kept) != len(piece.tokens):
            raise self._wrong(f"{len(piece.tokens)} tokens with {len(piece.kept)} sampling masks")
        self.kept += map(tuple, piece.kept[: len(self.tokens) - told])

    def _finish(self) -> FinishReason:
        if self.ended or (self.tokens and self.tokens[-1] in self.sampling.stop):
            return "stop"
        if self.finish == "stop":
            last = self.tokens[-1] if self.tokens else "none"
            raise self._wrong(
                f"it stopped after token {last}, which is no stop token of the request: start vLLM with "
                "--generation-config vllm, so that it has no stop tokens of its own"
            )
        if self.finish != "length" or len(self.tokens) != self.sampling.max_tokens:
            raise self._wrong(
                f"it ended by {self.finish!r} after {len(self.tokens)} of {self.sampling.max_tokens} tokens, "
                "without a stop token"
            )
        return "length"

    def _check_prompt(self, piece: Piece) -> None:
        if piece.prompt is not None and piece.prompt != self.prompt:
            raise self._wrong(f"the prompt came back as {len(piece.prompt)} other tokens")
        if piece.prompt_length is not None and piece.prompt_length != len(self.prompt):
            raise self._wrong(f"the prompt of {len(self.prompt)} tokens came back as {piece.prompt_length}")
        self.echoed |= piece.prompt is not None

    def _check_token(self, token: int, logprob: float) -> None:
        if not 0 <= token < self.vocab_size:
            raise self._wrong(f"token id {token} is outside the vocabulary of {self.vocab_size}")
        if not (math.isfinite(logprob) and _LEAST < logprob <= _ROUNDING):
            raise self._wrong(f"{logprob} is no log-probability of a sampled token")
        if self.finish is not None or (self.tokens and self.tokens[-1] in self.sampling.stop):
            raise self._wrong(f"token {token} follows the end")
        if len(self.tokens) >= self.sampling.max_tokens:
            raise self._wrong(f"more than the {self.sampling.max_tokens} tokens that were asked for")

    def _wrong(self, what: str) -> EngineError:
        return EngineError(f"{self.url} answered wrongly: {what}")


def explain(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return " ".join(f"{place}: {first['msg']}".removeprefix(": ").split())


def fold_seed(seed: int) -> int:
    """A seed that a server takes: 63 bits."""
    return seed & 0x7FFF_FFFF_FFFF_FFFF
