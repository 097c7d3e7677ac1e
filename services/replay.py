"""Play a stored rollout again from its messages; compare what tools, user and verifier say, and the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from sqlalchemy import select

from ..envs.environment import Environment
from ..envs.registry import environment_class
from ..envs.types import Task, ToolSchema, canonical
from ..infra import store as db
from ..infra.sandbox.sync import Sandboxes
from ..infra.store.columns import plain_json
from ..rollout.episode import Budget, run_episode
from ..rollout.records import message_of, task_of
from ..rollout.types import Episode, Message, Move, Player
from .errors import BadRequest


@dataclass(frozen=True)
class Recorded:
    """What the store has of one rollout; `turns` are all of them, the policy's notes to itself among them."""

    rollout: db.Rollout
    task: Task
    turns: tuple[db.Turn, ...]
    parts: list[object]

    @property
    def acts(self) -> tuple[db.Turn, ...]:
        """The turns that the environment saw."""
        return tuple(turn for turn in self.turns if turn.kind == "act")


@dataclass(frozen=True)
class Difference:
    """One thing that came out differently."""

    what: str
    stored: str
    replayed: str


class RecordedPolicy:
    """Says stored messages word by word, without passing them through a tokeniser."""

    def __init__(self, rollout_id: str, messages: list[Message]) -> None:
        self.id = f"replay:{rollout_id}"
        self._messages = messages

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        """A player from the first message on."""
        return _RecordedPlayer(list(self._messages))

    async def close(self) -> None:
        """Nothing to free."""


class _RecordedPlayer:
    def __init__(self, left: list[Message]) -> None:
        self._left = left

    async def act(self) -> Move:
        """The next message; without one the episode ends as it did when the policy failed to speak."""
        return Move(message=self._left.pop(0)) if self._left else Move(message=None, error="the recording ends here")

    def observe(self, results: list[str]) -> None:
        """What was said is already written; the results are compared afterwards."""

    def hear(self, text: str) -> None:
        """As `observe`."""


def load(store: db.Store, rollout_id: str) -> Recorded:
    """A stored rollout with its task and turns. BadRequest where there is none, or nothing to replay."""
    rollout = store.get(db.Rollout, rollout_id)
    if rollout is None:
        raise BadRequest(f"no rollout {rollout_id!r} in {store.shown_url}: `palestra serve` shows which there are")
    task = store.get(db.Task, rollout.task_id)
    if task is None:
        raise BadRequest(
            f"rollout {rollout_id!r} belongs to task {rollout.task_id!r}, which is not in {store.shown_url}"
        )
    with store.reading() as session:
        turns = session.scalars(select(db.Turn).where(db.Turn.rollout_id == rollout_id).order_by(db.Turn.index)).all()
        query = select(db.Verdict.parts).where(db.Verdict.rollout_id == rollout_id).order_by(db.Verdict.seq.desc())
        parts = session.scalars(query).first()
    if not turns:
        raise BadRequest(
            f"rollout {rollout_id!r} has no turns to replay: it ended with {rollout.outcome} before the policy spoke"
        )
    return Recorded(rollout, task_of(task), tuple(turns), list(parts or []))


def load_messages(store: db.Store, rollout_id: str) -> list[Message]:
    """The assistant messages of a stored rollout, up to a completion that was not in the grammar."""
    return _messages(load(store, rollout_id).acts)


def replay(recorded: Recorded, sandboxes: Sandboxes | None = None) -> Episode:
    """Play the stored messages on the stored task in a fresh environment."""
    cls: type[Environment] = environment_class(recorded.task.env)
    policy = RecordedPolicy(recorded.rollout.id, _messages(recorded.acts))
    budget = Budget(turns=len(recorded.acts))
    if recorded.rollout.outcome == "max_calls":
        budget = replace(budget, calls=sum(len(turn.results) for turn in recorded.acts))
    return asyncio.run(run_episode(cls(sandboxes), recorded.task, policy, recorded.rollout.sample, budget))


def differences(recorded: Recorded, episode: Episode) -> list[Difference]:
    """What differs: tool results and the user's words by turn, the answer, and the verdict with its parts."""
    found: list[Difference | None] = [*turn_differences(recorded.acts, episode)]
    found.append(_compare("answer", recorded.rollout.answer, episode.answer))
    found.append(_compare("validity", recorded.rollout.validity, episode.verdict.validity))
    found.append(_compare("reward", recorded.rollout.reward, episode.verdict.reward))
    found.append(_compare("verdict parts", recorded.parts, [part.model_dump() for part in episode.verdict.parts]))
    return [difference for difference in found if difference is not None]


def turn_differences(turns: Sequence[db.Turn], episode: Episode) -> list[Difference]:
    """What differs between stored turns and the first of an episode, which were played from them."""
    found: list[Difference] = []
    for turn, place in zip_longest(turns, episode.turns[: len(turns)]):
        if place is None:
            found.append(Difference(f"turn {turn.index + 1}", "played", f"the episode ended with {episode.outcome}"))
        else:
            found += reactions_differ(turn, place.results, place.reply)
    return found


def reactions_differ(turn: db.Turn, results: Sequence[str], reply: str | None) -> list[Difference]:
    """How the environment reacted to a stored turn, compared with how it reacts now."""
    number = turn.index + 1
    both = (
        _compare(f"results of turn {number}", list(turn.results), list(results)),
        _compare(f"reply to turn {number}", turn.reply, reply),
    )
    return [difference for difference in both if difference is not None]


def _messages(turns: Sequence[db.Turn]) -> list[Message]:
    return [message_of(turn) for turn in turns if not turn.error]


def _compare(what: str, stored: object, replayed: object) -> Difference | None:
    """Both as the store holds JSON: what it cannot hold was already replaced in the stored one."""
    old, new = canonical(plain_json(stored)), canonical(plain_json(replayed))
    return None if old == new else Difference(what, old[:300], new[:300])
