"""What a store holds, as Prometheus metrics: counted anew at each scrape, with one scan of the rollouts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy import case, func, select

from ..infra.store import Job, Rollout, Store, Task
from .metrics import SECONDS


def exposition(store: Store, accept: str) -> tuple[bytes, str]:
    """The text a scraper gets, and its media type: Prometheus' own, or OpenMetrics where it accepts that."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(store))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class StoreCollector(Collector):
    """Episodes by environment, outcome and validity, their seconds and tokens; jobs by kind and status."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand, so that registering it reads no store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Raises StoreError."""
        yield self._jobs()
        yield from self._rollouts()

    def _jobs(self) -> Metric:
        jobs = GaugeMetricFamily("palestra_jobs", "Jobs in the store.", labels=["kind", "status"])
        with self._store.reading() as session:
            for kind, status, count in session.execute(
                select(Job.kind, Job.status, func.count()).group_by(Job.kind, Job.status)
            ):
                jobs.add_metric([kind, status], count)
        return jobs

    def _rollouts(self) -> Iterator[Metric]:
        episodes = CounterMetricFamily("palestra_episodes", "Episodes finished.", labels=["env", "outcome", "validity"])
        tokens = CounterMetricFamily("palestra_recorded_tokens", "Tokens of episodes, prompts too.", labels=["env"])
        seconds = HistogramMetricFamily("palestra_episode_seconds", "Seconds of an episode.", labels=["env"])
        at_most_each = [func.sum(case((Rollout.seconds <= bound, 1), else_=0)) for bound in SECONDS]
        sums = (func.count(), func.sum(Rollout.seconds), func.sum(Rollout.tokens_count), *at_most_each)
        ends = (Task.env, Rollout.outcome, Rollout.validity)
        query = select(*ends, func.count()).join(Task, Task.id == Rollout.task_id).group_by(*ends)
        by_env = select(Task.env, *sums).join(Rollout, Task.id == Rollout.task_id).group_by(Task.env)
        with self._store.reading() as session:
            for env, outcome, validity, count in session.execute(query):
                episodes.add_metric([env, outcome, validity], count)
            for row in session.execute(by_env):
                values: list[Any] = list(row)
                name, number, total, all_tokens, *at_most = values
                tokens.add_metric([name], all_tokens)
                buckets = [(str(bound), float(below)) for bound, below in zip(SECONDS, at_most, strict=True)]
                seconds.add_metric([name], [*buckets, ("+Inf", float(number))], total)
        yield from (episodes, tokens, seconds)
