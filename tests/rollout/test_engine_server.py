"""Where requests go, and how long is waited between two tries."""

from __future__ import annotations

import asyncio

import pytest

from palestra.rollout.engines.server import Client, Server, Transient
from palestra.rollout.errors import EngineError


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("http://h:1/v1", "/models", "http://h:1/v1/models"),
        ("http://h:1/v1/", "/models", "http://h:1/v1/models"),
        ("http://h:1/v1", "//pause", "http://h:1/pause"),
        ("http://h:1/proxied/v1", "//pause", "http://h:1/proxied/pause"),
        ("http://h:1", "//pause", "http://h:1/pause"),
    ],
)
def test_paths_of_the_api_and_of_the_server(base: str, path: str, url: str) -> None:
    assert Server(base, "m").url(path) == url


def test_waits_double_to_a_bound_and_differ_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def recorded(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("palestra.rollout.engines.server.asyncio.sleep", recorded)

    async def fail() -> None:
        raise Transient("it is down")

    async def main() -> None:
        client = Client(Server("http://h/v1", "m", tries=7, backoff=2.0, longest_wait=20.0))
        for _ in range(30):
            with pytest.raises(EngineError, match=r"^it is down \(tried 7 times\)$"):
                await client.persist(fail)
        await client.close()

    asyncio.run(main())
    assert len(waits) == 30 * 6
    for place, longest in enumerate((2.0, 4.0, 8.0, 16.0, 20.0, 20.0)):
        own = waits[place::6]
        assert all(longest / 2 <= wait <= longest for wait in own)
        assert len(set(own)) > 1
