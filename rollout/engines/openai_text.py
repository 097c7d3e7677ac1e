"""A policy behind any OpenAI-compatible `/chat/completions` server, for those that give no token ids.

It speaks messages and tool schemas: the server renders and tokenises them, anew in every turn, so what a turn's prompt
was and whether it began with the tokens sampled before cannot be known. No tokens and no log-probabilities are
recorded (a move's `completion` is None): such episodes can be judged, read and replayed, but not trained on.
`reasoning_content` (or `reasoning`) is sent back with each message, so that thinking stays in the context.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from ...envs.types import Task, ToolSchema
from ..errors import EngineError
from ..types import Message, Move, Player, Sampling
from .server import Client, Server

_PATH = "/chat/completions"


class OpenAIChatPolicy:
    """Implements `rollout.types.Policy` over a server. Use from one event loop."""

    def __init__(self, server: Server, sampling: Sampling) -> None:
        self.id = f"openai:{server.base_url}?model={server.model}"
        self._server = server
        self._sampling = sampling
        self._client = Client(server)

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        """A player whose seed follows from the sampling's seed, the task and the sample number."""
        body: dict[str, Any] = {
            "model": self._server.model,
            "temperature": self._sampling.temperature,
            "top_p": self._sampling.top_p,
            "max_tokens": self._sampling.max_tokens,
        }
        # not in OpenAI's own API, which refuses what it does not know
        body |= {name: value for name in ("top_k", "min_p") if (value := getattr(self._sampling, name))}
        if self._sampling.seed is not None:
            body["seed"] = zlib.crc32(f"{self._sampling.seed}/{task.id}/{sample}".encode()) & 0x7FFFFFFF
        if tools:
            body["tools"] = [tool.openai() for tool in tools]
        return _ChatPlayer(self, body, [dict(message) for message in messages])

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST one request and return the first choice. EngineError after all tries, or at once if it is refused."""
        answer = await self._client.persist(lambda: self._client.send("POST", _PATH, body))
        return _first_choice(answer, self._server.url(_PATH))


class _ChatPlayer:
    """One conversation."""

    def __init__(self, policy: OpenAIChatPolicy, body: dict[str, Any], messages: list[Message]) -> None:
        self._policy = policy
        self._body = body
        self._messages = messages
        self._calls: list[str] = []

    async def act(self) -> Move:
        """The server's next message. One that was cut off is a move without a message."""
        choice = await self._policy.complete({**self._body, "messages": self._messages})
        message = _assistant(choice["message"], len(self._messages))
        self._messages.append(message)
        if choice.get("finish_reason") == "length":
            return Move(message=None, error="max_tokens: the server cut the message off")
        self._calls = [call["id"] for call in message.get("tool_calls", [])]
        return Move(message=message)

    def observe(self, results: list[str]) -> None:
        """Append one tool message per call."""
        for call_id, text in zip(self._calls, results, strict=True):
            self._messages.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def hear(self, text: str) -> None:
        """Append the user's message."""
        self._messages.append({"role": "user", "content": text})


def _first_choice(answer: bytes, url: str) -> dict[str, Any]:
    try:
        choice = json.loads(answer)["choices"][0]
        if not isinstance(choice["message"], dict):
            raise TypeError("message is not an object")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise EngineError(f"{url} sent no chat completion: {type(error).__name__}: {error}") from error
    found: dict[str, Any] = choice
    return found


def _assistant(given: dict[str, Any], position: int) -> Message:
    """A server's message in the form the rest of the house uses; calls without an id get one."""
    thought = given.get("reasoning_content") or given.get("reasoning") or ""
    message: Message = {
        "role": "assistant",
        "content": _text(given.get("content")),
        "reasoning_content": _text(thought),
    }
    calls = []
    given_calls = given.get("tool_calls") or []
    if not isinstance(given_calls, list):
        raise EngineError(f"the server sent tool calls that are no list: {str(given_calls)[:200]}")
    for index, call in enumerate(given_calls):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise EngineError(f"the server sent a tool call without a name: {str(call)[:200]}")
        arguments = function.get("arguments") or "{}"
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        calls.append(
            {
                "id": call.get("id") or f"call_{position}_{index}",
                "type": "function",
                "function": {"name": function["name"], "arguments": text},
            }
        )
    if calls:
        message["tool_calls"] = calls
    return message


def _text(value: Any) -> str:
    """Content as text; servers also send null or a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(str(part.get("text", "")) for part in value if isinstance(part, dict))
    return ""
