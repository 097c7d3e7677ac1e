"""What a job survives: dead workers, drivers, nodes, heads, and places that are no Ray."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from palestra.envs.mini.search import SearchMini
from palestra.infra import store as db
from palestra.infra.sandbox.sync import Sandboxes
from palestra.rollout.backlog import Item
from palestra.rollout.cluster import (
    ClusterTooSmall,
    ClusterUnavailable,
    check_places,
    connect,
    places,
    share_of_cpus,
    watched,
)
from palestra.rollout.codec import DeepseekCodec
from palestra.rollout.scripts import noop_policy
from palestra.rollout.status import PoolStatus
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Policy
from palestra.rollout.workers import PoolConfig, RolloutPool
from palestra.services.policies import ScriptedMaker

pytestmark = pytest.mark.apart
PALESTRA = (sys.executable, "-c", "from palestra.services.cli.main import main; main()")
SECONDS = 240.0


class Driver:
    """`palestra rollout travel` in a session of its own, that can be killed and repeated."""

    def __init__(self, folder: Path, count: int, samples: int) -> None:
        self.url = f"sqlite:///{folder}/s.db"
        self._folder = folder
        self._command = [*PALESTRA, "rollout", "travel-mini", "--policy", "random", "--store", self.url, "--json"]
        self._command += ["--count", str(count), "--samples", str(samples)]
        db.Store(self.url).close()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        with open(self._folder / "stderr", "wb") as told:
            self.process = subprocess.Popen(
                [*self._command, *more],
                cwd=self._folder,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=told,
            )
        return self.process

    def told(self) -> str:
        """What it said on stderr."""
        return (self._folder / "stderr").read_text()

    def stored(self) -> int:
        with db.Store(self.url) as store:
            return store.count(db.Rollout)

    def wait_for(self, count: int) -> None:
        """Until `count` episodes are stored."""
        assert self.process is not None
        deadline = time.monotonic() + SECONDS
        while self.stored() < count:
            assert self.process.poll() is None, self.told()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def finish(self) -> tuple[int, str]:
        """The exit code, and what was said."""
        assert self.process is not None
        return self.process.wait(SECONDS), self.told()

    def sweep(self) -> None:
        """End what a killed driver's own Ray left (it would go by itself, later)."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def keys(self) -> list[tuple[str, int]]:
        with db.Store(self.url) as store, store.reading() as session:
            return [(row.task_id, row.sample) for row in session.query(db.Rollout.task_id, db.Rollout.sample)]


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The Ray actors of a driver's own cluster."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "RolloutWorker" in " ".join(child.cmdline()):
                found.append(child)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for_listener(port: int) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@contextlib.contextmanager
def cluster_with(**more: Any) -> Iterator[Any]:
    head = {"num_cpus": 2, "gcs_server_port": free_port(), "include_dashboard": False}
    made: Any = Cluster(initialize_head=True, head_node_args=head | more)
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


@pytest.fixture
def cluster() -> Iterator[Any]:
    with cluster_with() as made:
        yield made


def noop(sandboxes: Sandboxes | None) -> Policy:
    return noop_policy(DeepseekCodec(train_tokenizer([], 300)))


def items(count: int) -> list[Item]:
    task = SearchMini().propose(random.Random(0), 1)
    return [(task, sample) for sample in range(count)]


def test_a_port_that_is_not_ray_is_said_in_bounded_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterUnavailable, match=f"no Ray cluster answers at '{address}'.*nothing speaks Ray"):
            connect(address, seconds=3.0)
    assert not ray.is_initialized()


def test_workers_are_spread_and_a_dead_node_is_survived(cluster: Any) -> None:
    lost = cluster.add_node(num_cpus=1, resources={"sandbox": 1})
    connect(cluster.address)
    config = PoolConfig(workers=2, chunk=4, cpus_per_worker=1.0, placement="SPREAD")
    assert [places(demand) for demand in ({"CPU": 1.0}, {"CPU": 2.0}, {"sandbox": 0.5}, {"GPU": 1.0})] == [3, 1, 2, 0]
    assert [share_of_cpus(workers, {}) for workers in (1, 3, 4, 6)] == [1.0, 1.0, 0.5, 0.5]
    needy = "room for 0 of 1 workers that need CPU 1, vault 2 each: it has 2 nodes .*CPU 1, sandbox 1; CPU 2"
    with pytest.raises(ClusterTooSmall, match=needy):
        RolloutPool(noop, replace(config, workers=1, resources={"vault": 2}))
    seen: list[PoolStatus] = []
    pool = RolloutPool(noop, config, seen.append)
    while pool.status().workers < 2:  # a worker that is still being built when its node goes has not died
        assert len(list(pool.run(items(8)))) == 8
    playing = iter(pool.run(items(3000)))
    episodes = list(islice(playing, 500))
    cluster.remove_node(lost, allow_graceful=False)
    episodes += playing
    assert sorted(episode.sample for episode in episodes) == list(range(3000))
    assert [episode.error for episode in episodes if episode.verdict.validity != "valid"] == []
    assert pool.status().episodes == 3000
    assert seen
    assert pool.status().deaths >= 1
    pool.close()
    with pytest.raises(ClusterTooSmall, match="vault"):
        check_places(1, {"vault": 1})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Ray does not close the log files of its client server
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_job_through_ray_client_survives_a_worker_and_says_that_the_head_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "2")
    port = free_port()
    with cluster_with(ray_client_server_port=port) as cluster:
        wait_for_listener(port)
        driver = Driver(tmp_path, 2, 20)
        driver.start("--ray", f"ray://127.0.0.1:{port}")
        code, told = driver.finish()
        assert code == 0, told
        assert len(driver.keys()) == len(set(driver.keys())) == 40
        connect(f"ray://127.0.0.1:{port}")
        assert [places(demand) for demand in ({"CPU": 1.0}, {"GPU": 1.0})] == [2, 0]
        pool = RolloutPool(ScriptedMaker("noop"), PoolConfig(workers=2, chunk=8))
        playing = iter(pool.run(items(300)))
        episodes = list(islice(playing, 50))
        ray.kill(pool._slots[0].actor)
        episodes += playing
        assert sorted(episode.sample for episode in episodes) == list(range(300))
        assert {episode.verdict.validity for episode in episodes} == {"valid"}
        assert pool.status().deaths == 1
        endless = iter(pool.run(items(10**6)))
        next(endless)
        cluster.remove_node(cluster.head_node, allow_graceful=False)
        with pytest.raises(ClusterUnavailable, match=r"connection to the Ray cluster is lost.*repeat the same command"):
            list(endless)
        pool.close()


def test_a_node_that_is_gone_before_its_head_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palestra.rollout.cluster.check_alive", lambda since: None)  # the head still answers
    with (
        pytest.raises(ClusterUnavailable, match=r"node of this process is gone \(Broken pipe\).*repeat the same"),
        watched(),
    ):
        raise OSError("Broken pipe")  # as Ray raises it, with a text and no number
    with pytest.raises(OSError, match="No space"), watched():
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.slow
def test_a_dead_head_ends_the_driver_and_a_new_one_goes_on(cluster: Any, tmp_path: Path) -> None:
    driver = Driver(tmp_path, 4, 500)
    try:
        driver.start("--ray", cluster.address)
        driver.wait_for(50)
        cluster.remove_node(cluster.head_node, allow_graceful=False)
        code, told = driver.finish()
        assert (code, told.count("\n")) == (1, 1), told
        assert "is gone" in told
        before = set(driver.keys())
        driver.start()
        code, told = driver.finish()
        assert code == 0, told
        assert before <= set(driver.keys())
        assert len(driver.keys()) == len(set(driver.keys())) == 2000
    finally:
        driver.sweep()


@pytest.mark.slow
def test_ten_thousand_episodes_under_random_kills_are_stored_once_each(tmp_path: Path) -> None:
    """kill -9 for workers and the driver, at random moments (fixed seed), until the job is done."""
    chance = random.Random(0)
    driver = Driver(tmp_path, 20, 500)
    killed = {"worker": 0, "driver": 0}
    goals = sorted(chance.sample(range(300, 9700), 16))
    try:
        for number, goal in enumerate(goals):
            if driver.process is None or driver.process.poll() is not None:
                driver.start()
            driver.wait_for(goal)
            process = driver.process
            assert process is not None
            if number % 5 == 4:
                os.kill(process.pid, signal.SIGKILL)
                driver.sweep()
                killed["driver"] += 1
            elif victims := workers_of(process):
                chance.choice(victims).kill()
                killed["worker"] += 1
        if driver.process is None or driver.process.poll() is not None:
            driver.start()
        code, told = driver.finish()
    finally:
        driver.sweep()
    assert code == 0, told
    assert killed["driver"] == 3
    assert killed["worker"] >= 8
    keys = driver.keys()
    assert len(keys) == len(set(keys)) == 10_000
    with db.Store(driver.url) as store:
        assert store.count(db.Rollout, validity="valid") == 10_000
        assert store.count(db.Verdict) == 10_000
