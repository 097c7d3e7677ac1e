"""Synthesis, rollouts and evaluations as the command line asks for them: check, make tasks, play, store, sum up.

Everything that can be wrong with a request is found before Ray starts.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..envs.environment import Environment
from ..envs.registry import environment_class
from ..envs.types import Task
from ..infra import store as db
from ..infra.tracing import span
from ..rollout.records import task_row
from ..rollout.types import Episode, Sampling
from .errors import BadRequest, JobCancelled
from .estimates import Estimate
from .jobs import (
    JobSpec,
    Summary,
    close_run,
    create_job,
    find_job,
    job_tasks,
    open_run,
    play_job,
    store_policy,
    summarize,
)
from .machines import connect_ray, sandbox_for
from .policies import NamedPolicy, check_server, parse_policy
from .progress import Progress, status_note
from .strategies import Strategy
from .synthesis import SynthesisSpec, Tally, check_writable, make_tasks, read_tasks, store_made, write_tasks

if TYPE_CHECKING:
    from ..rollout.workers import PoolConfig

CHUNK = 32


@dataclass(frozen=True)
class Machines:
    """Where to play: a Ray address (None: a local Ray), how many workers, which sandbox; what each worker takes of a
    node (by Ray's names; CPU: what there is, one at most), and how workers are placed.
    """

    ray: str | None = None
    workers: int = 2
    sandbox: str = "auto"
    resources: Mapping[str, float] = field(default_factory=dict)
    placement: Literal["PACK", "SPREAD"] = "PACK"


@dataclass(frozen=True)
class Request:
    """A rollout or an evaluation (`ks` are the k of its pass@k). `tasks` is a file of tasks instead of new ones.
    `retry_invalid`: where the job is there already, its invalid episodes are played again.
    """

    kind: Literal["rollout", "eval"]
    env: str
    policy: str
    level: int = 1
    seed: int = 0
    count: int = 8
    samples: int = 4
    ks: tuple[int, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    max_turns: int | None = None
    context: int | None = None
    strategy: Strategy = field(default_factory=Strategy)
    retries: int = 2
    tasks: Path | None = None
    job: str | None = None
    fresh: bool = False
    retry_invalid: bool = False

    def check(self) -> type[Environment]:
        """The environment's class. Raises BadRequest, PluginError."""
        for name in ("count", "samples", "max_turns"):
            if (getattr(self, name) or 0) < 1 and getattr(self, name) is not None:
                raise BadRequest(f"{name.replace('_', '-')} is {getattr(self, name)}: it must be at least 1")
        if self.kind == "eval" and (not self.ks or min(self.ks) < 1 or max(self.ks) > self.samples):
            raise BadRequest(
                f"pass@k for k in {list(self.ks)} needs k >= 1 and --samples of at least k, not {self.samples}"
            )
        if self.retries < 0:
            raise BadRequest(f"retries is {self.retries}: it must be 0 or more")
        _check_sampling(self.sampling)
        self.strategy.check(self.policy)
        return SynthesisSpec(self.env, self.seed, self.level, self.count).check()

    @property
    def turns(self) -> int:
        """Completions per episode: what was asked for, else what the environment says."""
        return environment_class(self.env).max_turns if self.max_turns is None else self.max_turns


@dataclass(frozen=True)
class JobResult:
    """What a job came to; `already` where it was finished before."""

    summary: Summary
    policy: str
    already: bool
    passes: dict[int, Estimate]


@dataclass(frozen=True)
class SynthesisResult:
    """What a synthesis came to, and how long it took once Ray was there."""

    run: str
    tally: Tally
    seconds: float


def synthesize(
    spec: SynthesisSpec, store: db.Store, machines: Machines, progress: Progress, out: Path | None = None
) -> SynthesisResult:
    """Make and store tasks; those accepted also go to `out`, one JSON object per line."""
    cls = spec.check()
    if out is not None:
        check_writable(out)
    sandbox = sandbox_for(cls, machines.sandbox, progress.say)
    cpus = connect_ray(machines.ray)
    run = db.Run(kind="synth", config=asdict(spec) | {"version": cls.version})
    run_id = run.id
    store.add(run)
    status = "failed"
    tally = Tally()
    began = time.perf_counter()
    try:
        tally = _make(spec, sandbox, cpus, progress, lambda made: store_made(store, made, run_id))
        seconds = time.perf_counter() - began
        if out is not None:
            write_tasks(out, tally.accepted)
        status = "finished" if tally.accepted else "failed"
    finally:
        close_run(
            store,
            run_id,
            status,
            f"{len(tally.accepted)} accepted, {tally.rejected} rejected: {tally.why()}".rstrip(": "),
        )
    store.log_metrics(run_id, 0, {"accepted": len(tally.accepted), "rejected": tally.rejected})
    return SynthesisResult(run_id, tally, seconds)


def run_job(request: Request, store: db.Store, machines: Machines, progress: Progress) -> JobResult:
    """Play a job to its end, or show the one that is finished. The same request goes on where a killed one was."""
    cls = request.check()
    if machines.workers < 1:
        raise BadRequest(f"workers is {machines.workers}: it must be at least 1")
    given = read_tasks(request.tasks, request.env) if request.tasks else None
    policy = parse_policy(request.policy, request.sampling, store, request.context)
    spec = _spec(request, cls, policy, given)
    job_id, job = find_job(store, spec, request.job, request.fresh)
    if job is not None and job.status == "finished":
        found = _result(store, job_id, policy, request, already=True)
        if not (request.retry_invalid and found.summary.invalid):
            return found
        progress.say(f"job {job_id}: {found.summary.invalid} invalid episodes are played again")
    check_server(policy)
    sandbox = sandbox_for(cls, machines.sandbox, progress.say)
    cpus = connect_ray(machines.ray, machines.workers)
    if job is not None:
        tasks = job_tasks(store, job)
        progress.say(f"job {job_id} goes on: {job.done} of {job.total} episodes were stored when it was last seen")
    else:
        tasks = given or _job_tasks(request, store, sandbox, cpus, progress)
        for task in given or ():
            store.add_once(task_row(task))
        create_job(store, job_id, spec, tasks)
    store_policy(store, policy)
    if request.kind == "eval":
        open_run(store, job_id, "eval", asdict(spec))
    try:
        _play(store, job_id, tasks, request, policy, replace(machines, sandbox=sandbox or ""), progress)
    except JobCancelled:
        if request.kind == "eval":
            close_run(store, job_id, "cancelled")
        raise
    result = _result(store, job_id, policy, request, already=False)
    if request.kind == "eval":
        _store_metrics(store, job_id, request.env, result, request.retry_invalid)
    return result


def _spec(request: Request, cls: type[Environment], policy: NamedPolicy, given: list[Task] | None) -> JobSpec:
    return JobSpec(
        kind=request.kind,
        env=request.env,
        version=cls.version,
        level=request.level,
        seed=request.seed,
        count=len(given) if given else request.count,
        samples=request.samples,
        policy=policy.identity,
        temperature=request.sampling.temperature,
        top_p=request.sampling.top_p,
        max_turns=request.turns,
        max_tokens=request.sampling.max_tokens,
        context=request.context or 0,
        tasks=hashlib.sha256("".join(task.id for task in given).encode()).hexdigest()[:16] if given else "",
        context_strategy=request.strategy.name,
        context_share=request.strategy.share,
        parallel=request.strategy.count,
    )


def _check_sampling(sampling: Sampling) -> None:
    if not (math.isfinite(sampling.temperature) and sampling.temperature >= 0):
        raise BadRequest(f"temperature is {sampling.temperature}: it must be 0 (greedy) or more")
    if not 0 < sampling.top_p <= 1:
        raise BadRequest(f"top-p is {sampling.top_p}: it must be above 0 and at most 1")
    if sampling.max_tokens < 1:
        raise BadRequest(f"max-tokens is {sampling.max_tokens}: it must be at least 1")


def _make(
    spec: SynthesisSpec, sandbox: str | None, cpus: float, progress: Progress, keep: Callable[..., None]
) -> Tally:
    tally = Tally()
    with progress.stage(f"{spec.env}: making {spec.count} tasks", spec.count) as update:
        for made in make_tasks(spec, sandbox, cpus):
            tally.add(made)
            keep(made)
            update(len(tally.accepted), f"{tally.rejected} rejected" if tally.rejected else "")
    return tally


def _job_tasks(request: Request, store: db.Store, sandbox: str | None, cpus: float, progress: Progress) -> list[Task]:
    """New certified tasks, the same for the same seed; BadRequest where none could be made."""
    spec = SynthesisSpec(request.env, request.seed, request.level, request.count)
    split = "heldout" if request.kind == "eval" else "train"
    tally = _make(spec, sandbox, cpus, progress, lambda made: store_made(store, made, split=split))
    if not tally.accepted:
        raise BadRequest(
            f"{request.env} gave no task that can be trusted in {tally.attempts} attempts: {tally.why()} "
            f"(see `palestra env check {request.env}`)"
        )
    if len(tally.accepted) < request.count:
        progress.say(f"only {len(tally.accepted)} of {request.count} tasks could be made: {tally.why()}")
    return tally.accepted


def _play(
    store: db.Store,
    job_id: str,
    tasks: list[Task],
    request: Request,
    policy: NamedPolicy,
    machines: Machines,
    progress: Progress,
) -> None:
    from ..rollout.status import PoolStatus
    from .pools import WatchedPool

    pools: list[WatchedPool] = []
    total = len(tasks) * request.samples
    passed = judged = stored = 0
    note = ""
    try:
        about = {"job": job_id, "kind": request.kind, "env": request.env, "policy": policy.identity}
        with span("job", **about), progress.stage(f"{request.env}: playing {total} episodes", total) as update:

            def show() -> None:
                update(stored, f"{passed} of {judged} passed{note}")

            def watch(status: PoolStatus) -> None:
                nonlocal note
                note = "; " + status_note(status)
                show()

            def open_pool(left: int) -> WatchedPool:
                pools.append(WatchedPool(request.strategy.apply(policy), _pool_config(request, machines, left), watch))
                return pools[-1]

            def on_episode(episode: Episode, done: int) -> None:
                nonlocal passed, judged, stored
                judged += episode.verdict.reward is not None
                passed += episode.verdict.passed
                stored = done
                show()

            play_job(
                store,
                job_id,
                tasks,
                request.samples,
                open_pool,
                _run_id(request, job_id),
                policy.identity,
                on_episode,
                retry_invalid=request.retry_invalid,
            )
    finally:
        for pool in pools:
            pool.close()


def _pool_config(request: Request, machines: Machines, left: int) -> PoolConfig:
    """A pool for the `left` episodes. ClusterTooSmall where the cluster has no such places."""
    from ..rollout.backlog import RetryConfig
    from ..rollout.cluster import share_of_cpus
    from ..rollout.episode import Budget
    from ..rollout.workers import PoolConfig

    workers = min(machines.workers, left)
    custom = {name: amount for name, amount in machines.resources.items() if name not in ("CPU", "GPU")}
    gpus = machines.resources.get("GPU", 0.0)
    cpus = machines.resources.get("CPU")
    return PoolConfig(
        workers=workers,
        chunk=max(1, min(CHUNK, math.ceil(left / (2 * workers)))),
        cpus_per_worker=share_of_cpus(workers, {"GPU": gpus, **custom}) if cpus is None else cpus,
        gpus_per_worker=gpus,
        resources=custom,
        placement=machines.placement,
        sandbox=machines.sandbox or None,
        budget=Budget(turns=request.turns),
        retry=RetryConfig(retries=request.retries),
        parallel=request.strategy.count,
    )


def _run_id(request: Request, job_id: str) -> str | None:
    return job_id if request.kind == "eval" else None


def _result(store: db.Store, job_id: str, policy: NamedPolicy, request: Request, already: bool) -> JobResult:
    summary = summarize(store, job_id)
    return JobResult(summary, policy.identity, already, {k: summary.pass_at(k) for k in request.ks})


def _store_metrics(store: db.Store, run_id: str, env: str, result: JobResult, retried: bool) -> None:
    """`ENV/pass@k` with `_low` and `_high`: at step 0, and at the next one where invalid episodes were played again."""
    values: dict[str, float] = {}
    for k, estimate in result.passes.items():
        name = f"{env}/pass@{k}"
        values |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    before = store.count(db.Metric, run_id=run_id) // len(values)
    if retried or not before:
        store.log_metrics(run_id, before, values)
    shown = ", ".join(f"pass@{k} {estimate}" for k, estimate in result.passes.items())
    close_run(store, run_id, "finished", f"{env} by {result.policy}: {shown}")
