"""Rollouts on a local Ray: one episode per item, whatever happens to the workers."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import ray

from palestra.envs.mini.search import SearchMini
from palestra.envs.types import Task, ToolSchema
from palestra.infra.sandbox.sync import Sandboxes
from palestra.rollout.backlog import Item, RetryConfig
from palestra.rollout.cluster import connect
from palestra.rollout.codec import DeepseekCodec, assistant_message
from palestra.rollout.engines.fake import VOCABULARY, FakeInference, serving
from palestra.rollout.engines.server import Server
from palestra.rollout.engines.vllm import VllmEngine
from palestra.rollout.errors import EngineError
from palestra.rollout.players import TokenPolicy
from palestra.rollout.scripts import noop_policy, oracle_policy
from palestra.rollout.status import PoolStatus
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Completion, Engine, Message, Player, Policy, Sampling
from palestra.rollout.workers import PoolConfig, RolloutPool

CONFIG = PoolConfig(workers=2, chunk=4, cpus_per_worker=0.5)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    connect(cpus=2)
    connect("127.0.0.1:1")  # the first connection is kept
    yield
    ray.shutdown()


def tasks(count: int, env: str = "search-mini") -> list[Task]:
    return [SearchMini().propose(random.Random(seed), 1).model_copy(update={"env": env}) for seed in range(count)]


def codec() -> DeepseekCodec:
    return DeepseekCodec(train_tokenizer([], 300), show_tools=False)


def oracle(sandboxes: Sandboxes | None) -> Policy:
    return oracle_policy(codec(), sandboxes)


def noop(sandboxes: Sandboxes | None) -> Policy:
    return noop_policy(codec())


@dataclass
class Deadly:
    """Makes an oracle that kills its process at the start of task `poison`, `lives` times in all."""

    folder: str
    poison: str
    lives: int

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        return _Dying(oracle_policy(codec()), self)


class _Dying:
    def __init__(self, inner: Policy, deadly: Deadly) -> None:
        self.id, self._inner, self._deadly = inner.id, inner, deadly

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        folder = Path(self._deadly.folder)
        deaths = len(list(folder.iterdir()))
        if task.id == self._deadly.poison and deaths < self._deadly.lives:
            (folder / str(deaths)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self._inner.start(task, messages, tools, sample)

    async def close(self) -> None:
        await self._inner.close()


class Weighted(Engine):
    """An engine that answers with its weights, {"word": text}."""

    def __init__(self) -> None:
        self.word, self.version = "old", 0
        self._codec = codec()

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        said = tuple(self._codec.assistant(assistant_message("So.", self.word)))
        return Completion(said, (0.0,) * len(said), "stop", version=self.version)

    def load_weights(self, state: dict[str, Any], version: int) -> None:
        self.word, self.version = state["word"], version

    async def close(self) -> None:
        """Nothing to free."""


@dataclass
class DeadlyWeighted:
    """Like `Deadly`, with an engine that takes weights."""

    folder: str
    poison: str

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        policy = TokenPolicy("weighted", Weighted(), codec(), Sampling())
        dying: Any = _Dying(policy, Deadly(self.folder, self.poison, 1))
        dying.engine = policy.engine
        return dying  # type: ignore[no-any-return]


@dataclass
class Slow:
    """A policy that writes a file per started episode, and one per cancelled one, and never answers."""

    folder: str

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        return TokenPolicy("slow", _Stalled(self.folder), codec(), Sampling())


class _Stalled(Engine):
    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._first = True
        self._codec = codec()

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        if self._first:
            self._first = False
            said = tuple(self._codec.assistant(assistant_message("So.", "first")))
            return Completion(said, (0.0,) * len(said), "stop")
        name = uuid.uuid4().hex
        (self._folder / f"{name}.started").touch()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            (self._folder / f"{name}.cancelled").touch()
            raise
        raise AssertionError

    async def close(self) -> None:
        """Nothing to free."""


def lingering(sandboxes: Sandboxes | None) -> Policy:
    return TokenPolicy("lingering", _Lingering(), codec(), Sampling())


class _Lingering(Engine):
    """Answers its first request only after 20 others."""

    def __init__(self) -> None:
        self._asked, self._others = 0, asyncio.Event()
        self._codec = codec()

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        self._asked += 1
        if self._asked == 1:
            await asyncio.wait_for(self._others.wait(), 60)
        if self._asked == 21:
            self._others.set()
        said = tuple(self._codec.assistant(assistant_message("So.", "done")))
        return Completion(said, (0.0,) * len(said), "stop")

    async def close(self) -> None:
        """Nothing to free."""


@dataclass
class Flaky:
    """An engine that fails the first `failures` times that it is asked for a task, wherever that is."""

    folder: str
    failures: int

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        return _FlakyPolicy(self)


class _FlakyPolicy:
    def __init__(self, flaky: Flaky) -> None:
        self.id, self._flaky, self._inner = "flaky", flaky, oracle_policy(codec())

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        folder = Path(self._flaky.folder)
        if len(list(folder.glob(f"{task.id}-*"))) < self._flaky.failures:
            (folder / f"{task.id}-{uuid.uuid4().hex}").touch()
            raise EngineError("the engine is away")
        return self._inner.start(task, messages, tools, sample)

    async def close(self) -> None:
        await self._inner.close()


@dataclass
class Mortal:
    """An engine that dies for good after some episodes; another process has another."""

    folder: str
    lifetime: int

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        (Path(self.folder) / str(os.getpid())).touch()
        first = len(list(Path(self.folder).iterdir())) == 1
        return TokenPolicy("mortal", _Mortal(self.lifetime if first else 1 << 30), codec(), Sampling())


class _Mortal(Engine):
    def __init__(self, left: int) -> None:
        self._left = left
        self._codec = codec()

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        self._left -= 1
        if self._left < 0:
            raise EngineError("the engine process is dead")
        said = tuple(self._codec.assistant(assistant_message("So.", "alive")))
        return Completion(said, (0.0,) * len(said), "stop")

    async def close(self) -> None:
        """Nothing to free."""


class Brief(DeepseekCodec):
    """Whatever is asked is one id: the fake server has few, and little context."""

    def prompt(self, messages: list[Message], tools: list[ToolSchema]) -> list[int]:
        return [1]


@dataclass
class Served:
    """A policy whose engine is on a vLLM server, here the fake one."""

    url: str

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        engine = VllmEngine(Server(self.url, "m", backoff=0.0), VOCABULARY)
        return TokenPolicy("served", engine, Brief(train_tokenizer([], 300)), Sampling(top_p=1.0, max_tokens=4))


@contextmanager
def served() -> Iterator[FakeInference]:
    """The fake server, in a thread of its own while the pool waits here."""
    loop, done = asyncio.new_event_loop(), asyncio.Event()
    opened: Future[FakeInference] = Future()

    async def serve() -> None:
        async with serving() as fake:
            opened.set_result(fake)
            await done.wait()

    thread = Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield opened.result(60)
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


def no_policy(sandboxes: Sandboxes | None) -> Policy:
    raise ValueError("the checkpoint is torn")


@pytest.fixture
def pools() -> Iterator[list[RolloutPool]]:
    opened: list[RolloutPool] = []
    yield opened
    for pool in opened:
        pool.close()


def keys(items: list[Item]) -> list[tuple[str, int]]:
    return sorted((task.id, sample) for task, sample in items)


def test_every_item_gives_one_episode_twice_in_a_row_and_equal_items_too(pools: list[RolloutPool]) -> None:
    pools.append(RolloutPool(oracle, CONFIG))
    items = [(task, sample) for task in tasks(5) for sample in range(3)]
    items.append(items[0])
    for _ in range(2):
        episodes = list(pools[0].run(iter(items)))
        assert sorted((episode.task.id, episode.sample) for episode in episodes) == keys(items)
        assert all(episode.verdict.passed for episode in episodes)
    assert list(pools[0].run([])) == []
    with pytest.raises(EngineError, match="policy 'oracle' has no weights to load"):
        pools[0].load_weights({"a": 1}, 1)
    assert len(list(pools[0].run(items[:2]))) == 2


def test_an_environment_that_cannot_be_built_is_an_invalid_episode(pools: list[RolloutPool]) -> None:
    pools.append(RolloutPool(noop, replace(CONFIG, workers=1)))
    items = [(tasks(1, env="gone")[0], 0), (tasks(1)[0], 0)]
    found = {episode.task.env: episode for episode in pools[0].run(items)}
    assert (found["gone"].outcome, found["gone"].verdict.validity) == ("env_failed", "invalid_env")
    assert "unknown environment 'gone'" in found["gone"].error
    assert found["search-mini"].verdict.reward == 0.0


def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_doubled(pools: list[RolloutPool], tmp_path: Path) -> None:
    items = [(task, 0) for task in tasks(12)]
    pools.append(RolloutPool(Deadly(str(tmp_path), items[5][0].id, lives=1), CONFIG))
    episodes = list(pools[0].run(items))
    assert sorted((episode.task.id, episode.sample) for episode in episodes) == keys(items)
    assert all(episode.verdict.passed for episode in episodes)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_deadly_episode_is_given_up_and_takes_no_other_with_it(pools: list[RolloutPool], tmp_path: Path) -> None:
    items = [(task, 0) for task in tasks(6)]
    poison = items[1][0].id
    pools.append(RolloutPool(Deadly(str(tmp_path), poison, lives=99), replace(CONFIG, retry=RetryConfig(lives=2))))
    episodes = list(pools[0].run(items))
    assert sorted((episode.task.id, episode.sample) for episode in episodes) == keys(items)
    for episode in episodes:
        if episode.task.id == poison:
            assert (episode.outcome, episode.verdict.validity) == ("engine_failed", "invalid_infra")
            assert "failed 2 times" in episode.error
        else:
            assert episode.verdict.passed
    assert len(list(tmp_path.iterdir())) == 2


def test_a_replaced_worker_begins_with_the_weights_of_the_others(pools: list[RolloutPool], tmp_path: Path) -> None:
    items = [(task, 0) for task in tasks(8)]
    pools.append(RolloutPool(DeadlyWeighted(str(tmp_path), items[3][0].id), replace(CONFIG, chunk=2)))
    pool = pools[0]
    pool.load_weights({"word": "new"}, 7)
    episodes = list(pool.run(items))
    assert len(list(tmp_path.iterdir())) == 1
    assert [episode.answer for episode in episodes] == ["new"] * 8
    versions = {turn.move.completion.version for e in episodes for turn in e.turns if turn.move.completion}
    assert versions == {7}
    ray.kill(pool._slots[0].actor)  # dead while idle: the next weights find out
    pool.load_weights({"word": "newer"}, 8)
    assert [episode.answer for episode in pool.run(items)] == ["newer"] * 8


def test_workers_that_share_a_server_have_its_weights_replaced_once(pools: list[RolloutPool], tmp_path: Path) -> None:
    """A vLLM's weights, from a checkpoint's folder; a worker built later finds them there."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").touch()
    with served() as fake:
        pools.append(RolloutPool(Served(fake.base_url), CONFIG))
        pool = pools[0]
        pool.load_weights(tmp_path, 5)
        ray.kill(pool._slots[0].actor)
        items = [(task, 0) for task in tasks(6)]
        versions = [turn.move.completion for episode in pool.run(items) for turn in episode.turns]
        assert {one.version for one in versions if one is not None} == {5}
        assert [target for target, _ in fake.calls].count("/collective_rpc") == 1
        pool.load_weights(tmp_path, 6)
        assert fake.version == "6"
        with pytest.raises(EngineError, match="from a checkpoint's folder"):
            pool.load_weights({"lm_head.weight": 0}, 7)


def test_closing_early_leaves_nothing_running(pools: list[RolloutPool], tmp_path: Path) -> None:
    pools.append(RolloutPool(Slow(str(tmp_path)), replace(CONFIG, workers=1)))
    running = iter(pools[0].run([(task, 0) for task in tasks(4)]))
    assert next(running).answer == "first"
    running.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 30
    started = cancelled = -1
    while not started == cancelled == 3 and time.monotonic() < deadline:
        ray.wait([ray.put(0)])
        started, cancelled = (len(list(tmp_path.glob(f"*.{kind}"))) for kind in ("started", "cancelled"))
    assert (started, cancelled) == (3, 3)


def test_a_long_episode_holds_up_no_other(pools: list[RolloutPool]) -> None:
    pools.append(RolloutPool(lingering, replace(CONFIG, workers=1, chunk=2, retry=RetryConfig(retries=0))))
    given = tasks(24)
    episodes = list(pools[0].run([(task, 0) for task in given]))
    assert [episode.answer for episode in episodes] == ["done"] * 24
    finished = [episode.task.id for episode in episodes]
    assert max(finished.index(task.id) for task in given[:2]) >= 20


def test_a_policy_that_cannot_be_built_is_said_at_once(pools: list[RolloutPool]) -> None:
    pools.append(RolloutPool(no_policy, replace(CONFIG, workers=1)))
    with pytest.raises(EngineError, match="the checkpoint is torn"):
        list(pools[0].run([(tasks(1)[0], 0)]))


@pytest.mark.parametrize(("failures", "valid"), [(2, True), (3, False)])
def test_a_failing_engine_is_tried_again_and_never_a_zero(
    pools: list[RolloutPool], tmp_path: Path, failures: int, valid: bool
) -> None:
    retry = RetryConfig(retries=2, backoff_seconds=0.01)
    seen: list[PoolStatus] = []
    pools.append(RolloutPool(Flaky(str(tmp_path), failures), replace(CONFIG, retry=retry), seen.append))
    items = [(task, 0) for task in tasks(6)]
    episodes = list(pools[0].run(items))
    assert sorted((episode.task.id, episode.sample) for episode in episodes) == keys(items)
    assert {episode.metrics["attempts"] for episode in episodes} == {3.0}
    assert len(list(tmp_path.iterdir())) == 6 * failures
    if valid:
        assert all(episode.verdict.passed and not episode.error for episode in episodes)
    else:
        assert {(episode.outcome, episode.verdict.reward) for episode in episodes} == {("engine_failed", None)}
        assert all(episode.error.startswith("tried 3 times; the last failure:\nTraceback") for episode in episodes)
    status = pools[0].status()
    assert status.retried == {"engine_failed": 12}
    assert sum(status.outcomes.values()) == status.episodes == 6
    assert seen


def test_a_worker_whose_engine_died_makes_room_for_another(pools: list[RolloutPool], tmp_path: Path) -> None:
    config = replace(CONFIG, workers=1, chunk=8, retry=RetryConfig(retries=2, backoff_seconds=0.01))
    pools.append(RolloutPool(Mortal(str(tmp_path), 3), config))
    episodes = list(pools[0].run([(task, 0) for task in tasks(20)]))
    assert [episode.answer for episode in episodes] == ["alive"] * 20
    assert len(list(tmp_path.iterdir())) == 2


def test_the_shortest_of_many_is_kept(pools: list[RolloutPool]) -> None:
    pools.append(RolloutPool(oracle, replace(CONFIG, parallel=3)))
    items = [(task, sample) for task in tasks(3) for sample in range(2)]
    episodes = list(pools[0].run(items))
    assert sorted((episode.task.id, episode.sample) for episode in episodes) == keys(items)
    for episode in episodes:
        assert episode.verdict.passed
        steps = [episode.metrics[f"parallel_steps_{index}"] for index in range(3)]
        assert (episode.metrics["parallel"], len(episode.turns)) == (3.0, min(steps))


def test_the_config_names_what_is_wrong() -> None:
    for wrong in ({"workers": 0}, {"chunk": 0}, {"parallel": 0}):
        with pytest.raises(ValueError, match="must be at least 1"):
            PoolConfig(**wrong)  # type: ignore[arg-type]
