"""Engines behind an OpenAI-compatible server that takes and gives token ids, vLLM's `/v1/completions` first of all.

A server's answer is believed only as far as it can be checked: the prompt comes back as it was sent, every id is in the
vocabulary, every token has a finite log-probability, and the end is one that was asked for. Anything else is an
EngineError; a fault on the way is tried again, always with the whole request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from pydantic import Field, ValidationError

from ..errors import EngineError
from ..types import Completion, Delta, Engine, Sampling
from .answers import Finite, Gathering, Piece, Wire, explain, fold_seed
from .server import Client, Server, Transient

UNLIKELY = -9999.0
"""What servers write for the logarithm of zero, which JSON cannot hold."""


class OpenAITokensEngine(Engine):
    """Continues token ids on `server`, whose model has `vocab_size` of them. Use from one event loop.

    The server must give log-probabilities of the distribution that was sampled: with a temperature or a truncation
    those differ from the model's own, which vLLM gives unless it runs with `--logprobs-mode processed_logprobs`. Which
    ones they are is found out by one short request. At temperature 0 they are the untruncated model's.
    """

    path = "/completions"

    def __init__(self, server: Server, vocab_size: int, *, version: int = 0) -> None:
        self.server = server
        self.vocab_size = vocab_size
        self.version = version
        self.client = Client(server)
        self._limit: int | None = None
        self._known = False
        self._sampled_logprobs: bool | None = None
        self._lock = asyncio.Lock()

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        """Continue `tokens` by up to `sampling.max_tokens`, or to the end of the server's context."""
        prompt = list(tokens)
        gathering = await self._prepare(prompt, sampling)
        if gathering is None:
            return Completion((), (), "length", version=self.version)

        async def attempt() -> Completion:
            whole = gathering.anew()
            whole.add(self._read(await self._send(self.body(prompt, gathering.sampling))))
            return whole.completion()

        return await self.client.persist(attempt)

    async def stream(self, tokens: Sequence[int], sampling: Sampling) -> AsyncIterator[Delta | Completion]:
        """Like `generate`, token by token. A stream that breaks off is begun anew as long as nothing of it was yielded,
        and an EngineError afterwards.
        """
        prompt = list(tokens)
        gathering = await self._prepare(prompt, sampling)
        if gathering is None:
            yield Completion((), (), "length", version=self.version)
            return
        body = self.body(prompt, gathering.sampling) | {"stream": True}
        tries = 0
        while True:
            gathering = gathering.anew()
            try:
                async with aclosing(self.client.events(self.path, body)) as events:
                    async for event in events:
                        if delta := gathering.add(self._read(event)):
                            yield delta
                        if gathering.finish is not None:
                            yield gathering.completion()
                            return
                raise Transient(f"{self._url} ended the stream without saying why")
            except Transient as problem:
                if gathering.tokens:
                    raise EngineError(f"after {len(gathering.tokens)} tokens: {problem}") from problem
                tries += 1
                await self.client.wait(tries, problem)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()

    def body(self, prompt: list[int], sampling: Sampling) -> dict[str, Any]:
        """The request. All that decides the distribution is said, so that no default of the server's comes in."""
        body: dict[str, Any] = {
            "model": self.server.model,
            "prompt": prompt,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p if sampling.temperature else 1.0,
            "top_k": sampling.top_k if sampling.temperature else 0,
            "min_p": sampling.min_p if sampling.temperature else 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop_token_ids": list(sampling.stop),
            "ignore_eos": True,
            "skip_special_tokens": False,
            "logprobs": 1,
            "return_token_ids": True,
            "return_tokens_as_token_ids": True,
        }
        return body if sampling.seed is None else body | {"seed": fold_seed(sampling.seed)}

    def probe(self, prompt: list[int]) -> dict[str, Any]:
        """One token out of the single likeliest one, and the log-probability of the second."""
        return self.body(prompt, Sampling(top_p=1.0, top_k=1, max_tokens=1)) | {"logprobs": 2}

    def read(self, data: bytes) -> Piece:
        """An answer, or one event of a stream. ValidationError or ValueError where it is none."""
        answer = _Answer.model_validate_json(data)
        if answer.error is not None:
            raise Transient(f"{self._url} failed: {' '.join(str(answer.error).split())[:300]}")
        if not answer.choices:
            return Piece()
        if len(answer.choices) > 1:
            raise ValueError(f"{len(answer.choices)} choices instead of one")
        choice = answer.choices[0]
        logprobs = choice.logprobs or _Logprobs()
        names = _ids_of_names(logprobs.tokens)
        tokens = names if choice.token_ids is None else choice.token_ids
        if tokens is None or (names is not None and tokens != names):
            raise ValueError(
                f"token ids {str(tokens)[:60]} do not match those of the log-probabilities {str(names)[:60]}"
            )
        return Piece(
            tokens,
            logprobs.token_logprobs,
            choice.finish_reason,
            prompt=choice.prompt_token_ids,
            prompt_length=answer.usage.prompt_tokens if answer.usage else None,
            top=sorted((logprobs.top_logprobs or [{}])[0].values(), reverse=True),
            version=self.version,
        )

    @property
    def _url(self) -> str:
        return self.server.url(self.path)

    def _read(self, data: bytes) -> Piece:
        try:
            return self.read(data)
        except ValidationError as error:
            raise EngineError(f"{self._url} sent no valid answer: {explain(error)}") from error
        except ValueError as error:
            raise EngineError(f"{self._url} sent no valid answer: {error}") from error

    async def _send(self, body: dict[str, Any]) -> bytes:
        return await self.client.send("POST", self.path, body)

    async def _prepare(self, prompt: list[int], sampling: Sampling) -> Gathering | None:
        """Where the answer will be gathered; None where the server's context has no room for one more token."""
        if not prompt or not all(0 <= token < self.vocab_size for token in prompt):
            raise EngineError(f"the prompt must be ids from 0 to {self.vocab_size - 1}, at least one")
        async with self._lock:
            if not self._known:
                self._limit, self._known = await self.client.persist(self._find_limit), True
            changed = (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) != (1.0, 1.0, 0, 0.0)
            if changed and sampling.temperature and self._sampled_logprobs is None:
                self._sampled_logprobs = await self.client.persist(lambda: self._find_mode(prompt))
        if changed and sampling.temperature and not self._sampled_logprobs:
            raise EngineError(
                f"{self._url} gives the model's log-probabilities, not those of what was sampled: start vLLM with "
                "--logprobs-mode processed_logprobs, or sample with temperature 1, top_p 1, top_k 0 and min_p 0"
            )
        room = sampling.max_tokens if self._limit is None else min(sampling.max_tokens, self._limit - len(prompt))
        if room < 1:
            return None
        return Gathering(self._url, prompt, replace(sampling, max_tokens=room), self.vocab_size)

    async def _find_limit(self) -> int | None:
        """The context of the model in tokens, where the server tells."""
        try:
            models = _Models.model_validate_json(await self.client.send("GET", "/models")).data
        except ValidationError as error:
            raise EngineError(f"{self.server.url('/models')} sent no valid answer: {explain(error)}") from error
        lengths = {model.id: model.max_model_len for model in models}
        if self.server.model not in lengths:
            served = ", ".join(lengths) or "nothing"
            raise EngineError(f"{self.server.base_url} does not serve model {self.server.model!r} but {served}")
        return lengths[self.server.model]

    async def _find_mode(self, prompt: list[int]) -> bool:
        """Whether log-probabilities are those of what was sampled: then the second likeliest of one has none."""
        room = prompt if self._limit is None else prompt[: self._limit - 1]
        top = self._read(await self._send(self.probe(room))).top
        return bool(top) and abs(top[0]) < 1e-6 and all(logprob <= UNLIKELY for logprob in top[1:])


class _Logprobs(Wire):
    tokens: list[str] = Field(default_factory=list)
    token_logprobs: list[Finite] = Field(default_factory=list)
    top_logprobs: list[dict[str, float]] | None = None


class _Choice(Wire):
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Usage(Wire):
    prompt_tokens: int


class _Answer(Wire):
    choices: list[_Choice] = Field(default_factory=list)
    usage: _Usage | None = None
    error: Any = None


class _Model(Wire):
    id: str
    max_model_len: int | None = None


class _Models(Wire):
    data: list[_Model]


def _ids_of_names(names: list[str]) -> list[int] | None:
    """The ids of tokens called `token_id:N`; None where they are called otherwise."""
    parts = [name.partition("token_id:") for name in names]
    if not all(mark and not before and number.isdecimal() for before, mark, number in parts):
        return None
    return [int(number) for _, _, number in parts]
