"""Episodes as rows: tokens exactly, messages and tasks back again, failures with their traceback."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.envs.mini.search import SearchMini
from palestra.envs.mini.travel import TravelMini
from palestra.infra import store as db
from palestra.infra.store.packing import unpack_f32, unpack_i32
from palestra.rollout.codec import DeepseekCodec, assistant_message
from palestra.rollout.episode import broken_episode, run_episode
from palestra.rollout.players import ScriptedEngine, ScriptedPolicy, TokenPolicy
from palestra.rollout.records import completion_of, episode_rows, message_of, move_of, task_of, task_row
from palestra.rollout.scripts import oracle_policy
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Completion, Episode, Kept, Move, Sampling, Turn
from palestra.verifiers.types import Verdict

CODEC = DeepseekCodec(train_tokenizer([], 300), show_tools=False)


def stored(tmp_path: Path, episode: Episode) -> tuple[db.Rollout, list[db.Turn], db.Verdict]:
    """The rows as another process reads them."""
    rollout, rest = episode_rows(episode, "job-1", "run-1")
    url = f"sqlite:///{tmp_path / 'x.db'}"
    with db.Store(url) as store:
        store.add(task_row(episode.task, "run-1", "heldout"))
        assert store.add_once(rollout, *rest)
        again, others = episode_rows(episode, "job-1", "run-1")
        assert not store.add_once(again, *others)
    with db.Store(url) as store, store.reading() as session:
        turns = list(session.query(db.Turn).order_by(db.Turn.index))
        row, verdict, task = (
            session.query(db.Rollout).one(),
            session.query(db.Verdict).one(),
            session.query(db.Task).one(),
        )
        session.expunge_all()
    assert task.split == "heldout"
    assert task_of(task) == episode.task
    assert task_of(task).id == task.id == row.task_id
    return row, turns, verdict


def test_an_episode_comes_back_as_it_was(tmp_path: Path) -> None:
    task = TravelMini().propose(random.Random(2), 1)
    episode = asyncio.run(run_episode(TravelMini(), task, oracle_policy(CODEC), 3))
    row, turns, verdict = stored(tmp_path, episode)
    path = episode.segments[0]
    assert unpack_i32(row.tokens) == list(path.tokens)
    assert unpack_i32(row.mask) == list(path.mask)
    assert unpack_f32(row.logprobs) == list(path.logprobs)
    assert (row.job_id, row.run_id, row.sample, row.policy_id) == ("job-1", "run-1", 3, "oracle")
    assert (row.outcome, row.validity, row.reward, row.error) == ("submitted", "valid", 1.0, None)
    assert row.answer == episode.answer
    pieces = [unpack_i32(t.prompt_tokens) + unpack_i32(t.completion_tokens) for t in turns]
    assert [token for piece in pieces for token in piece] == list(path.tokens)
    assert [turn.results for turn in turns] == [list(turn.results) for turn in episode.turns]
    assert (verdict.reward, verdict.validity) == (1.0, "valid")
    assert [part["name"] for part in verdict.parts] == [part.name for part in episode.verdict.parts]


def test_messages_come_back_as_they_were_said(tmp_path: Path) -> None:
    said = [
        assistant_message("Two at once.", "Wait.", [("open", {"page": "ä\n"}), ("search", {"query": "x"})]),
        assistant_message("So.", "Nothing"),
    ]
    task = SearchMini().propose(random.Random(2), 1)
    policy = ScriptedPolicy("script", lambda task, sample: said, CODEC)
    _, turns, _ = stored(tmp_path, asyncio.run(run_episode(SearchMini(), task, policy)))
    assert [message_of(turn) for turn in turns] == said


def test_odd_arguments_in_a_stored_call_are_still_json_text() -> None:
    row = db.Turn(index=0, thinking="t", content="", tool_calls=[{"name": "a", "arguments": {"b": 1}}], results=[])
    assert json.loads(message_of(row)["tool_calls"][0]["function"]["arguments"]) == {"b": 1}


def test_a_format_error_keeps_its_tokens_and_says_why(tmp_path: Path) -> None:
    task = SearchMini().propose(random.Random(2), 1)
    policy = TokenPolicy("p", ScriptedEngine([(50, 51, 52)]), CODEC, Sampling())
    row, turns, _ = stored(tmp_path, asyncio.run(run_episode(SearchMini(), task, policy)))
    assert (row.outcome, row.reward) == ("format_error", 0.0)
    assert unpack_i32(turns[0].completion_tokens) == [50, 51, 52]
    assert turns[0].error is not None
    assert turns[0].error.startswith("missing_think_end")
    assert row.error == turns[0].error


def test_a_failure_is_stored_with_its_traceback_and_without_a_reward(tmp_path: Path) -> None:
    task = SearchMini().propose(random.Random(2), 1)
    try:
        raise RuntimeError("no room")
    except RuntimeError as error:
        row, turns, verdict = stored(tmp_path, broken_episode(task, 0, error))
    assert (row.outcome, row.validity, row.reward, turns) == ("env_failed", "invalid_env", None, [])
    assert row.error is not None
    assert "Traceback" in row.error
    assert verdict.note == "RuntimeError: no room"


def completion(tokens: int, kept: Kept | None, versions: Sequence[int] | None, experts: bool) -> Completion:
    rng = np.random.default_rng(tokens)
    return Completion(
        tuple(range(tokens)),
        (-0.5,) * tokens,
        "stop",
        version=3,
        versions=None if versions is None else tuple(versions),
        kept=kept,
        experts=rng.integers(0, 256, (tokens + 4, 3, 8)).astype(np.uint8) if experts else None,
    )


COMPLETIONS = (
    completion(3, None, None, False),
    completion(4, (None, (5, 2, 129_279), (), (0,)), (3, 3, 4, 2**40), True),
    completion(2, (None, None), None, True),
    completion(1, ((7,),), (0,), False),
)


def assert_same(found: Completion | None, said: Completion) -> None:
    assert found is not None
    assert replace(found, experts=None) == replace(said, experts=None)
    assert (found.experts is None) == (said.experts is None)
    if found.experts is not None and said.experts is not None:
        assert found.experts.dtype == said.experts.dtype
        assert np.array_equal(found.experts, said.experts)


def check_samplings_come_back(url: str) -> None:
    """Masks, expert choices and versions, through a real database and as another process reads them."""
    task = SearchMini().propose(random.Random(2), 1)
    moves = [Move(None, (9,), one, error="x", segment=n, rewrite="discard_75") for n, one in enumerate(COMPLETIONS)]
    turns = tuple(Turn(move) for move in [*moves, Move(None, (1, 2), error="max_tokens: the context is full")])
    rollout, rest = episode_rows(Episode(task, 0, "p", "answered", Verdict(reward=1.0), turns), "job-2")
    with db.Store(url) as store:
        assert store.add_once(rollout, *rest)
    with db.Store(url) as store, store.reading() as session:
        rows = list(session.query(db.Turn).where(db.Turn.rollout_id == rollout.id).order_by(db.Turn.index))
    for sampled, row in zip(COMPLETIONS, rows, strict=False):
        assert_same(completion_of(row), sampled)
    assert rows[0].trace is None
    assert [row.rewrite for row in rows] == ["discard_75"] * 4 + [""]
    assert move_of(rows[4]) == turns[4].move
    assert replace(move_of(rows[1]), completion=None) == replace(moves[1], completion=None)


def test_masks_choices_and_versions_come_back(tmp_path: Path) -> None:
    check_samplings_come_back(f"sqlite:///{tmp_path}/x.db")


@pytest.mark.postgres
def test_masks_choices_and_versions_come_back_from_postgres(postgres: str) -> None:
    check_samplings_come_back(postgres + "postgres")


@given(st.lists(st.none() | st.lists(st.integers(0, 2**31 - 1)).map(tuple), min_size=1).map(tuple))
def test_any_mask_survives_packing(kept: Kept) -> None:
    episode = Episode(
        SearchMini().propose(random.Random(2), 1),
        0,
        "p",
        "answered",
        Verdict(reward=1.0),
        (Turn(Move(None, completion=completion(len(kept), kept, None, False))),),
    )
    found = completion_of(episode_rows(episode)[1][0])
    assert found is not None
    assert found.kept == kept
