"""Context management: what to do with a conversation that fills its window.

A rewritten context is a new prompt, so it starts a new training segment; what was sampled before stays as it was in
the segment before. Source: the V3.2 report's test-time strategies (summary, discard 75 %, discard all); the fourth,
many in parallel, is `parallel.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .types import Message

Strategy = Literal["stop", "summary", "discard_75", "discard_all"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
SUMMARISE = (
    "The context is almost full. Write a summary of everything that matters for the task: what was asked, what was "
    "tried, what was found (with names and numbers as they are), and what remains to be done. Do not call a tool. The "
    "work goes on from your summary alone."
)
_RESUME = "What was found so far (an earlier part of this work, summarised):"
_KEPT_SHARE = 0.25


@dataclass(frozen=True)
class ContextConfig:
    """`share` of the window (in tokens) that may be used before `strategy` is applied, at most `rewrites` times an
    episode. `stop` lets the window fill to its end."""

    strategy: Strategy = "stop"
    share: float = 0.8
    rewrites: int = 8

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ValueError(f"context strategy {self.strategy!r} is not one of {', '.join(STRATEGIES)}")
        if not 0 < self.share <= 1:
            raise ValueError(f"context share is {self.share}: it must be above 0 and at most 1")
        if self.rewrites < 1:
            raise ValueError(f"context rewrites is {self.rewrites}: it must be at least 1")


def discard(history: list[Message], strategy: Strategy) -> list[Message]:
    """The history without the first 75 % of its tool rounds, or without all of them. A round is an assistant message
    with tool calls and their results; everything else stays."""
    starts = [index for index, message in enumerate(history) if message.get("tool_calls")]
    kept = int(len(starts) * _KEPT_SHARE) if strategy == "discard_75" else 0
    dropped = set(starts[: len(starts) - kept])
    result: list[Message] = []
    inside = False
    for index, message in enumerate(history):
        if message["role"] != "tool":
            inside = index in dropped
        if not inside:
            result.append(message)
    return result


def ask_for_summary(history: list[Message]) -> list[Message]:
    """The history, and the request to summarise it."""
    return [*history, {"role": "user", "content": SUMMARISE}]


def resume(head: list[Message], summary: str) -> list[Message]:
    """Begin again from the messages that the episode began with, and a summary of the rest."""
    *before, last = head
    return [*before, {**last, "content": f"{last['content']}\n\n{_RESUME}\n{summary}"}]
