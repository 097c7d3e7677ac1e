"""Rollouts on Ray: actors that play episodes, and a pool that hands out work and survives their death.

A worker holds a chunk of episodes at a time. One call waits in each: it brings the episodes that finish next, and the
call after it takes as many new ones there, so that a long episode holds up no other. What a dead worker had not yet
returned is given to another, and so is an episode that failed of the machinery (`backlog.py`). No more than a chunk per
worker is ever unread, so that memory stays flat however slow the reader is. (Plain calls, not Ray's streaming
generators: those Ray Client, which is what `ray://` addresses mean, does not have.)

A worker is an asyncio actor: all its methods, synchronous ones too, run in one event loop, so that `load_weights` falls
between two steps of an engine. Ray may start the calls of such an actor in any order, which is why a run has a number,
and a successor gets its weights when it is built.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import ray

from ..envs.registry import environment_class
from ..envs.types import Task
from ..infra import tracing
from ..infra.sandbox.sync import Sandboxes
from .backlog import Backlog, Item, RetryConfig, Work
from .cluster import ClusterTooSmall, check_alive, check_places, places, watched
from .episode import Budget, broken_episode, run_episode
from .errors import EngineError
from .parallel import fewest_steps
from .status import Meter, PoolStatus, Straggler
from .types import Episode, Policy
from .weights import TakesWeights, Weights

MakePolicy = Callable[[Sandboxes | None], Policy]
Watch = Callable[[PoolStatus], None]
CLOSE_SECONDS = 10.0
TICK_SECONDS = 1.0
PLACE_SECONDS = 30.0
_SICK = 3


@dataclass(frozen=True)
class PoolConfig:
    """`chunk` episodes run concurrently in a worker, each of them `parallel` times at once, of which the shortest is
    kept. Each worker takes `cpus_per_worker`, `gpus_per_worker` and the custom `resources` of a node.
    "SPREAD" places workers on all nodes evenly, "PACK" on few (Ray's default strategy).
    """

    workers: int = 2
    chunk: int = 32
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)
    placement: Literal["PACK", "SPREAD"] = "PACK"
    threads: int = 1
    sandbox: str | None = None
    budget: Budget = field(default_factory=Budget)
    retry: RetryConfig = field(default_factory=RetryConfig)
    parallel: int = 1

    def __post_init__(self) -> None:
        for name in ("workers", "chunk", "parallel"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least 1")

    @property
    def demand(self) -> dict[str, float]:
        """What one worker needs, by Ray's names."""
        return {"CPU": self.cpus_per_worker, "GPU": self.gpus_per_worker, **self.resources}


class RolloutWorker:
    """Plays episodes in one process. Built from picklable parts only, so that Ray can build it anywhere."""

    def __init__(
        self, make_policy: MakePolicy, config: PoolConfig, weights: Weights | None = None, version: int = 0
    ) -> None:
        tracing.configure()
        self._sandboxes = Sandboxes(config.sandbox) if config.sandbox else None
        self._policy = make_policy(self._sandboxes)
        self._config = config
        self._first = (weights, version)
        self._loading = asyncio.Lock()
        self._playing: set[asyncio.Task[tuple[int, Episode]]] = set()
        self._run = 0
        if "torch" in sys.modules:  # scripted policies do without, and start seconds sooner
            import torch

            torch.set_num_threads(config.threads)
        gc.freeze()  # what is here now stays as long as the process: no collection need look through it

    async def ready(self) -> None:
        """Answers once the worker is built, and has the weights it was built with unless it got newer ones."""
        async with self._loading:
            weights, version = self._first
            if weights is not None:
                await self._load(weights, version)

    async def load_weights(self, weights: Weights, version: int) -> None:
        """Hand new weights to the policy's engine. EngineError where the policy has none."""
        async with self._loading:
            await self._load(weights, version)

    async def _load(self, weights: Weights, version: int) -> None:
        engine: Any = getattr(self._policy, "engine", None)
        if not isinstance(engine, TakesWeights):
            raise EngineError(f"policy {self._policy.id!r} has no weights to load")
        self._first = (None, 0)
        loading = engine.load_weights(weights, version)
        if inspect.isawaitable(loading):
            await loading

    async def play(
        self, run: int, items: list[tuple[int, Item]], parent: Mapping[str, str]
    ) -> list[tuple[int, Episode]]:
        """Begin the numbered items beside those at work, and wait for what finishes next: episodes with their numbers.

        One call at a time. A later `run` ends what an earlier one left.
        """
        if run < self._run:
            return []
        if run > self._run:
            self.stop(run - 1)
        with tracing.carried(parent):
            self._playing |= {asyncio.ensure_future(self._play(number, item)) for number, item in items}
        finished, _ = await asyncio.wait(self._playing, return_when=asyncio.FIRST_COMPLETED)
        self._playing -= finished
        return [task.result() for task in finished if not task.cancelled()]

    def stop(self, run: int) -> None:
        """End run `run` and those before it: what they still play, and what of them is still to arrive here."""
        if run < self._run:
            return
        self._run = run + 1
        playing, self._playing = self._playing, set()
        for task in playing:
            task.cancel()

    async def close(self) -> None:
        """Give back what the policy and the sandboxes hold."""
        await self._policy.close()
        if self._sandboxes is not None:
            await asyncio.to_thread(self._sandboxes.close)
        await asyncio.to_thread(tracing.flush)

    async def _play(self, number: int, item: Item) -> tuple[int, Episode]:
        task, sample = item
        if self._config.parallel == 1:
            return number, await self._once(task, sample)
        return number, await fewest_steps(lambda one: self._once(task, one), sample, self._config.parallel)

    async def _once(self, task: Task, sample: int) -> Episode:
        try:
            env = environment_class(task.env)(self._sandboxes)
        except Exception as error:
            return broken_episode(task, sample, error)
        return await run_episode(env, task, self._policy, sample, self._config.budget)


@dataclass
class _Slot:
    """The place of one worker: the actor there, `building` until it answered first, the `work` it has, and the call
    that is `playing` there: its next episodes.

    `served` counts its episodes whose engine did not fail, `failures` those since whose engine did.
    """

    actor: Any
    building: Any
    work: dict[int, Work] = field(default_factory=dict)
    playing: Any = None
    served: int = 0
    failures: int = 0

    @property
    def sick(self) -> bool:
        """Whether its engine served before and fails now: it may be dead for good."""
        return self.failures >= _SICK and self.served > 0


class RolloutPool:
    """Workers on the connected Ray cluster. `run` streams episodes; `load_weights` reaches every worker before later
    work. `watch` is told the status about once a second while `run` is read.

    Raises ClusterTooSmall where the cluster can never hold the workers.
    """

    def __init__(self, make_policy: MakePolicy, config: PoolConfig | None = None, watch: Watch | None = None) -> None:
        self.config = config or PoolConfig()
        check_places(self.config.workers, self.config.demand)
        self._make_policy = make_policy
        self._watch = watch or (lambda status: None)
        self._actor: Any = ray.remote(RolloutWorker).options(
            num_cpus=self.config.cpus_per_worker,
            num_gpus=self.config.gpus_per_worker,
            resources=dict(self.config.resources),
            scheduling_strategy="SPREAD" if self.config.placement == "SPREAD" else "DEFAULT",
            max_concurrency=4,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": "1", **tracing.environment()}},
        )
        self._weights: tuple[Any, int] = (None, 0)
        self._slots = [self._spawn() for _ in range(self.config.workers)]
        self._meter = Meter()
        self._run = self._waiting = self._stillborn = 0
        self._silent: float | None = None
        self._homeless: float | None = None

    def load_weights(self, weights: Weights, version: int) -> None:
        """Send new weights to all workers and wait until they hold them; a dead worker's successor begins with them.

        The first worker gets them alone: where all share one server, it is done once, and the others find it so.
        Raises EngineError where the policy takes no weights, or not these.
        """
        before, self._weights = self._weights, (ray.put(weights), version)
        try:
            with watched():
                for some in (self._slots[:1], self._slots[1:]):
                    self._load(some)
        except ray.exceptions.RayTaskError:
            self._weights = before
            raise

    def _load(self, slots: list[_Slot]) -> None:
        left = {slot.actor.load_weights.remote(*self._weights): slot for slot in slots}
        while left:
            for done in ray.wait(list(left), num_returns=1, timeout=TICK_SECONDS)[0]:
                slot = left.pop(done)
                try:
                    ray.get(done)
                    slot.building = None
                except ray.exceptions.RayTaskError:
                    raise
                except ray.exceptions.RayError as error:
                    self._replace(slot, error)
            self._check_cluster()
            if left and places(self.config.demand) < len(self._slots):
                for done, slot in left.items():  # nodes were lost: those have no place now, and may get one later
                    slot.building = done
                return

    def run(self, items: Iterable[Item]) -> Iterator[Episode]:
        """Play all items; every item yields exactly one episode, in the order they finish. Invalid ones are played
        again first, as the config says.

        Closing the iterator cancels what still runs. EngineError where the policy cannot be built at all,
        ClusterTooSmall where lost nodes left no place for a worker, ClusterUnavailable where the cluster is gone.
        """
        backlog = Backlog(items, self.config.chunk, self.config.retry)
        meter = self._meter = Meter()
        self._run += 1
        told = 0.0
        try:
            with watched():
                while not backlog.empty or any(slot.work for slot in self._slots):
                    self._hand_out(backlog)
                    for episode in self._collect(backlog):
                        meter.add(episode)
                        yield episode
                    if time.monotonic() - told >= TICK_SECONDS:
                        told, self._waiting = time.monotonic(), backlog.waiting
                        self._watch(self.status())
        finally:
            self._stop()

    def _stop(self) -> None:
        for slot in self._slots:
            if slot.work and ray.is_initialized():
                with contextlib.suppress(OSError):  # the node is gone, and what made it known is being raised
                    slot.actor.stop.remote(self._run)
            slot.work, slot.playing = {}, None

    def status(self) -> PoolStatus:
        """What the pool is doing; cheap, and picklable."""
        now = time.monotonic()
        running = [
            Straggler(work.item[0].id, work.item[1], now - work.began)
            for slot in self._slots
            for work in slot.work.values()
        ]
        ready = sum(slot.building is None for slot in self._slots)
        return self._meter.status(ready, self._waiting, running)

    def close(self) -> None:
        """Stop the workers, after they gave back what they hold."""
        actors, self._slots = [slot.actor for slot in self._slots], []
        if actors and ray.is_initialized() and self._silent is None:
            with contextlib.suppress(OSError):  # the node is gone, and its workers with it
                ray.wait([actor.close.remote() for actor in actors], num_returns=len(actors), timeout=CLOSE_SECONDS)
                for actor in actors:
                    ray.kill(actor)

    def _spawn(self) -> _Slot:
        actor = self._actor.remote(self._make_policy, self.config, *self._weights)
        return _Slot(actor, actor.ready.remote())

    def _hand_out(self, backlog: Backlog) -> None:
        """Fill up every worker that waits for nothing."""
        for slot in self._slots:
            if slot.building is not None or slot.playing is not None:
                continue
            if slot.sick and not slot.work:
                self._renew(slot)
                continue
            more = [] if slot.sick else backlog.take(slot.work.values())
            slot.work |= {work.number: work for work in more}
            if slot.work:
                items = [(work.number, work.item) for work in more]
                slot.playing = slot.actor.play.remote(self._run, items, tracing.carrier())

    def _collect(self, backlog: Backlog) -> Iterator[Episode]:
        """Wait for what comes first, a second at most: the next episodes of a worker, or a worker that is built now."""
        building = {slot.building: slot for slot in self._slots if slot.building is not None}
        playing = {slot.playing: slot for slot in self._slots if slot.playing is not None}
        due = backlog.seconds()
        seconds = TICK_SECONDS if due is None else min(TICK_SECONDS, due or TICK_SECONDS)
        if not building and not playing:
            time.sleep(seconds)
            return
        found = ray.wait([*playing, *building], num_returns=1, timeout=seconds)[0]
        if not found:
            self._check_cluster()
        for one in found:
            if one in building:
                self._greet(building[one])
            else:
                yield from self._receive(playing[one], backlog)

    def _greet(self, slot: _Slot) -> None:
        try:
            ray.get(slot.building)
            slot.building, self._stillborn, self._homeless = None, 0, None
        except ray.exceptions.RayTaskError:
            raise
        except ray.exceptions.RayError as error:
            self._replace(slot, error)

    def _receive(self, slot: _Slot, backlog: Backlog) -> Iterator[Episode]:
        """The worker's next episodes, less those that are played again; one that died or failed is replaced."""
        call, slot.playing = slot.playing, None
        try:
            with _uncollected():
                finished = ray.get(call)
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.RayTaskError):
                self._renew(slot)
            else:
                self._replace(slot, error)
            lost, slot.work = list(slot.work.values()), {}
            yield from backlog.lose(lost, str(error).strip())
            return
        for number, episode in finished:
            self._judge_engine(slot, episode)
            final = backlog.settle(slot.work.pop(number), episode)
            if final is None:
                self._meter.retried[episode.outcome] += 1
            else:
                yield final

    def _judge_engine(self, slot: _Slot, episode: Episode) -> None:
        failed = episode.outcome == "engine_failed"
        slot.failures = slot.failures + 1 if failed else 0
        slot.served += not failed

    def _renew(self, slot: _Slot) -> None:
        """Another worker for one that answers, but whose engine is sick, or that failed itself."""
        ray.wait([slot.actor.close.remote()], timeout=CLOSE_SECONDS)
        ray.kill(slot.actor)
        self._fill(slot)

    def _replace(self, slot: _Slot, error: ray.exceptions.RayError) -> None:
        """A successor for a worker that died, or whose node did. EngineError where it could not be built, or dies in
        building again and again; ClusterUnavailable where the whole cluster is gone.
        """
        if getattr(error, "actor_init_failed", False):
            raise EngineError(f"a rollout worker cannot be built: {str(error).strip().splitlines()[-1]}") from error
        self._stillborn += slot.building is not None
        if self._stillborn >= 2 * self.config.retry.lives + self.config.workers:
            told = " ".join(str(error).split())[:300]
            raise EngineError(f"a rollout worker died {self._stillborn} times while it was built: {told}") from error
        self._meter.deaths += 1
        while (silent := check_alive(self._silent)) is not None:
            self._silent = silent
            time.sleep(TICK_SECONDS)
        self._silent = None
        ray.kill(slot.actor)  # one that only seems dead must not go on beside its successor
        self._fill(slot)

    def _fill(self, slot: _Slot) -> None:
        fresh = self._spawn()
        slot.actor, slot.building, slot.served, slot.failures = fresh.actor, fresh.building, 0, 0

    def _check_cluster(self) -> None:
        """Called while nothing comes: raises where the cluster is gone, or has had no place for any worker for long."""
        self._silent = check_alive(self._silent)
        if self._silent is not None or any(slot.building is None for slot in self._slots):
            return
        try:
            check_places(1, self.config.demand)
            self._homeless = None
        except ClusterTooSmall:
            self._homeless = self._homeless or time.monotonic()
            if time.monotonic() - self._homeless >= PLACE_SECONDS:
                raise


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Nothing that is unpickled is garbage yet; looking for some meanwhile, in all of the reader's memory, would cost
    more than the unpickling."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
