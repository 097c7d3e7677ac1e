"""HTTP to an inference server: tried again where another try can help, one clear line where it cannot."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from ..errors import EngineError

T = TypeVar("T")

_MENDABLE = {408, 409, 425, 429, 500, 502, 503, 504}


class Transient(EngineError):
    """A fault that another try may mend: a dropped connection, silence, a server that is busy or restarts."""


@dataclass(frozen=True)
class Server:
    """Where the server is and how patient to be. `base_url` is that of the OpenAI API (it mostly ends in `/v1`).

    A request is tried `tries` times; the wait between two tries starts at `backoff` seconds, doubles up to
    `longest_wait`, and is shortened by chance by up to a half, so that many clients do not come back at once.
    `timeout` bounds one try in seconds, and in a stream the silence between two pieces.
    """

    base_url: str
    model: str
    api_key: str = ""
    tries: int = 5
    backoff: float = 0.5
    longest_wait: float = 30.0
    timeout: float = 300.0

    def url(self, path: str) -> str:
        """`path` under the API; a path that begins with `//` is one under the server itself."""
        base = self.base_url.rstrip("/")
        return base.removesuffix("/v1") + path[1:] if path.startswith("//") else base + path


class Client:
    """Requests to one `Server`. Use from one event loop. Cancelling a request closes its connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        headers = {"Authorization": f"Bearer {server.api_key}"} if server.api_key else {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._http = httpx.AsyncClient(headers=headers, timeout=server.timeout, limits=limits)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call `attempt` until it does not raise Transient. EngineError once the tries are used up."""
        tries = 0
        while True:
            try:
                return await attempt()
            except Transient as problem:
                tries += 1
                await self.wait(tries, problem)

    async def wait(self, tries: int, problem: Transient) -> None:
        """Wait before the next try. EngineError where `tries` were all."""
        if tries >= self.server.tries:
            raise EngineError(f"{problem} (tried {tries} times)") from problem
        longest = min(self.server.backoff * 2.0 ** (tries - 1), self.server.longest_wait)
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))

    async def send(self, method: str, path: str, body: Any = None, params: dict[str, str] | None = None) -> bytes:
        """One request, tried once: the body of its answer. Transient or EngineError where it has none."""
        async with self._answer(method, path, body, params) as response:
            return await self._in_time(response.aread(), self.server.url(path))

    async def events(self, path: str, body: Any) -> AsyncGenerator[bytes, None]:
        """POST once and yield the data of the server-sent events that come back, up to `[DONE]`.

        Transient where the stream ends without it.
        """
        url = self.server.url(path)
        async with (
            self._answer("POST", path, body, None) as response,
            aclosing(_lines(response.aiter_bytes())) as lines,
        ):
            while (line := await self._in_time(anext(lines, None), url)) is not None:
                if line.startswith(b"data:"):
                    data = line.removeprefix(b"data:").strip()
                    if data == b"[DONE]":
                        return
                    yield data
        raise Transient(f"{url} ended the stream before its end")

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, body: Any, params: dict[str, str] | None
    ) -> AsyncIterator[httpx.Response]:
        """An answer of status 200, still to be read; every failure, of reading too, as Transient or EngineError."""
        url = self.server.url(path)
        request = self._http.build_request(method, url, json=body, params=params)
        try:
            response = await self._in_time(self._http.send(request, stream=True), url)
            try:
                if response.status_code != 200:
                    await self._in_time(response.aread(), url)
                    raise _refusal(url, response)
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise Transient(f"{url} did not answer: {type(error).__name__}: {error}") from error

    async def _in_time(self, step: Awaitable[T], url: str) -> T:
        try:
            async with asyncio.timeout(self.server.timeout):
                return await step
        except TimeoutError as error:
            raise Transient(f"{url} was silent for {self.server.timeout:g} seconds") from error


def _refusal(url: str, response: httpx.Response) -> EngineError:
    told = " ".join(response.text.split())[:300]
    kind = Transient if response.status_code in _MENDABLE else EngineError
    return kind(f"{url} answered HTTP {response.status_code}: {told}")


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Lines of a byte stream. Only newlines end one: JSON may hold what `str.splitlines` takes for others. What stands
    after the last newline was cut off and is no line.
    """
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r")
