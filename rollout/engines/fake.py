"""An inference server with a small deterministic model that speaks vLLM's two dialects of token ids and fails in every
way it is told to: what engines, and whatever is built on them, can be tried against.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ..codec import ends_with
from ..types import Completion, Sampling
from .server import Server

VOCABULARY = 50
CONTEXT = 64
Answer = dict[str, Any]


def continue_tokens(prompt: Sequence[int], count: int, stop: Sequence[int] = ()) -> list[int]:
    """What the model says: each token follows from all before it."""
    tokens = list(prompt)
    while len(tokens) < len(prompt) + count and (len(tokens) == len(prompt) or tokens[-1] not in stop):
        tokens.append((sum(tokens) * 7 + len(tokens)) % VOCABULARY)
    return tokens[len(prompt) :]


def logprob(token: int) -> float:
    """Its log-probability of a token."""
    return -math.log(2.0 + token)


def expected(prompt: Sequence[int], sampling: Sampling) -> Completion:
    """What an engine must return."""
    tokens = tuple(continue_tokens(prompt, min(sampling.max_tokens, CONTEXT - len(prompt)), sampling.stop))
    ends = [n for n in range(1, len(tokens) + 1) if ends_with(tokens[:n], sampling.stop_sequences)]
    tokens = tokens[: min(ends, default=len(tokens))]
    ended = bool(ends) or (bool(tokens) and tokens[-1] in sampling.stop)
    return Completion(tokens, tuple(map(logprob, tokens)), "stop" if ended else "length")


@dataclass
class Reply:
    """One connection's answer, to be sent by a fault in its own way."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    body: bytes
    stream: bool

    async def send(self, body: bytes, status: str = "200 OK", length: int | None = None) -> None:
        kind = "text/event-stream" if self.stream else "application/json"
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n"
        if not self.stream:
            head += f"Content-Length: {len(body) if length is None else length}\r\n"
        self.writer.write(head.encode() + b"\r\n" + body)
        await self.writer.drain()


Fault = Callable[[Reply], Awaitable[None]]


async def fine(reply: Reply) -> None:
    """No fault."""
    await reply.send(reply.body)


async def drop(reply: Reply) -> None:
    """Close without a word."""
    reply.writer.transport.abort()


async def drop_half(reply: Reply) -> None:
    """Close in the middle of the body."""
    await reply.send(reply.body[: len(reply.body) // 2], length=len(reply.body))


async def stall(reply: Reply) -> None:
    """Say nothing until the client goes."""
    await reply.reader.read()


async def stall_half(reply: Reply) -> None:
    """Say half, and then nothing until the client goes."""
    await reply.send(reply.body[: len(reply.body) // 2], length=len(reply.body))
    await reply.reader.read()


def status(code: int) -> Fault:
    """Refuse."""

    async def refuse(reply: Reply) -> None:
        await reply.send(b'{"error": {"message":\n"no way"}}', f"{code} Told")

    return refuse


def say(body: bytes) -> Fault:
    """Answer with these bytes."""
    return lambda reply: reply.send(body)


def edit(change: Callable[[Answer], Any]) -> Fault:
    """Answer with a changed JSON document; in a stream, change each event."""

    async def changed(reply: Reply) -> None:
        parts = reply.body.split(b"\n\n")[:-2] if reply.stream else [reply.body]
        answers = [json.loads(part.removeprefix(b"data: ")) for part in parts]
        for answer in answers:
            change(answer)
        await reply.send(_as_events(answers) if reply.stream else json.dumps(answers[0]).encode())

    return changed


def _as_events(events: list[Answer]) -> bytes:
    lines = [b"data: %s\n\n" % json.dumps(event, ensure_ascii=False).encode() for event in events]
    return b"".join(lines) + b"data: [DONE]\n\n"


@dataclass
class FakeInference:
    """What it was asked, in order, and the faults of the next answers (then none)."""

    faults: list[Fault] = field(default_factory=list)
    asked: list[Answer] = field(default_factory=list)
    probes: int = 0
    calls: list[tuple[str, Any]] = field(default_factory=list)
    gone: int = 0
    context: int = CONTEXT
    processed: bool = True
    version: str = "default"
    broken: str = ""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    base_url: str = ""

    def server(self, **changes: Any) -> Server:
        """How to reach it: without waits between tries."""
        return Server(self.base_url, "m", **{"backoff": 0.0, "timeout": 20.0, **changes})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            _, target, _ = head.split(" ", 2)
            lengths = [line for line in head.lower().splitlines() if line.startswith("content-length")]
            body = await reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b""
            await self.answer(target, json.loads(body or b"null"), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone += 1
        finally:
            writer.close()

    async def answer(self, target: str, body: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request with what it asks for, or with the next fault."""
        path = target.partition("?")[0]
        if path in ("/v1/completions", "/inference/v1/generate"):
            reply = Reply(reader, writer, *self._say(path == "/v1/completions", body))
            if params_of(body)["logprobs"] == 2:
                self.probes += 1
                await fine(reply)
            else:
                self.asked.append(body)
                self.arrived.set()
                await (self.faults.pop(0) if self.faults else fine)(reply)
        elif path == "/v1/models":
            await fine(Reply(reader, writer, b'{"data": [{"id": "m", "max_model_len": %d}]}' % self.context, False))
        elif path == "/weight_info":
            await fine(Reply(reader, writer, json.dumps({"weight_version": self.version}).encode(), False))
        else:
            self.calls.append((target, body))
            if path == "/update_weight_version":
                self.version = body["new_version"]
            does = status(500) if self.broken and self.broken in target else fine
            await does(Reply(reader, writer, b"{}", False))

    def _say(self, openai: bool, body: Answer) -> tuple[bytes, bool]:
        prompt = body["prompt"] if openai else body["token_ids"]
        params = params_of(body)
        room = min(params["max_tokens"], self.context - len(prompt))
        tokens = continue_tokens(prompt, room, params["stop_token_ids"])
        finish = "stop" if tokens[-1] in params["stop_token_ids"] else "length"
        make = self._openai if openai else self._vllm
        if not body.get("stream"):
            return json.dumps(make(prompt, tokens, finish, first=True)).encode(), False
        events = [
            make(prompt, [token], finish if n == len(tokens) - 1 else None, first=n == 0)
            for n, token in enumerate(tokens)
        ]
        return _as_events(events), True

    def _top(self, token: int) -> list[float]:
        return [0.0, -9999.0] if self.processed else [logprob(token), -3.0]

    def _openai(self, prompt: list[int], tokens: list[int], finish: str | None, first: bool) -> Answer:
        logprobs = {
            "tokens": [f"token_id:{token}" for token in tokens],
            "token_logprobs": [logprob(token) for token in tokens],
            "top_logprobs": [dict(zip("ab", self._top(token), strict=True)) for token in tokens],
        }
        choice = {"index": 0, "text": "\u2028\x85 ", "token_ids": tokens, "logprobs": logprobs, "finish_reason": finish}
        usage = {"prompt_tokens": len(prompt)} if first else None
        return {"choices": [choice | {"prompt_token_ids": prompt if first else None}], "usage": usage}

    def _vllm(self, prompt: list[int], tokens: list[int], finish: str | None, first: bool) -> Answer:
        content = [
            {
                "token_id": token,
                "logprob": logprob(token),
                "top_logprobs": [{"logprob": top} for top in self._top(token)],
            }
            for token in tokens
        ]
        choice: Answer = {"token_ids": tokens, "logprobs": {"content": content}, "finish_reason": finish}
        choice["weight_versions"] = [{"version": self.version, "start": 0}] if finish else None
        return {"choices": [choice], "prompt_token_ids": prompt if first else None}


def params_of(body: Answer) -> Answer:
    """The sampling parameters of a request, in whichever dialect."""
    found: Answer = body.get("sampling_params", body)
    return found


@asynccontextmanager
async def serving(*faults: Fault, **settings: Any) -> AsyncIterator[FakeInference]:
    """The server on a loopback port."""
    fake = FakeInference(list(faults), **settings)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield fake
    finally:
        server.close()
