"""Durable jobs: nothing lost, nothing repeated, whatever ends the process that drives them."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palestra.envs.mini.travel import TravelMini
from palestra.envs.types import Task
from palestra.infra import store as db
from palestra.infra.store.errors import StoreConflict, StoreFull, StoreUnavailable
from palestra.rollout.records import task_row
from palestra.rollout.types import Episode
from palestra.services.errors import BadRequest, JobCancelled
from palestra.services.jobs import JobSpec, Patience, cancel_job, create_job, find_job, job_tasks, play_job, summarize
from palestra.verifiers.types import Verdict

SPEC = JobSpec(
    kind="rollout",
    env="travel-mini",
    version="1",
    level=1,
    seed=0,
    count=2,
    samples=2,
    policy="fake",
    temperature=1.0,
    top_p=1.0,
    max_turns=4,
    max_tokens=8,
)


class FakePool:
    """Plays every item at once: even samples pass. `stop_after` stands for whatever ends the process."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.played: list[tuple[str, int]] = []

    def run(self, items: Iterable[tuple[Task, int]]) -> Iterator[Episode]:
        for task, sample in items:
            if len(self.played) == self.stop_after:
                raise KeyboardInterrupt
            self.played.append((task.id, sample))
            yield Episode(task, sample, "fake", "answered", Verdict(reward=float(sample % 2 == 0)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[db.Store]:
    with db.Store(f"sqlite:///{tmp_path}/s.db") as store:
        yield store


@pytest.fixture
def tasks(store: db.Store) -> list[Task]:
    made = [TravelMini().propose(random.Random(seed), 1) for seed in (1, 2)]
    store.add(*(task_row(task) for task in made))
    return made


def test_the_same_spec_is_the_same_job_and_any_change_another() -> None:
    assert SPEC.id == replace(SPEC).id
    assert len({replace(SPEC, seed=seed).id for seed in range(5)}) == 5


def test_an_interrupted_job_goes_on_and_repeats_nothing(store: db.Store, tasks: list[Task]) -> None:
    create_job(store, "j", SPEC, tasks)
    first, second, third = FakePool(stop_after=3), FakePool(), FakePool()
    with pytest.raises(KeyboardInterrupt):
        play_job(store, "j", tasks, 2, lambda left: first)
    play_job(store, "j", tasks, 2, lambda left: second)
    play_job(store, "j", tasks, 2, lambda left: third)
    assert len(first.played) == 3
    assert sorted(first.played + second.played) == sorted((task.id, sample) for task in tasks for sample in range(2))
    assert third.played == []
    summary = summarize(store, "j")
    assert (summary.status, summary.done, summary.total) == ("finished", 4, 4)
    assert summary.pass_rate.value == 0.5
    assert summary.pass_at(2).value == 1.0
    job = store.get(db.Job, "j")
    assert job is not None
    assert [task.id for task in job_tasks(store, job)] == [task.id for task in tasks]


class SickPool(FakePool):
    """Odd samples fail of the machinery."""

    def run(self, items: Iterable[tuple[Task, int]]) -> Iterator[Episode]:
        for episode in super().run(items):
            odd = Verdict.invalid("invalid_infra", "the sandbox is gone")
            yield replace(episode, verdict=odd, outcome="sandbox_failed") if episode.sample % 2 else episode


def test_invalid_episodes_are_played_again_when_asked_and_each_is_stored_once(
    store: db.Store, tasks: list[Task]
) -> None:
    create_job(store, "j", SPEC, tasks)
    keys = {(task.id, sample) for task in tasks for sample in range(2)}
    odd = sorted(key for key in keys if key[1])
    play_job(store, "j", tasks, 2, lambda left: SickPool())
    assert summarize(store, "j").invalid == 2
    play_job(store, "j", tasks, 2, lambda left: FakePool(stop_after=0))
    sick, well, idle = SickPool(), FakePool(), FakePool()
    play_job(store, "j", tasks, 2, lambda left: sick, retry_invalid=True)
    assert (sorted(sick.played), summarize(store, "j").invalid) == (odd, 2)
    dones: list[int] = []
    play_job(store, "j", tasks, 2, lambda left: well, on_episode=lambda _, done: dones.append(done), retry_invalid=True)
    play_job(store, "j", tasks, 2, lambda left: idle, retry_invalid=True)
    assert (sorted(well.played), idle.played, dones) == (odd, [], [3, 4])
    summary = summarize(store, "j")
    assert (summary.status, summary.done, summary.invalid, summary.pass_rate.value) == ("finished", 4, 0, 0.5)
    assert store.finished("j") == keys
    assert store.count(db.Rollout) == store.count(db.Verdict) == 4


def test_a_valid_episode_is_never_replaced(store: db.Store, tasks: list[Task]) -> None:
    """Two drivers play the same invalid episodes again: the first valid ones stay."""
    create_job(store, "j", SPEC, tasks)
    play_job(store, "j", tasks, 2, lambda left: SickPool())

    class Racing(FakePool):
        def run(self, items: Iterable[tuple[Task, int]]) -> Iterator[Episode]:
            play_job(store, "j", tasks, 2, lambda left: FakePool(), retry_invalid=True)
            before.extend(row.id for row in store.page(db.Rollout)[0])
            yield from super().run(items)

    before: list[str] = []
    play_job(store, "j", tasks, 2, lambda left: Racing(), retry_invalid=True)
    assert [row.id for row in store.page(db.Rollout)[0]] == before
    assert store.finished("j", db.Rollout.validity == "valid") == store.finished("j")


def test_two_drivers_store_each_episode_once(store: db.Store, tasks: list[Task]) -> None:
    create_job(store, "j", SPEC, tasks)
    inner = FakePool()

    class Racing(FakePool):
        """Another process plays the whole job between two of our episodes."""

        def run(self, items: Iterable[tuple[Task, int]]) -> Iterator[Episode]:
            for number, episode in enumerate(super().run(items)):
                if number == 1:
                    play_job(store, "j", tasks, 2, lambda left: inner)
                yield episode

    play_job(store, "j", tasks, 2, lambda left: Racing())
    assert store.count(db.Rollout, job_id="j") == 4
    assert store.count(db.Verdict) == 4


def test_a_cancelled_job_stops_and_can_go_on(
    store: db.Store, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palestra.services.jobs.POLL_SECONDS", 0.0)
    create_job(store, "j", SPEC, tasks)

    def cancel_at_two(episode: Episode, done: int) -> None:
        if done == 2:
            cancel_job(store, "j")

    with pytest.raises(JobCancelled, match="goes on"):
        play_job(
            store,
            "j",
            tasks,
            2,
            lambda left: FakePool(),
            on_episode=cancel_at_two,
        )
    assert store.count(db.Rollout, job_id="j") == 2
    with pytest.raises(BadRequest, match="is cancelled"):
        cancel_job(store, "j")
    play_job(store, "j", tasks, 2, lambda left: FakePool())
    assert summarize(store, "j").status == "finished"


def test_jobs_are_found_by_what_was_asked_for(store: db.Store, tasks: list[Task]) -> None:
    assert find_job(store, SPEC) == (SPEC.id, None)
    create_job(store, SPEC.id, SPEC, tasks)
    found = find_job(store, SPEC)[1]
    assert found is not None
    assert found.id == SPEC.id
    assert find_job(store, SPEC, fresh=True) == (f"{SPEC.id}-2", None)
    create_job(store, f"{SPEC.id}-2", SPEC, tasks)
    assert find_job(store, SPEC)[0] == f"{SPEC.id}-2"
    create_job(store, "mine", SPEC, tasks)
    with pytest.raises(BadRequest, match="seed = 0, not 9"):
        find_job(store, replace(SPEC, seed=9), name="mine")
    with pytest.raises(BadRequest, match="no job 'nowhere'"):
        cancel_job(store, "nowhere")


def test_a_spec_as_it_was_before_strategies_keeps_its_id_and_is_found(store: db.Store, tasks: list[Task]) -> None:
    assert replace(SPEC, env="travel").id == "rollout-travel-dd8042bfe798"
    managed = {replace(SPEC, context_strategy="summary").id, replace(SPEC, parallel=4).id}
    assert len(managed | {SPEC.id}) == 3
    create_job(store, "old", SPEC, tasks)
    old = store.get(db.Job, "old")
    assert old is not None
    later = ("context_strategy", "context_share", "parallel")
    store.update(db.Job, "old", spec={key: value for key, value in old.spec.items() if key not in later})
    assert find_job(store, SPEC, name="old")[0] == "old"
    with pytest.raises(BadRequest, match="parallel = 1, not 4"):
        find_job(store, replace(SPEC, parallel=4), name="old")


class Failing(db.Store):
    """A store whose next writes of rollouts fail `failures` times; `late`: only after they were committed."""

    failures = 0
    late = False
    error: type[Exception] = StoreUnavailable

    def add_once(self, row: db.models.Base, *with_it: db.models.Base, **more: Any) -> bool:
        if not isinstance(row, db.Rollout) or not self.failures:
            return super().add_once(row, *with_it, **more)
        self.failures -= 1
        if self.late:
            super().add_once(row, *with_it, **more)
        raise self.error("store is away (no answer): start it")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("error", [StoreUnavailable, StoreFull])
def test_a_store_that_comes_back_loses_and_repeats_nothing(
    store: db.Store, tasks: list[Task], late: bool, error: type[Exception]
) -> None:
    create_job(store, "j", SPEC, tasks)
    with contextlib.closing(Failing(store.url)) as failing:
        failing.failures, failing.late, failing.error = 3, late, error
        pool = FakePool()
        play_job(failing, "j", tasks, 2, lambda left: pool, patience=Patience(tries=4, seconds=0.0))
        assert failing.failures == 0
    assert len(pool.played) == 4
    assert (store.count(db.Rollout, job_id="j"), store.count(db.Verdict)) == (4, 4)
    assert (summarize(store, "j").status, summarize(store, "j").done) == ("finished", 4)


def test_a_store_that_stays_away_stops_the_job_with_one_line_and_it_goes_on(store: db.Store, tasks: list[Task]) -> None:
    create_job(store, "j", SPEC, tasks)
    with contextlib.closing(Failing(store.url)) as failing:

        def fail_at_two(episode: Episode, done: int) -> None:
            failing.failures = 99 * (done == 2)

        with pytest.raises(StoreUnavailable, match=r"is away.*tried 4 times.*the same command goes on") as raised:
            play_job(
                failing,
                "j",
                tasks,
                2,
                lambda left: FakePool(),
                on_episode=fail_at_two,
                patience=Patience(tries=4, seconds=0.0),
            )
        assert "\n" not in str(raised.value)
        assert failing.failures == 95
    assert store.count(db.Rollout, job_id="j") == 2
    play_job(store, "j", tasks, 2, lambda left: FakePool())
    assert store.count(db.Rollout, job_id="j") == 4


def test_what_is_no_passing_failure_of_the_store_is_not_tried_again() -> None:
    tried: list[int] = []

    def write() -> None:
        tried.append(1)
        raise StoreConflict("a key is taken")

    with pytest.raises(StoreConflict, match=r"^a key is taken$"):
        Patience(seconds=0.0).keep(write)
    assert len(tried) == 1


def rollouts(url: str) -> int:
    with db.Store(url) as store:
        return store.count(db.Rollout)


def playing(group: int) -> bool:
    """Whether a process of this group still plays episodes (zombies, which await their parent, do not)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, _, rest = (entry / "stat").read_text().rpartition(")")
            except (FileNotFoundError, ProcessLookupError):
                continue
            fields = rest.split()
            if int(fields[2]) == group and "Rollout" in name and fields[0] not in "ZX":
                return True
    return False


@pytest.mark.slow
def test_kill_9_loses_and_repeats_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    command = [
        sys.executable,
        "-c",
        "from palestra.services.cli.main import main; main()",
        "rollout",
        "travel-mini",
        "--store",
        url,
    ]
    command += ["--policy", "random", "--count", "4", "--samples", "50", "--workers", "1"]
    with db.Store(url):
        process = subprocess.Popen(
            command, cwd=tmp_path, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    deadline = time.monotonic() + 120
    while rollouts(url) < 10 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with db.Store(url) as store:
        before = {row.id for row in store.page(db.Rollout, limit=1000)[0]}
        assert 10 <= len(before) < 200
        job = store.page(db.Job)[0][0]
        assert job.status == "running"
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    with db.Store(url) as store:
        rows = store.page(db.Rollout, limit=1000)[0]
        assert before <= {row.id for row in rows}
        assert len({(row.task_id, row.sample) for row in rows}) == len(rows) == 200
        assert store.count(db.Verdict) == 200
        assert [(one.id, one.status, one.done) for one in store.page(db.Job)[0]] == [(job.id, "finished", 200)]
    assert not playing(process.pid)
    with contextlib.suppress(ProcessLookupError):  # Ray's agents would go by themselves, a minute later
        os.killpg(process.pid, signal.SIGKILL)
