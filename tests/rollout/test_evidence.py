"""Evidence: what the verifier read comes back exactly, small where little changed, or the reason why it cannot."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.envs.mini.travel import TravelMini
from palestra.envs.types import Task
from palestra.infra.store.packing import pack_json, unpack_json
from palestra.rollout.codec import DeepseekCodec
from palestra.rollout.episode import run_episode
from palestra.rollout.evidence import EvidenceLost, pack_evidence, unpack_evidence
from palestra.rollout.scripts import oracle_policy
from palestra.rollout.tokenizer import train_tokenizer

CODEC = DeepseekCodec(train_tokenizer([], 300), show_tools=False)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))
WORLDS = st.dictionaries(st.text(), JSON, max_size=6)


def task(world: dict[str, Any]) -> Task:
    return Task(env="e", version="1", seed=0, level=1, prompt="?", world=world)


def text(value: object) -> str:
    """Types and the order of keys included, which `==` does not look at."""
    return json.dumps(value)


@given(WORLDS, WORLDS, JSON)
def test_any_world_comes_back_exactly(old: dict[str, Any], new: dict[str, Any], answer: Any) -> None:
    read = unpack_evidence(task(old), pack_evidence(task(old), answer, new))
    assert text([read.answer, read.world]) == text([answer, new])


@given(WORLDS, st.data())
def test_a_world_that_tools_changed_comes_back_exactly(old: dict[str, Any], data: st.DataObject) -> None:
    new = json.loads(json.dumps(old))
    place = new
    while place and data.draw(st.booleans()):
        inner = place[data.draw(st.sampled_from(sorted(place)))]
        if not isinstance(inner, dict):
            break
        place = inner
    if place and data.draw(st.booleans()):
        place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JSON)
    if place and data.draw(st.booleans()):
        del place[data.draw(st.sampled_from(sorted(place)))]
    place[data.draw(st.text())] = data.draw(JSON)
    assert text(unpack_evidence(task(old), pack_evidence(task(old), None, new)).world) == text(new)


def test_what_changed_is_what_it_costs() -> None:
    world = {"rooms": {f"room {n}": random.Random(n).getrandbits(64) for n in range(2_000)}, "log": []}
    whole = len(pack_json(world))
    assert len(pack_evidence(task(world), "a", world)) < 60
    changed = json.loads(json.dumps(world)) | {"log": ["looked"]}
    changed["rooms"]["room 7"] = 0
    assert len(pack_evidence(task(world), "a", changed)) < 120 < whole / 100


def test_what_is_read_twice_is_not_shared() -> None:
    world: dict[str, Any] = {"a": {"b": [1]}}
    one = task(world)
    data = pack_evidence(one, None, world)
    unpack_evidence(one, data).world["a"]["b"].append(2)
    assert unpack_evidence(one, data).world == {"a": {"b": [1]}}
    assert one.world == {"a": {"b": [1]}}


@pytest.mark.parametrize("world", [{"at": (1, 2)}, {1: "a"}, {"n": float("nan")}, {"s": {1}}, {"b": b"x"}])
def test_a_world_that_json_would_change_is_not_kept(world: dict[Any, Any]) -> None:
    with pytest.raises(EvidenceLost, match="JSON"):
        unpack_evidence(task({}), pack_evidence(task({}), None, world))


def test_a_world_without_end_is_not_kept() -> None:
    world: dict[str, Any] = {}
    world["self"] = world
    with pytest.raises(EvidenceLost, match="not JSON"):
        unpack_evidence(task({}), pack_evidence(task({}), None, world))


@pytest.mark.parametrize("data", [b"", b"junk", pack_json(7), pack_json({}), pack_json({"answer": 1, "delta": 3})])
def test_damaged_evidence_is_lost_and_nothing_else(data: bytes) -> None:
    with pytest.raises(EvidenceLost):
        unpack_evidence(task({"a": 1}), data)


@given(st.binary())
def test_packed_json_is_read_or_refused(data: bytes) -> None:
    try:
        value = unpack_json(data)
    except ValueError:
        return
    assert pack_json(value)


def test_an_episode_keeps_what_its_verifier_read() -> None:
    env = TravelMini()
    one = env.propose(random.Random(5), 2)
    episode = asyncio.run(run_episode(env, one, oracle_policy(CODEC)))
    assert episode.evidence is not None
    assert TravelMini().verify(one, *unpack_evidence(one, episode.evidence)) == episode.verdict
