"""Players and scripts: seeds that differ and come again, demonstrations that verify, budgets that reach the engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from palestra.envs.environment import Environment
from palestra.envs.mini.search import SearchMini
from palestra.envs.mini.travel import TravelMini
from palestra.rollout.codec import DeepseekCodec, assistant_message
from palestra.rollout.episode import run_episode
from palestra.rollout.players import ScriptedEngine, SpokenPolicy, TokenPlayer, TokenPolicy
from palestra.rollout.scripts import demonstrate, noop_policy, oracle_policy, random_policy, replay_policy
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Completion, Message, Move, Sampling

CODEC = DeepseekCodec(train_tokenizer([], 300), show_tools=False)
CALL = CODEC.assistant(assistant_message("Look.", calls=[("open", {"page": "nowhere"})]))


class Listening(ScriptedEngine):
    """Remembers how it was asked to sample."""

    def __init__(self, completions: Sequence[Sequence[int]]) -> None:
        super().__init__(completions)
        self.asked: list[Sampling] = []

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        self.asked.append(sampling)
        return await super().generate(tokens, sampling)


def seeds(policy_seed: int | None, task_seed: int, sample: int) -> list[int | None]:
    engine = Listening([CALL, CALL])
    task = SearchMini().propose(random.Random(task_seed), 1)
    policy = TokenPolicy("p", engine, CODEC, Sampling(seed=policy_seed))
    asyncio.run(run_episode(SearchMini(), task, policy, sample))
    assert len(engine.asked) == 3
    assert all(sampling.stop == (CODEC.tokenizer.eos_id,) for sampling in engine.asked)
    return [sampling.seed for sampling in engine.asked]


def test_seeds_differ_by_turn_sample_task_and_policy_and_come_again() -> None:
    runs = [seeds(*key) for key in [(1, 1, 0), (1, 1, 1), (1, 2, 0), (2, 1, 0)]]
    assert len({seed for run in runs for seed in run}) == 12
    assert seeds(1, 1, 0) == runs[0]
    assert seeds(None, 1, 0) == [None, None, None]


def test_the_budget_shrinks_as_the_context_grows() -> None:
    engine = Listening([CALL])
    task = SearchMini().propose(random.Random(1), 1)
    prompt = len(
        CODEC.prompt([{"role": "system", "content": SearchMini.system}, {"role": "user", "content": task.prompt}], [])
    )
    asyncio.run(
        run_episode(SearchMini(), task, TokenPolicy("p", engine, CODEC, Sampling(max_tokens=500), prompt + 400))
    )
    results = len(CODEC.results(["Error: no page called nowhere"]))
    assert [sampling.max_tokens for sampling in engine.asked] == [400, 400 - len(CALL) - results]


@pytest.mark.parametrize("cls", [TravelMini, SearchMini])
def test_the_oracle_is_right_and_doing_nothing_is_wrong(cls: type[Environment]) -> None:
    task = cls().propose(random.Random(2), 1)
    episode = asyncio.run(run_episode(cls(), task, oracle_policy(CODEC)))
    assert episode.verdict.passed
    assert all(turn.move.message["reasoning_content"] for turn in episode.turns if turn.move.message)
    nothing = asyncio.run(run_episode(cls(), task, noop_policy(CODEC)))
    assert (nothing.outcome, nothing.verdict.reward) == ("answered", 0.0)


@pytest.mark.parametrize("cls", [TravelMini, SearchMini])
def test_random_play_is_valid_and_reproducible_by_sample(cls: type[Environment]) -> None:
    task = cls().propose(random.Random(2), 1)
    first, again, other = (
        asyncio.run(run_episode(cls(), task, random_policy(CODEC, 7), sample)) for sample in (0, 0, 1)
    )
    assert first.verdict.validity == "valid"
    assert first.segments[0] == again.segments[0]
    assert first.segments[0] != other.segments[0]


def test_messages_are_played_without_tokens_and_do_the_same() -> None:
    task = TravelMini().propose(random.Random(2), 1)
    said = demonstrate(TravelMini(), task)
    episode = asyncio.run(run_episode(TravelMini(), task, SpokenPolicy("spoken", lambda task, sample: said)))
    in_tokens = asyncio.run(run_episode(TravelMini(), task, replay_policy(CODEC, "r1", said)))
    assert [turn.results for turn in episode.turns] == [turn.results for turn in in_tokens.turns]
    assert episode.verdict == in_tokens.verdict
    assert episode.verdict.passed
    assert [path.tokens for path in episode.segments] == [()]
    assert episode.metrics["drift_risk"] == 1.0
    short = asyncio.run(run_episode(TravelMini(), task, SpokenPolicy("short", lambda task, sample: said[:1])))
    assert (short.outcome, len(short.turns), short.verdict.reward) == ("max_tokens", 2, 0.0)


def test_a_replay_says_the_same_tokens() -> None:
    task = TravelMini().propose(random.Random(2), 1)
    first = asyncio.run(run_episode(TravelMini(), task, oracle_policy(CODEC)))
    messages = [turn.move.message for turn in first.turns if turn.move.message is not None]
    again = asyncio.run(run_episode(TravelMini(), task, replay_policy(CODEC, "r1", messages)))
    assert again.policy == "replay:r1"
    assert again.segments[0] == first.segments[0]
    assert again.verdict == first.verdict


def test_a_demonstration_closes_its_environment_where_the_solver_fails() -> None:
    closed = []

    class Stuck(SearchMini):
        def close(self) -> None:
            closed.append(True)

    task = SearchMini().propose(random.Random(2), 1)
    with pytest.raises(KeyError):
        demonstrate(Stuck(), task.model_copy(update={"key": {}}))
    assert closed == [True]


def test_a_player_goes_on_from_recorded_ids_and_knows_which_are_its_own() -> None:
    head: list[Message] = [{"role": "user", "content": "Where?"}]
    look = assistant_message("Look.", calls=[("open", {"page": "nowhere"})])
    recorded = Move(look, tuple(CODEC.prompt(head, [])), Completion(tuple(CALL), (0.0,) * len(CALL), "stop"))
    engine = Listening([CALL, CALL])
    contexts: list[list[int]] = []

    class Watched(Listening):
        async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
            contexts.append(list(tokens))
            return await engine.generate(tokens, sampling)

    player = TokenPlayer(Watched([]), CODEC, Sampling(), head)
    assert player.reads([recorded])
    said = Move(assistant_message("Look!"), recorded.prompt_tokens, recorded.completion)
    assert not player.reads([said])
    assert not player.reads([Move(look, recorded.prompt_tokens)])
    unknown = Completion((CODEC.tokenizer.vocab_size,), (0.0,), "stop")
    assert not player.reads([Move(look, recorded.prompt_tokens, unknown)])
    odd = [*recorded.prompt_tokens, 5, *CALL]  # what this tokenizer would not write is kept as it is
    player.resume([*head, look], odd, segment=3)
    player.observe(["nothing"])
    move = asyncio.run(player.act())
    assert contexts == [odd + CODEC.results(["nothing"])]
    assert (move.segment, list(move.prompt_tokens)) == (3, CODEC.results(["nothing"]))
    player.resume([*head, look, {"role": "tool", "content": "nothing"}])
    asyncio.run(player.act())
    assert contexts[1] == CODEC.prompt([*head, look, {"role": "tool", "content": "nothing"}], [])
