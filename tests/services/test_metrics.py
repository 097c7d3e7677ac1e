"""Prometheus metrics: of a running job, live; of a store, by `palestra serve`; and spans across Ray."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from palestra.envs.mini.search import SearchMini
from palestra.infra import store as db
from palestra.rollout.codec import DeepseekCodec
from palestra.rollout.episode import run_episode
from palestra.rollout.records import episode_rows, task_row
from palestra.rollout.scripts import noop_policy, oracle_policy
from palestra.rollout.status import PoolStatus
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Episode
from palestra.services.errors import BadRequest
from palestra.services.metrics import EpisodeMetrics, serving
from palestra.services.serve import create_site

CODEC = DeepseekCodec(train_tokenizer([], 300), show_tools=False)
TASK = SearchMini().propose(random.Random(2), 1)
COMMAND = [sys.executable, "-c", "from palestra.services.cli.main import main; main()"]

Sample = tuple[str, frozenset[tuple[str, str]]]


def samples(text: str) -> dict[Sample, float]:
    """Every number of an exposition, by name and labels."""
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def key(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


def episodes() -> tuple[Episode, Episode]:
    right = asyncio.run(run_episode(SearchMini(), TASK, oracle_policy(CODEC)))
    wrong = asyncio.run(run_episode(SearchMini(), TASK, noop_policy(CODEC)))
    return right, wrong


def test_a_running_job_serves_its_numbers() -> None:
    right, wrong = episodes()
    retried = replace(right, metrics=right.metrics | {"attempts": 3.0})
    metrics = EpisodeMetrics()
    said: list[str] = []
    with serving(0, said.append, metrics):
        url = re.fullmatch(r"metrics at (http://127\.0\.0\.1:\d+/metrics)", said[0])
        assert url is not None
        assert key("palestra_episodes_total", env="search-mini") not in samples(httpx.get(url[1]).text)
        for episode in (right, retried, wrong):
            metrics.observe(episode)
        metrics.watch(PoolStatus(running=7, waiting=2, workers=4, deaths=1))
        found = samples(httpx.get(url[1]).text)
    ends = {"env": "search-mini", "validity": "valid"}
    played = [found[key("palestra_episodes_total", outcome=outcome, **ends)] for outcome in {right.outcome}]
    assert played == [3.0 if right.outcome == wrong.outcome else 2.0]
    turns = 2 * len(right.turns) + len(wrong.turns)
    sampled = sum(sum(path.mask) for one in (right, right, wrong) for path in one.segments)
    assert found[key("palestra_turn_seconds_count", env="search-mini")] == turns
    assert found[key("palestra_sampled_tokens_total", env="search-mini")] == sampled
    assert found[key("palestra_drifted_tokens_total", env="search-mini")] == 0
    assert found[key("palestra_retries_total", env="search-mini")] == 2
    assert found[key("palestra_tool_calls_total", env="search-mini")] == 2 * right.metrics["tool_calls"]
    seconds = right.seconds + retried.seconds + wrong.seconds
    assert found[key("palestra_episode_seconds_sum", env="search-mini")] == pytest.approx(seconds)
    for part in ("engine", "tool", "lease", "verifier"):
        assert found[key(f"palestra_{part}_seconds_count", env="search-mini")] == 3
    gauges = ("running_episodes", "waiting_episodes", "workers", "worker_deaths")
    assert [found[key(f"palestra_{name}")] for name in gauges] == [7, 2, 4, 1]
    with pytest.raises(httpx.ConnectError):
        httpx.get(url[1])


def test_a_port_that_is_taken_is_said() -> None:
    said: list[str] = []
    with serving(0, said.append):
        port = int(said[0].split(":")[2].split("/")[0])
        with pytest.raises(BadRequest, match=f"127.0.0.1:{port} .*: give another --metrics-port"), serving(port, print):
            pass
    with serving(None, said.append):
        assert len(said) == 1


def test_the_site_serves_what_the_store_holds(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/palestra.db"
    right, wrong = episodes()
    slow = replace(right, sample=1, seconds=45.0)
    with db.Store(url) as store:
        store.add_once(task_row(TASK))
        store.add_once(db.Job(id="j1", kind="eval", total=3, status="finished"))
        for episode in (right, slow, replace(wrong, sample=2)):
            rollout, others = episode_rows(episode, "j1")
            store.add_once(rollout, *others)
    with TestClient(create_site(url)) as client:
        answer = client.get("/metrics")
        page = client.get("/metrics", headers={"Accept": "text/html,*/*;q=0.8"})
        modern = client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = samples(answer.text)
    assert sum(value for (name, _), value in found.items() if name == "palestra_episodes_total") == 3
    assert found[key("palestra_jobs", kind="eval", status="finished")] == 1
    assert found[key("palestra_episode_seconds_bucket", env="search-mini", le="30.0")] == 2
    assert found[key("palestra_episode_seconds_bucket", env="search-mini", le="60.0")] == 3
    assert found[key("palestra_episode_seconds_count", env="search-mini")] == 3
    tokens = sum(len(path.tokens) for one in (right, right, wrong) for path in one.segments)
    assert found[key("palestra_recorded_tokens_total", env="search-mini")] == tokens
    assert page.text.startswith("<!doctype html>")
    assert modern.headers["content-type"].startswith("application/openmetrics-text")
    assert modern.text.endswith("# EOF\n")


def test_an_empty_store_has_metrics_too(tmp_path: Path) -> None:
    with TestClient(create_site(f"sqlite:///{tmp_path}/palestra.db")) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "# TYPE palestra_episodes_total counter" in answer.text


def test_a_job_on_ray_is_one_trace_in_the_file_that_all_its_processes_share(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    asked = (
        "rollout",
        "search-mini",
        "--count",
        "2",
        "--samples",
        "2",
        "--workers",
        "2",
        "--metrics-port",
        "0",
        "--json",
    )
    environment = os.environ | {"OTEL_TRACES_EXPORTER": str(path)}
    done = subprocess.run(
        [*COMMAND, *asked], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)["job"]
    found = [json.loads(line) for line in path.read_text().splitlines()]
    by_id = {one["context"]["span_id"]: one for one in found}
    (top,) = [one for one in found if one["parent_id"] is None]
    assert (top["name"], top["attributes"]["palestra.job"], top["attributes"]["palestra.env"]) == (
        "job",
        job,
        "search-mini",
    )
    assert len({one["context"]["trace_id"] for one in found}) == 1
    played = [one for one in found if one["name"] == "episode"]
    assert len({(one["attributes"]["palestra.task"], one["attributes"]["palestra.sample"]) for one in played}) == 4
    assert all(by_id[one["parent_id"]] is top for one in played)
    above = {"turn": "episode", "engine": "turn", "tool": "turn", "verifier": "episode"}
    for child, parent in above.items():
        some = [one for one in found if one["name"] == child]
        assert some
        assert {by_id[one["parent_id"]]["name"] for one in some} == {parent}
    assert len(found) == 1 + 4 + sum(one["name"] in above for one in found)


def test_spans_that_cannot_go_anywhere_are_said_before_the_work(tmp_path: Path) -> None:
    environment = os.environ | {"OTEL_TRACES_EXPORTER": "nowhere"}
    done = subprocess.run([*COMMAND, "env", "list"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("palestra: OTEL_TRACES_EXPORTER is 'nowhere'")
