"""Replay and branches: what is recorded comes again, what differs is said, another policy goes on in exact tokens."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from palestra.envs.registry import environment_class
from palestra.envs.types import Task, ToolSchema
from palestra.infra import store as db
from palestra.rollout.codec import DeepseekCodec, assistant_message
from palestra.rollout.contexts import SUMMARISE, ContextConfig
from palestra.rollout.episode import Budget, run_episode
from palestra.rollout.errors import EngineError
from palestra.rollout.players import ScriptedEngine, TokenPolicy
from palestra.rollout.records import episode_rows, task_row
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Completion, Message, Move, Player, Sampling
from palestra.services.branches import branch, store_branch
from palestra.services.cli.main import run
from palestra.services.errors import BadRequest
from palestra.services.replay import Recorded, differences, load, replay
from palestra.services.serve import create_site

HOUSE = '''
import pathlib
from palestra.envs.environment import Environment
from palestra.envs.tools import tool
from palestra.verifiers.checks import all_of, check


class House(Environment):
    """Find the key; who asked wants to hear it twice."""
    id = "house"
    version = "1"
    system = "You are in a house."

    def propose(self, rng, level):
        rooms = {"hall": "a lamp", "attic": "a chest", "cellar": "the key"}
        return self.task(seed=1, level=level, prompt="Where is the key?", world={"rooms": rooms, "asked": 0})

    def solve(self, task, tools):
        tools.look(room="cellar")
        return "cellar"

    def verify(self, task, answer, world):
        return all_of([check("room", answer == "cellar"), check("asked", world["asked"] == 1)])

    def reply(self, message):
        self.world["asked"] += 1
        return "Are you sure?" if self.world["asked"] == 1 else None

    def finish(self, answer):
        return self.world | {"asked": self.world["asked"] - 1}

    @tool
    def look(self, room: str) -> str:
        """Look into a room."""
        return self.world["rooms"].get(room, "nothing") + WEATHER.read_text()


WEATHER = pathlib.Path(__file__).with_name("weather.txt")
'''
CODEC = DeepseekCodec(train_tokenizer([], 300), show_tools=False)
OTHER = DeepseekCodec(train_tokenizer(["the key is in the cellar of the house"] * 9, 320), show_tools=False)
SAID: list[Message] = [
    assistant_message("First the hall.", calls=[("look", {"room": "hall"})]),
    assistant_message("Then the rest.", calls=[("look", {"room": "attic"}), ("look", {"room": "cellar"})]),
    assistant_message("Found.", "cellar"),
    assistant_message("Look again.", calls=[("look", {"room": "cellar"})]),
    assistant_message("Yes.", "cellar"),
]
SUMMARY = assistant_message("Short.", "Only the cellar is left.")


@pytest.fixture
def weather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin whose tool results end with what a file says."""
    folder = tmp_path / "plugin"
    info = folder / "house-0.1.dist-info"
    info.mkdir(parents=True)
    (folder / "palestra_house.py").write_text(HOUSE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[palestra.environments]\nhouse = palestra_house:House\n")
    (folder / "weather.txt").write_text("")
    monkeypatch.syspath_prepend(str(folder))
    yield folder / "weather.txt"
    sys.modules.pop("palestra_house", None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[db.Store]:
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as opened:
        yield opened


class Listening(ScriptedEngine):
    """Remembers the prompts; its log-probabilities tell its tokens apart from another's."""

    def __init__(self, messages: Sequence[Message], codec: DeepseekCodec = CODEC, logprob: float = -1.0) -> None:
        super().__init__([codec.assistant(message) for message in messages])
        self.prompts: list[list[int]] = []
        self._logprob = logprob

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        self.prompts.append(list(tokens))
        found = await super().generate(tokens, sampling)
        return replace(found, logprobs=(self._logprob,) * len(found.tokens))


def speaking(engine: ScriptedEngine, codec: DeepseekCodec = CODEC, **context: Any) -> TokenPolicy:
    return TokenPolicy("speaker", engine, codec, Sampling(max_tokens=1 << 20), **context)


def record(store: db.Store, policy: TokenPolicy, budget: Budget | None = None) -> Recorded:
    """Play the house once and store it."""
    cls = environment_class("house")
    task = cls().propose(random.Random(0), 1)
    rollout, others = episode_rows(asyncio.run(run_episode(cls(), task, policy, budget=budget)))
    id = rollout.id
    store.add_once(task_row(task))
    store.add_once(rollout, *others)
    return load(store, id)


def context_of(recorded: Recorded, turn: int) -> list[int]:
    """The ids that the recorded turn answered."""
    segment = [one for one in recorded.turns[: turn + 1] if one.segment == recorded.turns[turn].segment]
    ids = [id for one in segment for id in (*db.unpack_i32(one.prompt_tokens), *db.unpack_i32(one.completion_tokens))]
    sampled = db.unpack_i32(recorded.turns[turn].completion_tokens)
    return ids[: len(ids) - len(sampled)]


def summarising(store: db.Store) -> dict[str, Any]:
    """Settings of a policy whose context is full after two turns."""
    full = len(context_of(record(store, speaking(Listening(SAID))), 2))
    return {"window": 4 * full, "context": ContextConfig("summary", share=0.25, rewrites=1)}


def test_a_replay_compares_results_and_what_the_user_said(store: db.Store, weather: Path) -> None:
    recorded = record(store, speaking(Listening(SAID)))
    assert recorded.rollout.reward == 1.0
    assert [turn.reply for turn in recorded.turns] == [None, None, "Are you sure?", None, None]
    assert differences(recorded, replay(recorded)) == []
    recorded.turns[2].reply = "Really?"
    recorded.turns[1].results = ["a chest", "the cat"]
    found = differences(recorded, replay(recorded))
    assert [one.what for one in found] == ["results of turn 2", "reply to turn 3"]
    assert (found[1].stored, found[1].replayed) == ('"Really?"', '"Are you sure?"')


def test_a_replay_stops_where_the_budget_of_calls_stopped_the_episode(store: db.Store, weather: Path) -> None:
    recorded = record(store, speaking(Listening(SAID)), Budget(calls=2))
    assert (recorded.rollout.outcome, len(recorded.turns[1].results)) == ("max_calls", 1)
    assert differences(recorded, replay(recorded)) == []


@pytest.mark.parametrize("summarised", [False, True])
def test_a_branch_from_any_turn_goes_on_from_the_recorded_ids(store: db.Store, weather: Path, summarised: bool) -> None:
    said = [*SAID[:2], SUMMARY, *SAID[2:]] if summarised else SAID
    settings = summarising(store) if summarised else {}
    recorded = record(store, speaking(Listening(said), **settings))
    assert recorded.rollout.reward == 1.0
    assert {turn.kind for turn in recorded.turns} == ({"act", "summary"} if summarised else {"act"})
    assert max(turn.segment for turn in recorded.turns) == (3 if summarised else 1)
    for turn in range(len(recorded.turns)):
        engine = Listening(said[turn:])
        found = branch(recorded, turn, speaking(engine, **settings), 1, 16)[0]
        assert (found.differences, found.diverged) == ((), False)
        assert engine.prompts[0] == context_of(recorded, turn)
        row = store.get(db.Rollout, store_branch(store, recorded, turn, found.episode))
        assert row is not None
        assert (row.tokens, row.mask, row.logprobs) == (
            recorded.rollout.tokens,
            recorded.rollout.mask,
            recorded.rollout.logprobs,
        )
        assert (row.parent_id, row.parent_turn, row.reward) == (recorded.rollout.id, turn, 1.0)


def test_the_recorded_ids_are_the_prompt_where_the_policy_would_render_them_otherwise(
    store: db.Store, weather: Path
) -> None:
    recorded = record(store, speaking(Listening(SAID)))
    telling = DeepseekCodec(CODEC.tokenizer, show_tools=True)
    for turn in range(1, 5):
        engine = Listening(SAID[turn:], logprob=-2.0)
        episode = branch(recorded, turn, speaking(engine, telling), 1, 16)[0].episode
        assert engine.prompts[0] == context_of(recorded, turn)
        assert episode.verdict.reward == 1.0
        sampled = [{*turn.move.completion.logprobs} for turn in episode.turns if turn.move.completion]
        assert sampled == [{-1.0}] * turn + [{-2.0}] * (5 - turn)


def test_a_policy_of_other_tokens_gets_the_messages_rendered_anew(store: db.Store, weather: Path) -> None:
    recorded = record(store, speaking(Listening(SAID)))
    engine = Listening(SAID[2:], OTHER)
    episode = branch(recorded, 2, speaking(engine, OTHER), 1, 16)[0].episode
    asked = [{"role": "system", "content": "You are in a house."}, {"role": "user", "content": "Where is the key?"}]
    told = [[{"role": "tool", "content": text} for text in turn.results] for turn in recorded.turns]
    assert engine.prompts[0] == OTHER.prompt([*asked, SAID[0], *told[0], SAID[1], *told[1]], [])
    assert [bool(turn.move.completion) for turn in episode.turns] == [False, False, True, True, True]
    first = episode.segments[0]
    assert list(first.tokens[: len(engine.prompts[0])]) == engine.prompts[0]
    assert sum(first.mask) == len(OTHER.assistant(SAID[2]))
    assert episode.verdict.reward == 1.0


class TextPolicy:
    """Speaks messages only, as one behind a server that gives no tokens; remembers what it was started with."""

    id = "text"

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = list(messages)
        self.given: list[Message] = []

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        self.given = list(messages)
        return _TextPlayer(list(self.messages))

    async def close(self) -> None:
        pass


class _TextPlayer:
    def __init__(self, left: list[Message]) -> None:
        self._left = left

    async def act(self) -> Move:
        return Move(message=self._left.pop(0))

    def observe(self, results: list[str]) -> None:
        pass

    def hear(self, text: str) -> None:
        pass


def test_a_policy_of_text_gets_the_messages_with_ids_for_the_calls(store: db.Store, weather: Path) -> None:
    recorded = record(store, speaking(Listening(SAID)))
    policy = TextPolicy(SAID[3:])
    found = branch(recorded, 3, policy, 1, 16)[0]
    assert found.episode.verdict.reward == 1.0
    assert [message["role"] for message in policy.given] == [
        *("system", "user", "assistant", "tool", "assistant", "tool", "tool", "assistant", "user")
    ]
    calls = [call["id"] for message in policy.given for call in message.get("tool_calls", [])]
    assert calls == [message["tool_call_id"] for message in policy.given if message["role"] == "tool"]
    assert len(set(calls)) == 3
    assert policy.given[-1]["content"] == "Are you sure?"


def test_an_environment_that_does_otherwise_stops_the_branch_unless_forced(store: db.Store, weather: Path) -> None:
    recorded = record(store, speaking(Listening(SAID)))
    weather.write_text(" in the rain")
    engine = Listening(SAID[2:])
    found = branch(recorded, 2, speaking(engine), 1, 16)[0]
    assert found.diverged
    assert [one.what for one in found.differences] == ["results of turn 1", "turn 2"]
    assert engine.prompts == []
    engine = Listening(SAID[2:])
    found = branch(recorded, 2, speaking(engine), 1, 16, force=True)[0]
    assert not found.diverged
    assert [one.what for one in found.differences] == ["results of turn 1", "results of turn 2"]
    assert found.episode.verdict.reward == 1.0
    known = context_of(recorded, 1) + CODEC.assistant(SAID[1])
    assert engine.prompts[0] == known + CODEC.results(["a chest in the rain", "the key in the rain"])


class Failing(ScriptedEngine):
    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        raise EngineError("no power")


def test_a_rollout_cut_short_can_be_continued_after_its_last_turn(store: db.Store, weather: Path) -> None:
    class Tired(Listening):
        async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
            if len(self.prompts) == 2:
                raise EngineError("no power")
            return await super().generate(tokens, sampling)

    recorded = record(store, speaking(Tired(SAID)))
    assert (recorded.rollout.outcome, len(recorded.turns)) == ("engine_failed", 2)
    engine = Listening(SAID[2:])
    found = branch(recorded, 2, speaking(engine), 1, 16)[0]
    assert found.episode.verdict.reward == 1.0
    assert not found.diverged
    still = branch(recorded, 2, speaking(Failing([])), 1, 16)[0]
    assert (still.episode.outcome, still.diverged) == ("engine_failed", False)


@pytest.mark.parametrize(
    ("turn", "samples", "turns", "says"),
    [
        (5, 1, 16, "can be continued after 0 to 4 of them"),
        (-1, 1, 16, "from-turn is -1"),
        (2, 0, 16, "samples is 0"),
        (2, 1, 2, "max-turns is 2"),
    ],
)
def test_what_cannot_be_branched_is_said(
    store: db.Store, weather: Path, turn: int, samples: int, turns: int, says: str
) -> None:
    recorded = record(store, speaking(Listening(SAID)))
    with pytest.raises(BadRequest, match=says):
        branch(recorded, turn, speaking(Listening(SAID)), samples, turns)


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


def test_branches_are_stored_shown_and_replayed(store: db.Store, weather: Path, cli: Cli, tmp_path: Path) -> None:
    parent = record(store, speaking(Listening(SAID))).rollout.id
    asked = ("replay", parent, "--from-turn", "2", "--policy", "oracle", "--samples", "2")
    code, out, _ = cli(*asked, "--json")
    told = json.loads(out)
    assert (code, told["from_turn"], told["policy"], len(told["branches"])) == (0, 2, "oracle", 2)
    child = told["branches"][0]["id"]
    assert told["branches"][0]["turns"] > 2
    code, out, _ = cli("replay", child)
    assert code == 0
    assert out.startswith(f"{child} was branched from {parent} at turn 2\n{child}: ")
    assert json.loads(cli("replay", child, "--json")[1])["parent"] == parent
    with TestClient(create_site(f"sqlite:///{tmp_path}/palestra.db")) as client:
        page = client.get(f"/rollouts/{child}").text
        assert f'href="/rollouts/{parent}#turn-1"' in page
        assert "turn 2" in page
        above = client.get(f"/rollouts/{parent}").text
        assert f'href="/rollouts/{child}"' in above
        assert "Are you sure?" in above
        assert "segment 2" in above
    weather.write_text("!")
    code, out, _ = cli(*asked)
    assert code == 1
    assert "results of turn 1 differs" in out
    assert "stopped at turn 1" in out
    assert store.count(db.Rollout, parent_id=parent) == 2
    code, out, _ = cli(*asked, "--force")
    assert code == 0
    assert store.count(db.Rollout, parent_id=parent) == 4
    assert "belong together" in cli("replay", parent, "--from-turn", "2")[2]
    assert "can be continued after 0 to 4" in cli("replay", parent, "--from-turn", "7", "--policy", "noop")[2]


def test_a_summary_is_shown_as_one(store: db.Store, weather: Path, tmp_path: Path) -> None:
    policy = speaking(Listening([*SAID[:2], SUMMARY, *SAID[2:]]), **summarising(store))
    recorded = record(store, policy)
    assert SUMMARISE in CODEC.tokenizer.decode(context_of(recorded, 2))
    with TestClient(create_site(f"sqlite:///{tmp_path}/palestra.db")) as client:
        page = client.get(f"/rollouts/{recorded.rollout.id}").text
    assert "Turn 3" in page
    assert "summary" in page.partition("Turn 3")[2].partition("</h3>")[0]
