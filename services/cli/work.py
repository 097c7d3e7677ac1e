"""`palestra synth | rollout | eval | replay`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as opt
from .console import Console
from .replaying import replay

if TYPE_CHECKING:
    from ..estimates import Estimate
    from ..jobs import Summary
    from ..launch import JobResult, Machines, Request


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("synth")(synth)
    app.command("rollout")(rollout)
    app.command("eval")(evaluate)
    app.command("replay")(replay)


def synth(
    name: opt.EnvName,
    count: Annotated[int, typer.Option("--count", help="How many accepted tasks to make.")] = 20,
    level: opt.Level = 1,
    seed: opt.Seed = 0,
    mutants: Annotated[int, typer.Option("--mutants", help="Wrong answers per task that must fail.")] = 5,
    depth: opt.Depth = "quick",
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the accepted tasks here, as JSON lines.")
    ] = None,
    sandbox: opt.Sandbox = "auto",
    store_url: opt.StoreUrl = opt.STORE,
    ray: opt.RayAddress = None,
    as_json: opt.Json = False,
) -> None:
    """Make tasks, certify them, and keep those that can be trusted."""
    from ...infra.store import Store
    from ..launch import Machines, synthesize
    from ..synthesis import SynthesisSpec

    console = Console(as_json)
    spec = SynthesisSpec(name, seed, level, count, mutants, opt.as_depth(depth))
    spec.check()
    with Store(store_url) as store:
        result = synthesize(spec, store, Machines(ray=ray, sandbox=sandbox), console, out)
        where = store.shown_url
    tally, seconds = result.tally, result.seconds
    console.data(
        {
            "run": result.run,
            "env": name,
            "accepted": len(tally.accepted),
            "rejected": tally.rejected,
            "reasons": dict(tally.reasons),
            "seconds": seconds,
            "tasks_per_second": len(tally.accepted) / seconds,
            "tasks": [task.id for task in tally.accepted],
        }
    )
    rate = f"{len(tally.accepted) / seconds:.1f} tasks/s"
    console.line(f"{name}: {len(tally.accepted)} tasks accepted, {tally.rejected} rejected in {seconds:.1f} s ({rate})")
    for reason, number in tally.reasons.most_common(10):
        console.line(f"  rejected {number}: {reason}")
    console.line(f"stored in {where}" + (f" and {out}" if out else "") + "; browse with `palestra serve`")
    if len(tally.accepted) < count:
        console.say(
            f"palestra: only {len(tally.accepted)} of {count} tasks were made: `palestra env check {name}` says why"
        )
        raise typer.Exit(1)


def rollout(
    name: opt.EnvName,
    policy: opt.PolicyName = "oracle",
    samples: Annotated[int, typer.Option("--samples", help="Episodes per task.")] = 4,
    count: Annotated[int, typer.Option("--count", help="How many tasks.")] = 8,
    level: opt.Level = 1,
    seed: opt.Seed = 0,
    tasks: opt.TasksFile = None,
    job: opt.JobName = None,
    fresh: opt.Fresh = False,
    retry_invalid: opt.RetryInvalid = False,
    sandbox: opt.Sandbox = "auto",
    workers: opt.Workers = 2,
    temperature: opt.Temperature = 1.0,
    top_p: opt.TopP = 0.95,
    max_turns: opt.MaxTurns = None,
    max_tokens: opt.MaxTokens = 256,
    context: opt.Context = None,
    context_strategy: opt.ContextStrategy = "stop",
    context_share: opt.ContextShare = 0.8,
    parallel: opt.Parallel = 0,
    retries: opt.Retries = 2,
    resources: opt.Resources = "",
    placement: opt.Placement = "pack",
    metrics_port: opt.MetricsPort = None,
    store_url: opt.StoreUrl = opt.STORE,
    ray: opt.RayAddress = None,
    as_json: opt.Json = False,
) -> None:
    """Play tasks with a policy. Killed, the same command goes on where it was."""
    from ...rollout.types import Sampling
    from ..launch import Request
    from ..strategies import Strategy

    request = Request(
        "rollout",
        name,
        policy,
        level=level,
        seed=seed,
        count=count,
        samples=samples,
        sampling=Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed),
        max_turns=max_turns,
        context=context,
        strategy=Strategy(context_strategy, context_share, parallel),
        retries=retries,
        tasks=Path(tasks) if tasks else None,
        job=job,
        fresh=fresh,
        retry_invalid=retry_invalid,
    )
    _run(request, store_url, _machines(ray, workers, sandbox, resources, placement), as_json, metrics_port)


def evaluate(
    name: opt.EnvName,
    policy: opt.PolicyName = "oracle",
    ks: Annotated[str, typer.Option("-k", help="The k of pass@k, with commas between them.", metavar="K[,K...]")] = "1",
    count: Annotated[int, typer.Option("-n", "--count", help="How many held-out tasks.")] = 64,
    samples: Annotated[int | None, typer.Option("--samples", help="Episodes per task. Default: the largest k.")] = None,
    level: opt.Level = 1,
    seed: opt.Seed = 1_000_003,
    tasks: opt.TasksFile = None,
    job: opt.JobName = None,
    fresh: opt.Fresh = False,
    retry_invalid: opt.RetryInvalid = False,
    sandbox: opt.Sandbox = "auto",
    workers: opt.Workers = 2,
    temperature: opt.Temperature = 1.0,
    top_p: opt.TopP = 0.95,
    max_turns: opt.MaxTurns = None,
    max_tokens: opt.MaxTokens = 256,
    context: opt.Context = None,
    context_strategy: opt.ContextStrategy = "stop",
    context_share: opt.ContextShare = 0.8,
    parallel: opt.Parallel = 0,
    retries: opt.Retries = 2,
    resources: opt.Resources = "",
    placement: opt.Placement = "pack",
    metrics_port: opt.MetricsPort = None,
    store_url: opt.StoreUrl = opt.STORE,
    ray: opt.RayAddress = None,
    as_json: opt.Json = False,
) -> None:
    """Estimate pass@k, unbiased, with 95 % intervals over tasks."""
    from ...rollout.types import Sampling
    from ..launch import Request
    from ..strategies import Strategy

    wanted = _parse_ks(ks)
    request = Request(
        "eval",
        name,
        policy,
        level=level,
        seed=seed,
        count=count,
        samples=max(1, *wanted) if samples is None else samples,
        ks=wanted,
        sampling=Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed),
        max_turns=max_turns,
        context=context,
        strategy=Strategy(context_strategy, context_share, parallel),
        retries=retries,
        tasks=Path(tasks) if tasks else None,
        job=job,
        fresh=fresh,
        retry_invalid=retry_invalid,
    )
    _run(request, store_url, _machines(ray, workers, sandbox, resources, placement), as_json, metrics_port)


def _parse_ks(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise typer.BadParameter(f"-k {text!r} is not numbers with commas between them, like 1,4") from None


def _machines(ray: str | None, workers: int, sandbox: str, resources: str, placement: str) -> Machines:
    from ..launch import Machines
    from ..placement import parse_placement, parse_resources

    return Machines(ray, workers, sandbox, parse_resources(resources), parse_placement(placement))


def _run(request: Request, store_url: str, machines: Machines, as_json: bool, metrics_port: int | None) -> None:
    from ...infra.store import Store
    from ..launch import run_job
    from ..metrics import serving

    request.check()
    console = Console(as_json)
    with Store(store_url) as store, serving(metrics_port, console.say):
        began = time.perf_counter()
        result = run_job(request, store, machines, console)
        _show(console, request, result, store.shown_url, time.perf_counter() - began)


def _show(console: Console, request: Request, result: JobResult, where: str, seconds: float) -> None:
    summary = result.summary
    console.data(
        result_json(summary)
        | {"policy": result.policy, "already_finished": result.already, "store": where}
        | _passes(result)
    )
    if result.already:
        console.line(f"job {summary.job} was finished before; this is its result (--fresh plays it anew)")
    rows = [
        ["episodes", f"{summary.done} of {summary.total}, {summary.invalid} invalid"],
        ["outcomes", ", ".join(f"{name} {number}" for name, number in summary.outcomes.items())],
        ["validity", ", ".join(f"{name} {number}" for name, number in summary.validity.items())],
        ["mean reward", _plain(summary.mean_reward)],
        ["pass rate", str(summary.pass_rate)],
        *([f"pass@{k}", str(estimate)] for k, estimate in result.passes.items()),
    ]
    title = f"{request.env} by {result.policy} (job {summary.job}; 95 % intervals over {len(summary.groups)} tasks)"
    console.table(title, ["", ""], rows)
    if not result.already:
        console.line(
            f"{summary.done / seconds:.1f} episodes/s, {summary.tokens / seconds:.0f} tokens/s, {seconds:.1f} s in all"
        )
    if summary.invalid:
        console.line(f"{summary.invalid} invalid: the same command with --retry-invalid plays them again")
    browse = "palestra serve" if where == opt.STORE else f"palestra serve --store {where}"
    console.line(f"stored in {where}; browse with `{browse}`, then /rollouts?job_id={summary.job}")


def result_json(summary: Summary) -> dict[str, Any]:
    """A job's result for machines."""
    return {
        "job": summary.job,
        "status": summary.status,
        "total": summary.total,
        "done": summary.done,
        "outcomes": summary.outcomes,
        "validity": summary.validity,
        "invalid": summary.invalid,
        "mean_reward": vars(summary.mean_reward),
        "pass_rate": vars(summary.pass_rate),
        "tokens": summary.tokens,
    }


def _passes(result: JobResult) -> dict[str, Any]:
    return {f"pass@{k}": vars(estimate) for k, estimate in result.passes.items()}


def _plain(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]" if estimate.n else "n/a"
