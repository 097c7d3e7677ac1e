"""The HTTP API: lists in parts, details, problems, and its own description."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from palestra.infra.store import (
    Certificate,
    Job,
    Policy,
    Rollout,
    Run,
    StoreUnavailable,
    Task,
    Turn,
    Verdict,
    pack_f32,
    pack_i32,
)
from palestra.services.api import create_app

LISTS = ("runs", "tasks", "certificates", "jobs", "policies", "rollouts", "metrics")


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    """The API over a store with a few rows of each kind."""
    app = create_app(f"sqlite:///{tmp_path}/api.db")
    store = app.state.store
    store.add(
        Run(id="run", kind="train", config={"seed": 1}),
        Job(id="job", kind="rollout", total=9, done=4),
        Policy(id="palestra:/tmp/a b/c", kind="palestra", uri="/tmp/a b/c"),
    )
    for index in range(7):
        env = "travel" if index < 4 else "search"
        store.add(
            Task(
                id=f"t{index}", env=env, version="1", seed=index, prompt="?", world=[1], key={"k": index}, run_id="run"
            ),
            Certificate(id=f"c{index}", task_id=f"t{index}", accepted=index % 2 == 0, reasons=["why"]),
        )
        turn = Turn(
            rollout_id=f"r{index}",
            index=0,
            thinking="hm",
            tool_calls=[{"name": "f", "arguments": {"x": 1}}],
            results=[{"content": "2"}],
            completion_tokens=pack_i32([5, 6]),
            logprobs=pack_f32([-1.0, float("-inf")]),
        )
        rollout = Rollout(
            id=f"r{index}", job_id="job", run_id="run", task_id=f"t{index}", policy_id="oracle", outcome="ok"
        )
        rollout.tokens, rollout.mask, rollout.logprobs = (
            pack_i32([4, 5]),
            pack_i32([0, 1]),
            pack_f32([float("nan"), -1]),
        )
        parts = [{"name": "p", "score": 1.0, "weight": 1.0, "gate": False, "detail": ""}]
        old = Verdict(rollout_id=f"r{index}", verifier_version="1", reward=0.0)
        assert store.add_once(
            rollout, turn, old, Verdict(rollout_id=f"r{index}", verifier_version="2", reward=1, parts=parts)
        )
    store.log_metrics("run", 3, {"loss": 0.5, "bad": float("nan")})
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def get(client: TestClient, path: str) -> Any:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def problem(client: TestClient, path: str, status: int, method: str = "GET") -> dict[str, Any]:
    """The problem that a request gets, checked for RFC 9457's members."""
    answer = client.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_pages_give_everything_once_and_in_order(client: TestClient, limit: int, order: str) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        page = get(client, f"rollouts?limit={limit}&order={order}" + (f"&after={cursor}" if cursor else ""))
        assert len(page["items"]) <= limit
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    expected = [f"r{index}" for index in range(7)]
    assert seen == (expected if order == "oldest" else expected[::-1])


def test_rows_added_between_pages_come_at_the_end(app: FastAPI, client: TestClient) -> None:
    first = get(client, "runs?limit=1")
    assert first["next"] is None
    app.state.store.add(Run(id="second", kind="eval"), Run(id="third", kind="eval"))
    page = get(client, "runs?limit=2")
    assert [item["id"] for item in page["items"]] == ["run", "second"]
    assert [item["id"] for item in get(client, f"runs?after={page['next']}")["items"]] == ["third"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("tasks?env=travel", 4),
        ("tasks?env=travel&split=heldout", 0),
        ("tasks?run_id=run", 7),
        ("certificates?accepted=false", 3),
        ("certificates?env=search&accepted=true", 2),
        ("rollouts?env=search", 3),
        ("rollouts?task_id=t1", 1),
        ("rollouts?job_id=job&policy_id=oracle&outcome=ok&validity=valid", 7),
        ("rollouts?policy_id=noop", 0),
        ("jobs?status=running", 1),
        ("policies?kind=palestra", 1),
        ("metrics?run_id=run&name=loss", 1),
        ("runs?kind=%00", 0),
    ],
)
def test_filters(client: TestClient, query: str, count: int) -> None:
    assert len(get(client, query)["items"]) == count


def test_rollout_detail_has_turns_tokens_and_the_latest_verdict(client: TestClient) -> None:
    rollout = get(client, "rollouts/r2")
    assert (rollout["tokens"], rollout["mask"], rollout["logprobs"]) == ([4, 5], [0, 1], [None, -1.0])
    (turn,) = rollout["turns"]
    assert turn["thinking"] == "hm"
    assert turn["tool_calls"] == [{"name": "f", "arguments": {"x": 1}}]
    assert turn["results"] == [{"content": "2"}]
    assert (turn["completion_tokens"], turn["logprobs"]) == ([5, 6], [-1.0, None])
    assert rollout["verdict"]["verifier_version"] == "2"
    assert rollout["verdict"]["parts"][0]["name"] == "p"
    assert len(rollout["verdicts"]) == 2
    assert "tokens" not in get(client, "rollouts?limit=1")["items"][0]


def test_a_rollout_says_where_it_came_from_what_it_measured_and_how_its_context_was_made(
    app: FastAPI, client: TestClient
) -> None:
    branch = Rollout(id="branch", task_id="t1", policy_id="oracle", outcome="ok", parent_id="r1", parent_turn=1)
    branch.metrics = {"drift": 2, "calls": 1.5, "bad": math.inf}
    turns = [
        Turn(rollout_id="branch", index=0, reply="And now?", version=7),
        Turn(rollout_id="branch", index=1, kind="summary"),
        Turn(rollout_id="branch", index=2, segment=1, rewrite="summary"),
    ]
    app.state.store.add(branch, *turns)
    found = get(client, "rollouts/branch")
    assert (found["parent_id"], found["parent_turn"]) == ("r1", 1)
    assert found["metrics"] == {"drift": 2, "calls": 1.5, "bad": None}
    told = ("reply", "kind", "segment", "rewrite", "version")
    assert [tuple(turn[name] for name in told) for turn in found["turns"]] == [
        ("And now?", "act", 0, "", 7),
        (None, "summary", 0, "", 0),
        (None, "act", 1, "summary", 0),
    ]
    (listed,) = get(client, "rollouts?parent_id=r1")["items"]
    assert listed == {name: found[name] for name in listed}
    assert get(client, "rollouts/r1")["parent_id"] is None


def test_task_key_is_hidden_unless_asked_for(client: TestClient) -> None:
    task = get(client, "tasks/t1")
    assert task["key"] is None
    assert task["certificate"]["accepted"] is False
    assert get(client, "tasks/t1?reveal=true")["key"] == {"k": 1}
    assert all("key" not in item and "world" not in item for item in get(client, "tasks")["items"])


def test_other_details(client: TestClient) -> None:
    assert get(client, "runs/run")["config"] == {"seed": 1}
    assert get(client, "certificates/c0")["task_id"] == "t0"
    assert get(client, "jobs/job")["done"] == 4
    assert get(client, "policies/palestra:/tmp/a%20b/c")["uri"] == "/tmp/a b/c"
    values = {item["name"]: item["value"] for item in get(client, "metrics")["items"]}
    assert values == {"loss": 0.5, "bad": None}


@pytest.mark.parametrize("kind", [kind for kind in LISTS if kind != "metrics"])
def test_missing_rows_are_problems(client: TestClient, kind: str) -> None:
    assert "nobody" in problem(client, f"/api/v1/{kind}/nobody", 404)["detail"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "after=abc", "after=-1", "after=" + "9" * 30, "colour=red", "order=up"],
)
@pytest.mark.parametrize("kind", LISTS)
def test_bad_queries_are_problems_that_name_the_part(client: TestClient, kind: str, query: str) -> None:
    body = problem(client, f"/api/v1/{kind}?{query}", 422)
    assert body["errors"][0]["where"] == "query." + query.split("=")[0]


def test_wrong_paths_and_methods_are_problems(client: TestClient) -> None:
    problem(client, "/api/v1/nothing", 404)
    problem(client, "/api/", 404)
    problem(client, "/elsewhere", 404)
    problem(client, "/api/v1/runs", 405, "POST")
    problem(client, "/api/v1/runs/run", 405, "DELETE")


def test_a_failing_store_is_a_problem_without_secrets(app: FastAPI, client: TestClient, tmp_path: Path) -> None:
    app.state.store.close()
    for path in tmp_path.glob("api.db*"):
        path.unlink()
    (tmp_path / "api.db").mkdir()
    assert "cannot be opened" in problem(client, "/api/v1/runs", 503)["detail"]


def test_a_bug_is_a_problem_without_its_traceback(app: FastAPI, client: TestClient) -> None:
    app.state.store = None
    body = problem(client, "/api/v1/runs", 500)
    assert body["detail"] == "the server failed (AssertionError); its log has the details"


def test_openapi_describes_every_list_and_problem(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    schemas = description["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    for kind in LISTS:
        operation = description["paths"][f"/api/v1/{kind}"]["get"]
        assert {"after", "limit"} <= {parameter["name"] for parameter in operation["parameters"]}
        assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        assert "application/problem+json" in operation["responses"]["422"]["content"]
    references = set(_references(description))
    assert references <= {f"#/components/schemas/{name}" for name in schemas}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_an_unreachable_store_is_known_at_once(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="mkdir -p"):
        create_app(f"sqlite:///{tmp_path}/no/such/x.db")
