"""The peer openenv: its own server with an echo environment, as `openenv init` writes one, and its own client.

Runs in an environment of its own (`make bench-rollout`). The server is a second process on loopback; the client steps
it over one WebSocket. The environment is asynchronous, which spares the server a thread per step.
"""

import asyncio
import multiprocessing
import socket
import time
from typing import Any

import uvicorn
from _rollout_answering import serve
from openenv.core.client_types import StepResult
from openenv.core.env_client import EnvClient
from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State


class Say(Action):
    """A message."""

    message: str


class Heard(Observation):
    """The same message."""

    message: str = ""


class Echo(Environment[Say, Heard, State]):
    """Says back what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self._state = State(step_count=0)

    def reset(self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any) -> Heard:
        self._state = State(episode_id=episode_id, step_count=0)
        return Heard()

    def step(self, action: Say, timeout_s: float | None = None, **kwargs: Any) -> Heard:
        self._state.step_count += 1
        return Heard(message=action.message, reward=0.0)

    async def step_async(self, action: Say, timeout_s: float | None = None, **kwargs: Any) -> Heard:
        return self.step(action)

    @property
    def state(self) -> State:
        return self._state


class EchoClient(EnvClient[Say, Heard, State]):
    """Typed, as the template's."""

    def _step_payload(self, action: Say) -> dict[str, Any]:
        return {"message": action.message}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[Heard]:
        heard = Heard(message=payload["observation"].get("message", ""), reward=payload.get("reward"))
        return StepResult(observation=heard, reward=payload.get("reward"), done=payload.get("done", False))

    def _parse_state(self, payload: dict[str, Any]) -> State:
        return State(**payload)


def host(listening: socket.socket) -> None:
    """The server's process."""
    app = create_fastapi_app(Echo, Say, Heard)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])


async def main() -> None:
    """Step as often as asked, and answer with steps per second."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = multiprocessing.get_context("fork").Process(target=host, args=(listening,), daemon=True)
    server.start()
    port = listening.getsockname()[1]
    try:
        async with EchoClient(base_url=f"http://127.0.0.1:{port}", connect_timeout_s=60) as client:

            async def steps(count: int, variant: str) -> float:
                await client.reset()
                began = time.perf_counter()
                for _ in range(count):
                    result = await client.step(Say(message="hello"))
                    assert result.observation.message == "hello"
                return count / (time.perf_counter() - began)

            await serve("openenv", steps)
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    asyncio.run(main())
