"""Contexts that fill: every segment is exact, nothing sampled is rendered again, and users may speak more than once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from palestra.envs.environment import Environment
from palestra.envs.tools import tool
from palestra.envs.types import Answer, Task, World
from palestra.rollout.codec import DeepseekCodec, assistant_message
from palestra.rollout.contexts import SUMMARISE, ContextConfig, Strategy, discard, resume
from palestra.rollout.encoding import encode_messages
from palestra.rollout.episode import Budget, run_episode
from palestra.rollout.players import ScriptedEngine, TokenPolicy
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Completion, Episode, Message, Sampling
from palestra.verifiers.checks import all_of, check
from palestra.verifiers.types import Verdict

CODEC = DeepseekCodec(train_tokenizer([], 300), show_tools=False)


class Diary(Environment):
    """A page a day."""

    id = "diary"
    version = "1"

    def propose(self, rng: random.Random, level: int) -> Task:
        return self.task(seed=0, level=level, prompt="Read every page.", key="done")

    def solve(self, task: Task, tools: Any) -> Answer:
        return "done"

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("answer", answer == task.key, str(answer))])

    @tool
    def read(self, page: int) -> str:
        """Read a page."""
        return f"page {page} says {page * 17}"


class Chatty(Diary):
    """Asks twice before it is content."""

    id = "chatty"

    def reply(self, message: str) -> str | None:
        return {"Hello.": "And now?", "Then this.": "Anything else?"}.get(message)


class Watching(ScriptedEngine):
    """Keeps the context of every request."""

    def __init__(self, messages: Sequence[Message]) -> None:
        super().__init__([CODEC.assistant(message) for message in messages])
        self.contexts: list[list[int]] = []

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        self.contexts.append(list(tokens))
        return await super().generate(tokens, sampling)


def reading(pages: int, first: int = 0) -> list[Message]:
    numbers = range(first, first + pages)
    return [assistant_message(f"Page {page} next.", calls=[("read", {"page": page})]) for page in numbers]


def play(
    env: Environment, messages: list[Message], window: int = 1 << 20, budget: Budget | None = None, **context: Any
) -> tuple[Episode, Watching]:
    engine = Watching(messages)
    policy = TokenPolicy("p", engine, CODEC, Sampling(max_tokens=4096), window, ContextConfig(**context))
    task = env.propose(random.Random(0), 1)
    return asyncio.run(run_episode(env, task, policy, budget=budget)), engine


def assert_exact(episode: Episode, engine: Watching) -> None:
    """What the engine saw and said is what the segments hold, id for id."""
    at = [list(segment.tokens) for segment in episode.segments]
    for turn, context in zip(episode.turns, engine.contexts, strict=True):
        assert turn.move.completion is not None
        seen = [*context, *turn.move.completion.tokens]
        assert at[turn.move.segment][: len(seen)] == seen
    last = {turn.move.segment: len(context) for turn, context in zip(episode.turns, engine.contexts, strict=True)}
    assert len(at) == len(last)
    for segment in episode.segments:
        sampled = [token for token, one in zip(segment.tokens, segment.mask, strict=True) if one]
        assert sampled or segment is episode.segments[-1]
        assert len(segment.tokens) == len(segment.mask) == len(segment.logprobs)


def shown(engine: Watching, number: int) -> str:
    return CODEC.tokenizer.decode(engine.contexts[number])


def test_one_segment_where_the_window_is_large() -> None:
    episode, engine = play(Diary(), [*reading(5), assistant_message("Enough.", "done")], strategy="summary")
    assert (episode.outcome, episode.verdict.reward, len(episode.segments)) == ("answered", 1.0, 1)
    assert episode.metrics["segments"] == 1.0
    assert_exact(episode, engine)


@pytest.mark.parametrize("strategy", ["discard_75", "discard_all"])
def test_discarding(strategy: Strategy) -> None:
    script = [*reading(12), assistant_message("Enough.", "done")]
    episode, engine = play(Diary(), script, window=1500, strategy=strategy, budget=Budget(turns=20))
    assert (episode.outcome, episode.verdict.reward) == ("answered", 1.0)
    assert len(episode.segments) > 1
    assert_exact(episode, engine)
    first = next(index for index, turn in enumerate(episode.turns) if turn.move.segment == 1)
    begun = [here.move.segment != before.move.segment for before, here in pairwise(episode.turns)]
    assert [turn.move.rewrite for turn in episode.turns] == ["", *(strategy if one else "" for one in begun)]
    text = shown(engine, first)
    kept = [page for page in range(first) if f"page {page} says" in text]
    assert kept == ([] if strategy == "discard_all" else list(range(first - first // 4, first)))
    assert "Read every page." in text
    assert all(f"Page {page} next." in text for page in kept), "thinking is kept with its tool calls"
    assert len(engine.contexts[first]) < 0.8 * 1500


def test_summary() -> None:
    note = assistant_message("Write down.", "Pages 0 to 4 read; they say multiples of 17.")
    probe, _ = play(Diary(), reading(12), window=1500, strategy="discard_all", budget=Budget(turns=20))
    before = sum(turn.move.segment == 0 for turn in probe.turns)
    script = [*reading(before), note, *reading(2, 50), assistant_message("Enough.", "done")]
    episode, engine = play(Diary(), script, window=1500, strategy="summary", budget=Budget(turns=20))
    assert (episode.outcome, episode.verdict.reward) == ("answered", 1.0)
    assert [turn.move.kind for turn in episode.turns].count("summary") == 1
    assert [index for index, turn in enumerate(episode.turns) if turn.move.rewrite == "summary"] == [before + 1]
    assert {turn.move.rewrite for turn in episode.turns} == {"", "summary"}
    assert_exact(episode, engine)
    assert SUMMARISE in shown(engine, before)
    after = shown(engine, before + 1)
    assert "they say multiples of 17" in after
    assert SUMMARISE not in after
    assert "page 0 says" not in after
    assert len(episode.segments) == 3


def test_a_summary_that_is_cut_off_is_data() -> None:
    engine = Watching([*reading(9)])
    policy = TokenPolicy("p", engine, CODEC, Sampling(max_tokens=4096), 1500, ContextConfig("summary", rewrites=2))
    episode = asyncio.run(run_episode(Diary(), Diary().propose(random.Random(0), 1), policy, budget=Budget(turns=30)))
    assert episode.verdict.validity == "valid"
    assert episode.outcome in ("max_tokens", "format_error", "max_turns")


def test_stop_fills_the_window() -> None:
    episode, engine = play(Diary(), reading(40), window=1500, budget=Budget(turns=50))
    assert (episode.outcome, len(episode.segments)) == ("max_tokens", 1)
    assert len(engine.contexts[-1]) > 0.8 * 1500


def test_rewrites_end() -> None:
    episode, _ = play(Diary(), reading(90), window=900, strategy="discard_all", rewrites=2, budget=Budget(turns=99))
    assert episode.outcome == "max_tokens"
    assert len(episode.segments) == 3


def test_several_user_turns_drop_the_thinking_of_earlier_ones() -> None:
    script = [
        assistant_message("Greet them.", "Hello."),
        *reading(1),
        assistant_message("Now I know.", "Then this."),
        assistant_message("Finish.", "done"),
    ]
    episode, engine = play(Chatty(), script)
    assert (episode.outcome, episode.answer, episode.verdict.reward) == ("answered", "done", 1.0)
    assert [turn.reply for turn in episode.turns] == ["And now?", None, "Anything else?", None]
    assert_exact(episode, engine)
    assert [turn.move.segment for turn in episode.turns] == [0, 1, 1, 2]
    system: list[Message] = [{"role": "user", "content": "Read every page."}]
    heard = [*system, script[0], {"role": "user", "content": "And now?"}]
    assert shown(engine, 1) == encode_messages(heard, thinking_mode="thinking")
    assert "Greet them." not in shown(engine, 1)
    assert "Page 0 next." in shown(engine, 2), "kept across tool calls"
    assert "Page 0 next." not in shown(engine, 3)


def test_chat_mode_needs_no_new_segment_for_a_new_user_message() -> None:
    codec = DeepseekCodec(CODEC.tokenizer, "chat", show_tools=False)
    engine = ScriptedEngine([codec.assistant({"role": "assistant", "content": text}) for text in ("Hello.", "done")])
    policy = TokenPolicy("p", engine, codec, Sampling(max_tokens=4096))
    episode = asyncio.run(run_episode(Chatty(), Chatty().propose(random.Random(0), 1), policy))
    assert (episode.outcome, episode.answer, len(episode.segments)) == ("answered", "done", 1)


def test_budgets_of_calls_and_tokens() -> None:
    episode, _ = play(Diary(), reading(9), budget=Budget(calls=3))
    assert (episode.outcome, episode.metrics["tool_calls"]) == ("max_calls", 3.0)
    size = len(CODEC.assistant(reading(1)[0]))
    episode, _ = play(Diary(), reading(9), budget=Budget(tokens=2 * size))
    assert (episode.outcome, len(episode.turns)) == ("max_tokens", 2)


def test_discard_keeps_what_is_no_tool_round() -> None:
    history: list[Message] = [
        {"role": "user", "content": "a"},
        *[message for page in range(8) for message in (reading(1, page)[0], {"role": "tool", "content": str(page)})],
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    assert [message["role"] for message in discard(history, "discard_all")] == ["user", "assistant", "user"]
    kept = [message["content"] for message in discard(history, "discard_75") if message["role"] == "tool"]
    assert kept == ["6", "7"]
    assert resume(history[:1], "so far")[0]["content"].endswith("so far")


def test_bad_settings_are_refused() -> None:
    for bad, match in ({"strategy": "forget"}, "forget"), ({"share": 0.0}, "share"), ({"rewrites": 0}, "rewrites"):
        with pytest.raises(ValueError, match=match):
            ContextConfig(**bad)
