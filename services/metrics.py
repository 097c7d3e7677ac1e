"""Prometheus metrics: of the job that this process drives, live, and of what a store holds.

    with serving(9464, print):  # metrics at http://127.0.0.1:9464/metrics
        run_job(...)            # its `pools.WatchedPool` tells LIVE of every episode

Seconds in engines, tools and sandboxes are sums over an episode; single calls are spans (`infra/tracing.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from .errors import BadRequest

if TYPE_CHECKING:
    from ..rollout.status import PoolStatus
    from ..rollout.types import Episode

Say = Callable[[str], None]
HOST = "PALESTRA_METRICS_HOST"
SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_PARTS = {
    "engine": "Seconds an episode waited for its engine.",
    "tool": "Seconds an episode spent in tools.",
    "lease": "Seconds an episode waited for sandboxes, its verifier's among them.",
    "verifier": "Seconds an episode's verifier took.",
}


class EpisodeMetrics:
    """Counts episodes as they are finished; `env` labels each."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ends = ["env", "outcome", "validity"]
        self._episodes = self._counter("palestra_episodes", "Episodes finished.", ends)
        self._tokens = self._counter("palestra_sampled_tokens", "Tokens sampled.")
        self._drifted = self._counter("palestra_drifted_tokens", "Sampled tokens that text would not have kept.")
        self._retries = self._counter("palestra_retries", "Episodes played again after a failure or a dead worker.")
        self._tool_calls = self._counter("palestra_tool_calls", "Tool calls answered.")
        self._seconds = self._histogram("palestra_episode_seconds", "Seconds of an episode.")
        self._turn_seconds = self._histogram("palestra_turn_seconds", "Seconds of a turn.")
        self._part_seconds = {part: self._histogram(f"palestra_{part}_seconds", help) for part, help in _PARTS.items()}
        self._running = self._gauge("palestra_running_episodes", "Episodes being played.")
        self._waiting = self._gauge("palestra_waiting_episodes", "Episodes waiting to be played again.")
        self._workers = self._gauge("palestra_workers", "Workers ready.")
        self._deaths = self._gauge("palestra_worker_deaths", "Workers that died in this run of the pool.")

    def observe(self, episode: Episode) -> None:
        """Count a finished episode."""
        env, metrics = episode.task.env, episode.metrics
        sampled = [turn.move.completion.tokens for turn in episode.turns if turn.move.completion]
        self._episodes.labels(env, episode.outcome, episode.verdict.validity).inc()
        self._tokens.labels(env).inc(sum(map(len, sampled)))
        self._drifted.labels(env).inc(sum(turn.move.drift for turn in episode.turns))
        self._retries.labels(env).inc(max(0.0, metrics.get("attempts", 1.0) - 1.0))
        self._tool_calls.labels(env).inc(metrics.get("tool_calls", 0.0))
        self._seconds.labels(env).observe(episode.seconds)
        for turn in episode.turns:
            self._turn_seconds.labels(env).observe(turn.seconds)
        for part, histogram in self._part_seconds.items():
            if f"{part}_seconds" in metrics:
                histogram.labels(env).observe(metrics[f"{part}_seconds"])

    def watch(self, status: PoolStatus) -> None:
        """Take over what the pool is doing now."""
        self._running.set(status.running)
        self._waiting.set(status.waiting)
        self._workers.set(status.workers)
        self._deaths.set(status.deaths)

    def _counter(self, name: str, help: str, labels: list[str] | None = None) -> Counter:
        return Counter(name, help, labels or ["env"], registry=self.registry)

    def _histogram(self, name: str, help: str) -> Histogram:
        return Histogram(name, help, ["env"], buckets=SECONDS, registry=self.registry)

    def _gauge(self, name: str, help: str) -> Gauge:
        return Gauge(name, help, registry=self.registry)


class TrainingMetrics:
    """The latest numbers of the training runs of this process, by `run` and `name`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["run", "name"]
        self._numbers = Gauge(
            "palestra_training", "The latest value of a training run's number.", labels, registry=registry
        )
        self._step = Gauge("palestra_training_step", "The latest step of a training run.", ["run"], registry=registry)
        self._names: dict[str, set[str]] = {}

    def observe(self, run: str, step: int, numbers: Mapping[str, float]) -> None:
        """Take the numbers of a step."""
        self._step.labels(run).set(step)
        self._names.setdefault(run, set()).update(numbers)
        for name, number in numbers.items():
            self._numbers.labels(run, name).set(number)

    def forget(self, run: str) -> None:
        """Drop a run that is over."""
        if names := self._names.pop(run, None):
            self._step.remove(run)
            for name in names:
                self._numbers.remove(run, name)


LIVE = EpisodeMetrics()
"""Of this process, for as long as it lives."""
LIVE_TRAINING = TrainingMetrics(LIVE.registry)
"""Of this process too, served with the others."""


@contextmanager
def serving(port: int | None, say: Say, metrics: EpisodeMetrics = LIVE) -> Iterator[None]:
    """Serve the metrics meanwhile, on PALESTRA_METRICS_HOST (default 127.0.0.1), and say where; `port` 0 takes a free
    one, None serves nothing. Raises BadRequest where it is taken.
    """
    if port is None:
        yield
        return
    host = os.environ.get(HOST, "127.0.0.1")
    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except OSError as error:
        raise BadRequest(
            f"cannot serve metrics on {host}:{port} ({error.strerror or error}): give another --metrics-port"
        ) from error
    say(f"metrics at http://{host}:{server.server_port}/metrics")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
