"""The policy that speaks text, against a small server of our own."""

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from palestra.envs.mini.travel import TravelMini
from palestra.rollout.engines.openai_text import OpenAIChatPolicy
from palestra.rollout.engines.server import Server
from palestra.rollout.episode import run_episode
from palestra.rollout.types import Episode, Sampling


@dataclass
class Script:
    """What the server answers, in order (the last for ever), and what it was asked."""

    answers: list[tuple[int, Any]]
    asked: list[dict[str, Any]] = field(default_factory=list)


def choice(finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}]}


def call(name: str, arguments: str) -> dict[str, Any]:
    return choice(
        "tool_calls",
        tool_calls=[{"type": "function", "function": {"name": name, "arguments": arguments}}],
        reasoning_content="hm",
    )


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> JSONResponse:
        script.asked.append(await request.json())
        status, body = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
        return JSONResponse(body, status)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "tiny", tries=4, backoff=0.0)
        finally:
            server.should_exit = True
            thread.join()


def play(server: Server, sample: int = 0) -> Episode:
    async def go() -> Episode:
        policy = OpenAIChatPolicy(server, Sampling(seed=1, max_tokens=64))
        try:
            return await run_episode(TravelMini(), TravelMini().propose(random.Random(3), 1), policy, sample)
        finally:
            await policy.close()

    return asyncio.run(go())


def test_tool_calls_go_round_and_thinking_stays_in_the_context() -> None:
    script = Script([(200, call("find_hotel", '{"city": "Nowhere", "below": 1}')), (200, choice(content="I give up"))])
    with serving(script) as server:
        episode = play(server)
    assert (episode.outcome, episode.verdict.validity, episode.verdict.reward) == ("answered", "valid", 0.0)
    assert episode.answer == "I give up"
    assert episode.segments[0].tokens == ()
    first, second = script.asked
    assert first["model"] == "tiny"
    assert {tool["function"]["name"] for tool in first["tools"]} >= {"find_hotel", "submit_result"}
    assistant, tool = second["messages"][-2:]
    assert assistant["reasoning_content"] == "hm"
    assert tool["role"] == "tool"
    assert tool["tool_call_id"] == assistant["tool_calls"][0]["id"]
    assert tool["content"] == episode.turns[0].results[0]


def test_seeds_differ_between_samples_only() -> None:
    script = Script([(200, choice(content="x"))])
    with serving(script) as server:
        for sample in (0, 0, 1):
            play(server, sample)
    assert script.asked[0]["seed"] == script.asked[1]["seed"] != script.asked[2]["seed"]


def test_a_busy_server_is_asked_again() -> None:
    script = Script([(503, {"error": "busy"}), (429, {}), (200, choice(content="x"))])
    with serving(script) as server:
        assert play(server).outcome == "answered"
    assert len(script.asked) == 3


@pytest.mark.parametrize(
    ("answer", "asked"),
    [((500, {}), 4), ((400, {"error": "no such model"}), 1), ((200, {"choices": []}), 1), ((200, [1]), 1)],
)
def test_a_broken_server_makes_the_episode_invalid(answer: tuple[int, Any], asked: int) -> None:
    script = Script([answer])
    with serving(script) as server:
        episode = play(server)
    assert (episode.outcome, episode.verdict.validity, episode.verdict.reward) == (
        "engine_failed",
        "invalid_infra",
        None,
    )
    assert len(script.asked) == asked


def test_no_server_makes_the_episode_invalid() -> None:
    with serving(Script([(200, {})])) as server:
        gone = replace(server, tries=2)
    assert play(gone).verdict.validity == "invalid_infra"


def test_a_cut_off_message_ends_the_episode_as_max_tokens() -> None:
    with serving(Script([(200, choice("length", content="I was say"))])) as server:
        episode = play(server)
    assert (episode.outcome, episode.verdict.validity) == ("max_tokens", "valid")


def test_malformed_arguments_are_the_policys_fault() -> None:
    script = Script([(200, call("find_hotel", "{not json")), (200, choice(content=[{"type": "text", "text": "x"}]))])
    with serving(script) as server:
        episode = play(server)
    assert "not JSON" in episode.turns[0].results[0]
    assert (episode.answer, episode.verdict.validity) == ("x", "valid")
