"""What the pages show that is more than a page of rows: sums, curves, and the plot of a run."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from ...infra.store import Certificate, Job, Metric, Policy, Rollout, Run, Store, Task
from .charts import Point, Series

_MOST_POINTS = 50_000


@dataclass(frozen=True)
class EnvSummary:
    """What the store knows of one environment."""

    env: str
    tasks: int
    accepted: int
    rejected: int
    rollouts: int
    invalid: int
    reward: float | None


@dataclass(frozen=True)
class Chart:
    """Curves that belong into one picture."""

    title: str
    series: tuple[Series, ...]
    share: bool


def totals(store: Store) -> dict[str, int]:
    """How many rows of each kind there are."""
    models = {"runs": Run, "tasks": Task, "rollouts": Rollout, "jobs": Job, "policies": Policy}
    return {name: store.count(model) for name, model in models.items()}


def env_summaries(store: Store) -> list[EnvSummary]:
    """One summary per environment, by name."""
    with store.reading() as session:
        tasks = dict(_pairs(session, select(Task.env, func.count()).group_by(Task.env)))
        judged = select(Task.env, func.sum(case((Certificate.accepted, 1), else_=0)), func.count()).join(
            Certificate, Certificate.task_id == Task.id
        )
        certificates = {
            env: (int(yes or 0), int(all_)) for env, yes, all_ in session.execute(judged.group_by(Task.env))
        }
        rolled = select(
            Task.env,
            func.count(),
            func.sum(case((Rollout.validity != "valid", 1), else_=0)),
            func.avg(case((Rollout.validity == "valid", Rollout.reward))),
        ).join(Rollout, Rollout.task_id == Task.id)
        rollouts = {row[0]: row[1:] for row in session.execute(rolled.group_by(Task.env))}
    found = []
    for env in sorted(tasks):
        accepted, judged_count = certificates.get(env, (0, 0))
        count, invalid, reward = rollouts.get(env, (0, 0, None))
        rejected = judged_count - accepted
        found.append(EnvSummary(env, tasks[env], accepted, rejected, count, int(invalid or 0), reward))
    return found


def _pairs(session: Session, query: object) -> list[tuple[str, int]]:
    return [(str(key), int(value)) for key, value in session.execute(query)]  # type: ignore[call-overload]


def envs_of(store: Store, task_ids: set[str]) -> dict[str, str]:
    """The environment of each task."""
    with store.reading() as session:
        rows = session.execute(select(Task.id, Task.env).where(Task.id.in_(task_ids)))
        return {row.id: row.env for row in rows}


def certificates_of(store: Store, task_ids: set[str]) -> dict[str, Certificate]:
    """The latest certificate of each task."""
    with store.reading() as session:
        rows = session.scalars(select(Certificate).where(Certificate.task_id.in_(task_ids)).order_by(Certificate.seq))
        return {row.task_id: row for row in rows}


def distinct(store: Store, column: object) -> list[str]:
    """The values of a column, sorted, at most 100."""
    with store.reading() as session:
        values = session.scalars(select(column).distinct().limit(100))  # type: ignore[call-overload]
        return sorted(str(value) for value in values if value is not None)


def run_series(store: Store, run_id: str) -> list[Series]:
    """A run's metrics as curves, `X_low` and `X_high` as the band of `X`; of two values at a step the later wins."""
    query = (
        select(Metric.name, Metric.step, Metric.value)
        .where(Metric.run_id == run_id, Metric.value.is_not(None))
        .order_by(Metric.seq)
        .limit(_MOST_POINTS)
    )
    values: dict[str, dict[int, float]] = defaultdict(dict)
    with store.reading() as session:
        for name, step, value in session.execute(query):
            if value is not None:
                values[name][step] = value
    series = []
    for name in sorted(values):
        base = name.removesuffix("_low").removesuffix("_high")
        if base != name and base in values:
            continue
        low, high = values.get(f"{name}_low", {}), values.get(f"{name}_high", {})
        points = tuple(Point(step, y, low.get(step), high.get(step)) for step, y in sorted(values[name].items()))
        series.append(Series(name, points))
    return series


def grouped(series: list[Series]) -> tuple[list[Chart], list[Chart]]:
    """The charts that matter most (held-out pass@k, reward) and the rest, one metric each."""
    passes = tuple(one for one in series if "pass@" in one.name)
    rewards = tuple(one for one in series if "reward" in one.name.lower() and one not in passes)
    main = [
        chart
        for chart in (
            Chart("Held-out pass@k", passes, True),
            Chart("Reward", rewards, all(0 <= p.y <= 1 for one in rewards for p in one.points)),
        )
        if chart.series
    ]
    rest = [Chart(one.name, (one,), False) for one in series if one not in passes and one not in rewards]
    return main, rest


def run_to_show(store: Store) -> Run | None:
    """The latest run that evaluated something, else the latest with metrics."""
    with store.reading() as session:
        for condition in (Metric.name.like("%pass@%"), Metric.value.is_not(None)):
            run_id = session.scalars(
                select(Metric.run_id).where(condition).order_by(Metric.seq.desc()).limit(1)
            ).first()
            if run_id is not None:
                return session.scalars(select(Run).where(Run.id == run_id)).first()
    return None


def plot_of(run: Run) -> Path | None:
    """The PNG that a run names (`plot` in its config, or its note) if it lies in the run's folder (`out`)."""
    out = run.config.get("out") or run.config.get("out_dir")
    named = run.config.get("plot") or run.note.strip()
    if not isinstance(out, str) or not isinstance(named, str) or not named.endswith(".png") or "\0" in out + named:
        return None
    folder = Path(out).resolve()
    path = next((p for p in (folder / named, Path(named).resolve()) if p.is_file()), None)
    return path.resolve() if path is not None and path.resolve().is_relative_to(folder) else None
