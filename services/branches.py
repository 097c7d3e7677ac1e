"""Branches: a stored rollout played up to a turn from its record, then continued by another policy.

The environment really runs the recorded turns, and what it does is compared with the record. A policy of tokens that
reads the recorded completions as they were read when they were sampled goes on from the recorded ids, bit for bit
(tokens in, tokens out); for any other the conversation is rendered anew. A branch is stored as a rollout of its own
that points back at its parent. Its first turns are the parent's, log-probabilities and all: those are of the policy
that sampled them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..envs.environment import Environment
from ..envs.registry import environment_class
from ..envs.types import Task, ToolSchema
from ..infra import store as db
from ..infra.sandbox.sync import Sandboxes
from ..infra.store import unpack_i32
from ..rollout.contexts import resume
from ..rollout.episode import Budget, run_episode
from ..rollout.players import TokenPlayer
from ..rollout.records import episode_rows, move_of
from ..rollout.types import Episode, Message, Move, Player, Policy
from .errors import BadRequest
from .replay import Difference, Recorded, reactions_differ, turn_differences

_CAN_GO_ON = ("max_turns", "max_tokens", "timeout", "engine_failed")


@dataclass(frozen=True)
class Branch:
    """One continuation; `differences` are those of the recorded turns. `diverged`: it stopped there."""

    episode: Episode
    differences: tuple[Difference, ...]
    diverged: bool


class Diverged(Exception):
    """The environment did not do what is recorded."""


class BranchPolicy:
    """Speaks the recorded turns, then lets `policy` go on; `force` also where the environment did something else."""

    def __init__(self, policy: Policy, turns: Sequence[db.Turn], following: db.Turn | None, force: bool) -> None:
        self.id = policy.id
        self.policy, self.force = policy, force
        self.turns, self.following = tuple(turns), following
        self.moves = tuple(move_of(turn) for turn in turns)

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        """A player from the first message on."""
        return _BranchPlayer(self, task, messages, tools, sample)

    async def close(self) -> None:
        """Close the policy that goes on."""
        await self.policy.close()


class _BranchPlayer:
    """`history` ends with the last recorded message, `heard` is what the environment said since, `tokens` are the ids
    of the segment up to there."""

    def __init__(
        self, branch: BranchPolicy, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int
    ) -> None:
        self._branch, self._head = branch, list(messages)
        self._task, self._tools, self._sample = task, tools, sample
        self._player = branch.policy.start(task, list(messages), tools, sample)
        self._is_exact = isinstance(self._player, TokenPlayer) and self._player.reads(branch.moves)
        self._history, self._heard = list(messages), list[Message]()
        self._tokens: list[int] = []
        self._played = 0
        self._is_live, self._is_same = not branch.moves, True

    async def act(self) -> Move:
        """The next recorded move; after the last the policy's own. Raises Diverged."""
        if not self._is_same and not self._branch.force:
            raise Diverged(f"the environment did not do what is recorded of turn {self._played}")
        if self._played < len(self._branch.moves):
            return self._recall()
        if not self._is_live:
            self._is_live = True
            self._hand_over()
        return await self._player.act()

    def observe(self, results: list[str]) -> None:
        """Compare with the record; afterwards pass on."""
        if self._is_live:
            return self._player.observe(results)
        self._is_same &= not reactions_differ(self._branch.turns[self._played - 1], results, None)
        calls = self._history[-1]["tool_calls"]
        self._heard = [
            {"role": "tool", "tool_call_id": call["id"], "content": text}
            for call, text in zip(calls, results, strict=True)
        ]
        return None

    def hear(self, text: str) -> None:
        """As `observe`."""
        if self._is_live:
            return self._player.hear(text)
        self._is_same &= not reactions_differ(self._branch.turns[self._played - 1], [], text)
        self._heard = [{"role": "user", "content": text}]
        return None

    def _recall(self) -> Move:
        move, before = self._branch.moves[self._played], self._branch.moves[: self._played]
        if before and before[-1].segment != move.segment:
            self._tokens = []
        self._tokens += [*move.prompt_tokens, *(move.completion.tokens if move.completion else ())]
        self._history, self._heard = [*self._history, *self._heard], []
        if move.kind == "summary":
            self._history = resume(self._head, (move.message or {}).get("content") or "(nothing was written down)")
        elif move.message is not None:
            self._history.append(_with_ids(move.message, self._played))
        self._played += 1
        return move if self._is_exact else Move(message=move.message, kind=move.kind, segment=move.segment)

    def _hand_over(self) -> None:
        """Give the conversation to the policy: in the recorded ids where it speaks them, else in messages."""
        whole = [*self._history, *self._heard]
        last, following = self._branch.turns[-1], self._branch.following
        if not isinstance(self._player, TokenPlayer):
            self._player = self._branch.policy.start(self._task, whole, self._tools, self._sample)
        elif not self._is_exact:
            self._player.resume(whole, segment=last.segment)
        elif self._is_same and following is not None and _leads_on(last, following):
            tokens = self._tokens if following.segment == last.segment else []
            rendered = unpack_i32(following.prompt_tokens)
            self._player.resume(whole, tokens, rendered, following.segment, following.rewrite)
        elif last.kind == "summary":
            self._player.resume(whole, segment=last.segment + 1, rewrite="summary")
        else:
            self._player.resume(self._history, self._tokens, segment=last.segment)
            said = [str(message["content"]) for message in self._heard]
            if self._heard[0]["role"] == "tool":
                self._player.observe(said)
            else:
                self._player.hear(*said)


def check_turn(recorded: Recorded, turn: int) -> None:
    """BadRequest where no policy can go on after so many turns."""
    rollout, count = recorded.rollout, len(recorded.turns)
    most = count if rollout.outcome in _CAN_GO_ON and not recorded.turns[-1].error else count - 1
    if not 0 <= turn <= most:
        raise BadRequest(
            f"from-turn is {turn}: rollout {rollout.id!r} has {count} turns and ended with {rollout.outcome}, so it "
            f"can be continued after 0 to {most} of them"
        )


def branch(
    recorded: Recorded,
    turn: int,
    policy: Policy,
    samples: int,
    max_turns: int | None,
    sandboxes: Sandboxes | None = None,
    force: bool = False,
) -> list[Branch]:
    """Play the first `turn` turns from the record and let `policy` go on, `samples` times at once; closes `policy`.

    `max_turns` bounds an episode's turns, the recorded ones included (None: the environment's own bound). Raises
    BadRequest.
    """
    check_turn(recorded, turn)
    max_turns = environment_class(recorded.task.env).max_turns if max_turns is None else max_turns
    if max_turns <= turn:
        raise BadRequest(f"max-turns is {max_turns}: the {turn} recorded turns count too, so it must be above {turn}")
    if samples < 1:
        raise BadRequest(f"samples is {samples}: it must be at least 1")
    return asyncio.run(_play(recorded, turn, policy, samples, Budget(turns=max_turns), sandboxes, force))


async def _play(
    recorded: Recorded,
    turn: int,
    policy: Policy,
    samples: int,
    budget: Budget,
    sandboxes: Sandboxes | None,
    force: bool,
) -> list[Branch]:
    cls: type[Environment] = environment_class(recorded.task.env)
    turns = recorded.turns[:turn]
    following = recorded.turns[turn] if turn < len(recorded.turns) else None
    both = BranchPolicy(policy, turns, following, force)
    try:
        played = [run_episode(cls(sandboxes), recorded.task, both, sample, budget) for sample in range(samples)]
        episodes = await asyncio.gather(*played)
    finally:
        await both.close()
    branches = []
    for episode in episodes:
        found = tuple(turn_differences(turns, episode))
        branches.append(Branch(episode, found, bool(found) and (not force or len(episode.turns) <= turn)))
    return branches


def store_branch(store: db.Store, recorded: Recorded, turn: int, episode: Episode) -> str:
    """Store a branch as a rollout that points back at what it came from; returns its id."""
    rollout, others = episode_rows(episode)
    rollout.parent_id, rollout.parent_turn = recorded.rollout.id, turn
    id = rollout.id
    store.add_once(rollout, *others)
    return id


def _leads_on(last: db.Turn, following: db.Turn) -> bool:
    """Whether the recorded prompt of the next turn is the same conversation: not one cut or summarised since."""
    return following.kind == "act" and (not following.rewrite or last.kind == "summary")


def _with_ids(message: Message, place: int) -> Message:
    """The message with ids for its calls, which servers ask for."""
    calls: list[dict[str, Any]] = message.get("tool_calls") or []
    if not calls:
        return message
    return {**message, "tool_calls": [{**call, "id": f"call_{place}_{index}"} for index, call in enumerate(calls)]}
