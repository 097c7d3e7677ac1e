"""The peer verifiers: its single-agent environment with a tool server, and the written agent as its model.

Runs in an environment of its own (`make bench-rollout`). Two variants:

* `subprocess`: what verifiers does by default with tools that are no shell. Each episode's agent loop is a program of
  its own in the subprocess runtime (harness `null`), its tool calls go to one MCP server for all episodes;
* `inline`: the fastest that its interfaces allow. The agent loop is a harness that runs in the process of the
  environment and calls the tool as a function.

In both, model calls pass verifiers' interception server over loopback, which is where it records an episode, and are
answered there in the same process by a client that costs next to nothing.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any
from unittest.mock import patch

import _rollout_script as written
import httpx
import verifiers.v1 as vf
import verifiers.v1.interception.server as interception_server
from _rollout_answering import serve
from openai.types.chat import ChatCompletion
from verifiers.v1.clients import Client, EvalClientConfig
from verifiers.v1.clients.client import RelayReply
from verifiers.v1.env import Env

__all__ = ["Inline", "Ledger"]

CONCURRENCY = 128
MODEL = "written"
TASKS = 4096


class Data(vf.TaskData):
    """A question."""

    wanted: str = ""


class Task(vf.Task[Data]):
    """Right where the last message is the sum."""

    @vf.reward
    async def right(self, trace: vf.Trace[Any, Any]) -> float:
        return float(trace.last_reply == self.data.wanted)


class Bank(vf.Toolset[vf.SharedToolsetConfig, vf.State]):
    """The tool, as an MCP server."""

    TOOL_PREFIX = None

    @vf.tool
    async def balance(self, account: str) -> str:
        """Tell how much is on an account."""
        return written.balance(account)


class Ledger(vf.Taskset[Task, vf.TasksetConfig]):
    """The tasks of the script."""

    @classmethod
    def toolsets(cls, config: vf.TasksetConfig) -> list[vf.Toolset[Any, Any]]:
        return [Bank(vf.SharedToolsetConfig())]

    def load(self) -> Iterator[Task]:
        for number in range(TASKS):
            accounts = written.pair(number)
            prompt = written.question(accounts)
            data = Data(prompt=prompt, system_prompt=written.SYSTEM, wanted=written.answer(accounts))
            yield Task(data, self.config.task)


SCRIPTS: dict[str, list[dict[str, Any]]]
SCRIPTS = {written.question(pair): written.completions(pair) for pair in map(written.pair, range(TASKS))}


def next_message(body: dict[str, Any]) -> dict[str, Any]:
    """What the written agent says to a request."""
    question: Any = next(message["content"] for message in body["messages"] if message["role"] == "user")
    if not isinstance(question, str):
        question = question[0]["text"]
    turn = sum(message["role"] == "assistant" for message in body["messages"])
    return SCRIPTS[question][turn]


class Written(Client):
    """A model in the process: no network, no computation."""

    async def get_response(self, dialect: Any, body: dict[str, Any], *unused: Any, **also_unused: Any) -> vf.Response:
        message = next_message(body)
        raw = _envelope("chat.completion", {"message": message}, message)
        response: vf.Response = dialect.parse_response(ChatCompletion.model_validate(raw))
        response.raw = raw
        return response

    async def relay(self, dialect: Any, body: dict[str, Any], *unused: Any, **also_unused: Any) -> RelayReply:
        message = next_message(body)
        calls = [{"index": index, **call} for index, call in enumerate(message.get("tool_calls", []))]
        delta = message | ({"tool_calls": calls} if calls else {})
        chunk = _envelope("chat.completion.chunk", {"delta": delta}, message)

        async def chunks() -> AsyncIterator[bytes]:
            yield f"data: {json.dumps(chunk)}\n\n".encode()
            yield b"data: [DONE]\n\n"

        return RelayReply("text/event-stream", chunks(), _nothing)


def _envelope(kind: str, choice: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    finish = "tool_calls" if "tool_calls" in message else "stop"
    usage = {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130}
    choices = [{"index": 0, "finish_reason": finish, "logprobs": None, **choice}]
    return {"id": "x", "object": kind, "created": 0, "model": MODEL, "choices": choices, "usage": usage}


async def _nothing() -> None:
    """Nothing to close."""


class InlineConfig(vf.HarnessConfig):
    """No settings."""


class Inline(vf.Harness[InlineConfig]):
    """The agent loop in the process of the environment, the tool a function."""

    APPENDS_SYSTEM_PROMPT = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False
    SUPPORTS_MCP = True

    http: httpx.AsyncClient

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace[Any, Any],
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> vf.ProgramResult:
        system, question = self.resolve_prompt(data)
        messages: list[Any] = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        while True:
            reply = await self.http.post(
                f"{endpoint}/chat/completions",
                headers={"Authorization": f"Bearer {secret}"},
                json={"model": ctx.model, "messages": messages, "tools": [TOOL]},
            )
            reply.raise_for_status()
            message = reply.json()["choices"][0]["message"]
            messages.append(message)
            if not message.get("tool_calls"):
                return vf.ProgramResult(exit_code=0, stdout="", stderr="")
            for call in message["tool_calls"]:
                account = json.loads(call["function"]["arguments"])["account"]
                content = written.balance(account)
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})


TOOL = {
    "type": "function",
    "function": {
        "name": "balance",
        "description": "Tell how much is on an account.",
        "parameters": {"type": "object", "properties": {"account": {"type": "string"}}, "required": ["account"]},
    },
}


def environment(harness: str) -> Env[Any]:
    """The single-agent environment, on the subprocess runtime."""
    agent = {"harness": {"id": harness}, "runtime": {"type": "subprocess"}}
    return vf.load_environment(vf.resolve_env_config({"taskset": {"id": __name__}, "agent": agent}))


async def main() -> None:
    """Play as many episodes as asked, and answer with episodes per second."""
    context = vf.ModelContext(model=MODEL, client=EvalClientConfig())
    environments = {"subprocess": environment("null"), "inline": environment(__name__)}
    async with AsyncExitStack() as stack:
        stack.enter_context(patch.object(interception_server, "resolve_client", lambda config: Written()))
        Inline.http = await stack.enter_async_context(httpx.AsyncClient(limits=httpx.Limits(max_connections=None)))
        for one in environments.values():
            await stack.enter_async_context(one.serving())

        async def episodes(count: int, variant: str) -> float:
            env = environments[variant]
            slots = [slot for task in env.taskset.take(count) for slot in env.slots(task)]
            gate = asyncio.Semaphore(CONCURRENCY)
            began = time.perf_counter()
            played = await asyncio.gather(*(env.run_slot(slot, context, gate) for slot in slots))
            elapsed = time.perf_counter() - began
            for episode in played:
                if not (episode.ok and episode.traces[0].reward == 1.0 and episode.traces[0].num_turns == 3):
                    raise RuntimeError(f"an episode went wrong: {episode.model_dump_json()[:2000]}")
            return count / elapsed

        await serve("verifiers", episodes)


if __name__ == "__main__":
    Bank.run()  # verifiers starts the tool server as `python -m` of its module
