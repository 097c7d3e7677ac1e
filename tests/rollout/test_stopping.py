"""Stopping on the tool block: the same ids as with the EOS behind it, which is then rendered and not sampled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palestra.envs.environment import Environment
from palestra.envs.tools import tool
from palestra.envs.types import Answer, Task, World
from palestra.rollout.codec import DeepseekCodec, assistant_message, ends_with
from palestra.rollout.contexts import ContextConfig, Strategy
from palestra.rollout.episode import run_episode
from palestra.rollout.players import ScriptedEngine, TokenPlayer, TokenPolicy
from palestra.rollout.tokenizer import Tokenizer, train_tokenizer
from palestra.rollout.types import Completion, Episode, Message, Move, Sampling
from palestra.verifiers.checks import all_of, check
from palestra.verifiers.types import Verdict

MARKUP = "invoke>\n</ function_calls>\n< parameter>\n</ function_calls> a></b> x'</y>"
BYTES = train_tokenizer([], 300)
MERGED = train_tokenizer([MARKUP] * 9, 400)
LOOK = assistant_message("I must look.", calls=[("look", {"at": "<b></b>"}), ("look", {"at": "it"})])
BARE = assistant_message("Again.", "One moment.", calls=[("rest", {})])
HELLO = assistant_message("Greet.", "Hello.")
BYE = assistant_message("Done.", "a ring")
NOTE = assistant_message("Short of room.", "There is a ring.")
NAMES = st.from_regex("[a-z_]{1,8}", fullmatch=True)
CALLS = st.lists(
    st.tuples(NAMES, st.dictionaries(NAMES, st.text(max_size=9) | st.integers(), max_size=2)), min_size=1, max_size=2
)


class Talk(Environment):
    """A user who says one thing more."""

    id = "talk"
    version = "1"
    system = "Look."

    def propose(self, rng: Any, level: int) -> Task:
        return self.task(seed=1, level=1, prompt="What is there?")

    def solve(self, task: Task, tools: Any) -> Answer:
        return "a ring"

    def reply(self, message: str) -> str | None:
        return "And where?" if message == "Hello." else None

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("answer", answer == "a ring")])

    @tool
    def look(self, at: str) -> str:
        """Look at something."""
        return f"nothing at {at}"

    @tool
    def rest(self) -> str:
        """Rest."""
        return "rested"


class Stopping(ScriptedEngine):
    """Samples what is written up to where it is told to stop, and remembers its contexts."""

    def __init__(self, completions: Sequence[Sequence[int]]) -> None:
        super().__init__(completions)
        self.contexts: list[list[int]] = []

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        self.contexts.append(list(tokens))
        whole = await super().generate(tokens, sampling)
        ends = (n for n in range(len(whole.tokens)) if ends_with(whole.tokens[:n], sampling.stop_sequences))
        end = next(ends, len(whole.tokens))
        return replace(whole, tokens=whole.tokens[:end], logprobs=whole.logprobs[:end])


def codec_of(tokenizer: Tokenizer, stops: bool) -> DeepseekCodec:
    codec = DeepseekCodec(tokenizer)
    if not stops:
        codec.stop_sequences = ()
    return codec


def play(
    codec: DeepseekCodec, messages: Sequence[Message], window: int = 1 << 20, context: ContextConfig | None = None
) -> tuple[Episode, list[list[int]]]:
    engine = Stopping([codec.assistant(message) for message in messages])
    policy = TokenPolicy("p", engine, codec, Sampling(), window, context or ContextConfig())
    task = Talk().propose(None, 1)
    return asyncio.run(run_episode(Talk(), task, policy)), engine.contexts


def _sampled(token: int, episode: Episode) -> int:
    pairs = [pair for path in episode.segments for pair in zip(path.tokens, path.mask, strict=True)]
    return pairs.count((token, 1))


@pytest.mark.parametrize("name", ["bytes", "merged", "deepseek"])
def test_an_episode_has_the_same_ids_whether_the_end_is_sampled_or_rendered(
    name: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = {"bytes": BYTES, "merged": MERGED}.get(name) or request.getfixturevalue("deepseek")
    (sampled, contexts), (stopped, others) = (
        play(codec_of(tokenizer, stops), [LOOK, BARE, HELLO, LOOK, BYE]) for stops in (False, True)
    )
    eos = tokenizer.eos_id
    assert contexts == others
    assert [path.tokens for path in sampled.segments] == [path.tokens for path in stopped.segments]
    assert len(sampled.segments) == 2  # the user's second message drops the thinking before it
    for whole, cut in zip(sampled.turns, stopped.turns, strict=True):
        assert whole.move.completion is not None
        assert cut.move.completion is not None
        calls = bool(whole.move.message and whole.move.message["tool_calls"])
        assert cut.move.completion.tokens == whole.move.completion.tokens[: -1 if calls else None]
        assert (cut.move.message, cut.move.drift, cut.move.repaired) == (whole.move.message, 0, ())
        assert cut.results == whole.results
    assert [_sampled(eos, episode) for episode in (sampled, stopped)] == [5, 2]
    assert (stopped.verdict, stopped.outcome) == (sampled.verdict, sampled.outcome)
    assert stopped.verdict.passed


@pytest.mark.parametrize("strategy", ["summary", "discard_75", "discard_all"])
def test_a_context_that_is_rewritten_after_a_tool_block(strategy: Strategy) -> None:
    said = [LOOK, NOTE, BARE, BYE] if strategy == "summary" else [LOOK, BARE, BYE]
    context = ContextConfig(strategy, 0.01, 1)  # as soon as there is something to leave out
    (sampled, contexts), (stopped, others) = (
        play(codec_of(MERGED, stops), said, 10_000, context) for stops in (False, True)
    )
    assert contexts == others
    assert sampled.metrics["segments"] == stopped.metrics["segments"] == 2 + (strategy == "summary")
    assert stopped.verdict.passed


def test_going_on_from_a_record_that_ends_on_the_block() -> None:
    """Whichever way it was sampled, and whichever way the policy that goes on samples."""
    head: list[Message] = [{"role": "user", "content": "Where?"}]
    results = ["one", "two"]
    for stops in (False, True):
        codec = codec_of(MERGED, stops)
        prompt, whole = codec.prompt(head, []), codec.assistant(LOOK)
        for said in (whole, whole[:-1]):
            engine = Stopping([codec.assistant(BYE)])
            player = TokenPlayer(engine, codec, Sampling(), head)
            assert player.reads([Move(LOOK, tuple(prompt), Completion(tuple(said), (0.0,) * len(said), "stop"))])
            player.resume([*head, LOOK], [*prompt, *said])
            player.observe(results)
            asyncio.run(player.act())
            assert engine.contexts == [[*prompt, *whole, *codec.results(results)]]


@given(st.sampled_from([BYTES, MERGED]), st.text(max_size=9), CALLS)
@settings(max_examples=100, deadline=None)
def test_sampling_stops_at_the_end_of_the_block_and_nowhere_else(
    tokenizer: Tokenizer, content: str, calls: list[tuple[str, dict[str, object]]]
) -> None:
    codec = DeepseekCodec(tokenizer)
    ids = codec.assistant(assistant_message("So.", content, calls))
    ends = [count for count in range(len(ids) + 1) if ends_with(ids[:count], codec.stop_sequences)]
    assert ends == [len(ids) - 1]
    whole, cut = codec.parse(ids, finished=True), codec.parse(ids[:-1], finished=True)
    assert cut == whole
    assert codec.parse(ids[:-1], finished=False).message is None


def test_the_block_ends_with_whatever_token_brings_the_slash() -> None:
    codec = DeepseekCodec(MERGED)
    slashes = MERGED.ids_ending(b"</")
    assert len(slashes) > 1
    *head, _ = codec.assistant(BARE)
    written = next(one for one in codec.stop_sequences if ends_with(head, [one]))
    for slash in slashes:
        assert ends_with([5, slash, *written[1:]], codec.stop_sequences)
    opening = [*MERGED.encode("<"), *written[1:]]
    assert not ends_with(opening, codec.stop_sequences)
    text = MERGED.encode_pieces(["</｜DSML｜function_calls>"])  # spelled in plain text it is no block
    assert not ends_with(text, codec.stop_sequences)
